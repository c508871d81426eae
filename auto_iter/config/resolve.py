"""What depends on where and when a configuration is used, decided: paths, and the batch system.

`run`, `doctor` and `config validate` all go by this, so that they speak of the same places.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from auto_iter.config.schema import Config, Reco
from auto_iter.config.section import Section

SectionT = TypeVar("SectionT", bound=Section)


def resolve_config(config: Config, env: Mapping[str, str]) -> Config:
    """Return `config` with paths absolute and `batch.system` chosen.

    A workspace keeps this form: it means the same from another directory, another day.
    """
    config = with_absolute_paths(config)
    if config.batch.system != "auto":
        return config
    system = "local" if condor_config(env) is None else "htcondor"
    return config.model_copy(update={"batch": config.batch.model_copy(update={"system": system})})


def with_absolute_paths(config: Config) -> Config:
    """Return `config` with every path absolute, `~` resolved."""
    return config.model_copy(
        update={
            "paths": _absolute(config.paths, *type(config.paths).model_fields),
            "reco": _absolute_programs(config.reco),
            "alignment": _absolute(config.alignment, "initial_constants"),
            "simulation": _absolute(config.simulation, "truth"),
        }
    )


def _absolute(section: SectionT, *names: str) -> SectionT:
    paths = {name: getattr(section, name) for name in names}
    return section.model_copy(
        update={
            name: _resolved(path).absolute()
            for name, path in paths.items()
            if isinstance(path, Path)
        }
    )


def _absolute_programs(reco: Reco) -> Reco:
    """Return `reco` with the files that it names as seen from anywhere; names on PATH stay."""
    names = ("preset", "writer", "program", "asetup_input")
    absolute = {
        name: str(_resolved(Path(text)).absolute())
        for name in names
        if (text := getattr(reco, name)) is not None and "/" in text
    }
    return reco.model_copy(update=absolute)


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~nobody: no such place, as whoever looks there will say
        return path


def condor_config(env: Mapping[str, str]) -> Path | None:
    """Return HTCondor's configuration, found by its own rule; None where there is none."""
    places = [env.get("CONDOR_CONFIG"), "/etc/condor/condor_config"]
    return next((Path(place) for place in places if place and Path(place).exists()), None)
