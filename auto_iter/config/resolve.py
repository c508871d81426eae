"""Paths of a configuration, as they are seen from anywhere: `run` and `doctor` go by the same."""

from __future__ import annotations

from pathlib import Path

from auto_iter.config.schema import Config, Reco
from auto_iter.config.section import SectionT
from auto_iter.files import expanded


def with_absolute_paths(config: Config) -> Config:
    """Return `config` with every path absolute, `~` resolved."""
    return config.model_copy(
        update={
            "paths": _absolute(config.paths, *type(config.paths).model_fields),
            "reco": _absolute_programs(config.reco),
            "htcondor": _absolute(config.htcondor, "shared_polls"),
            "alignment": _absolute(config.alignment, "initial_constants", "survey"),
            "simulation": _absolute(config.simulation, "truth"),
        }
    )


def _absolute(section: SectionT, *names: str) -> SectionT:
    paths = {name: getattr(section, name) for name in names}
    return section.model_copy(
        update={
            name: expanded(path).absolute()
            for name, path in paths.items()
            if isinstance(path, Path)
        }
    )


def _absolute_programs(reco: Reco) -> Reco:
    """Return `reco` with the files that it names as seen from anywhere; names on PATH stay."""
    names = ("preset", "writer", "reader", "program", "asetup_input")
    absolute = {
        name: str(expanded(text).absolute())
        for name in names
        if (text := getattr(reco, name)) is not None and "/" in text
    }
    return reco.model_copy(update=absolute)
