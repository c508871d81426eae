"""The `config.json` of the collaboration's DAG scripts (2026), in our terms.

Its sections are `raw` (what is aligned), `workflow` (sets of iterations with pede's steps), `dag`,
`data`, `tpl`, `src` (where things lie) and `env` (Calypso, pede, ROOT). What maps is taken; what
does not is named, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from auto_iter.config.submit_template import read_submit_template
from auto_iter.detector.stations import MODES, OPTIONS
from auto_iter.errors import UsageError
from auto_iter.rawfiles import RawRange, parse_run, parse_year

SECTIONS = ("raw", "workflow", "dag", "data", "tpl", "src", "env")
WRITER = "templates/WriteAlignmentConfig_Faser04.py"
PROGRAM = "faser_reco_alignment.py"

_NOT_NEEDED = {
    "raw.format": "a workspace is called Y<year>_R<run>_F<files>",
    "dag": "jobs, logs and submit descriptions lie in the workspace; `auto-iter dag` makes a DAG",
    "data.config": "a workspace keeps its configuration as config.yaml",
    "data.initial": "constants lie in iterNN/1reco/inputforalign.txt, as there",
    "data.iter": "iterations are iter01, iter02 …, with the same three directories",
    "tpl.recosub": "not readable here; what it asks for are settings: htcondor.job_flavour …",
    "tpl.recoexe": "auto-iter brings its own job script",
    "tpl.millesub": "pede runs beside the daemon; as a job of a DAG it asks for dag.memory_mb …",
    "tpl.milleexe": "pede runs beside the daemon; a DAG brings its own script",
    "env.root": "ROOT is not needed: files are read without it",
}
"""Keys that have no counterpart, and why."""


@dataclass
class Imported:
    """What a `config.json` says in our terms.

    `settings`: sections of our configuration. `strategy`: a strategy's content, None where the
    file has no workflow. `run`: options of `auto-iter run`. `remarks`: what was not taken as it is.
    """

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    strategy: dict[str, Any] | None = None
    run: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def put(self, section: str, name: str, value: object) -> None:
        """Set one of our settings."""
        self.settings.setdefault(section, {})[name] = value


def is_dag_config(tree: Mapping[str, Any]) -> bool:
    """Tell whether this is such a file; ours, and the form before, have none of these sections."""
    return isinstance(tree.get("raw"), dict) and any(name in tree for name in SECTIONS[1:])


def read_dag_config(path: Path) -> Imported:
    """Return what the file says. Raises UsageError with file and key."""
    try:
        tree = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON: {error}") from None
    if not isinstance(tree, dict) or not is_dag_config(tree):
        raise UsageError(
            f"{path}: has no sections raw, workflow …: a configuration of ours, or of the scripts "
            "before, is read as it is: --config FILE"
        )
    return _KeyByKey(path, tree).read()


class _KeyByKey:
    """Takes the file's keys one by one, so that what is left over is known."""

    def __init__(self, path: Path, tree: dict[str, Any]) -> None:
        self._path = path
        self._left = dict(leaves(tree))
        self._imported = Imported()

    def read(self) -> Imported:
        """Take all that maps; name the rest."""
        self._raw()
        self._workflow()
        self._places()
        self._environment()
        self._leftovers()
        return self._imported

    def _take(self, key: str, kind: type | tuple[type, ...] = str) -> Any:
        """Return a key's value, None when it is not there. Raises UsageError for another type."""
        value = self._left.pop(key, None)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise UsageError(f"{self._path}: {key}: {value!r} is not what belongs there")
        return value

    def _remark(self, key: str, why: str) -> None:
        self._imported.remarks.append(f"{key}: {why}")

    def _raw(self) -> None:
        numbers: tuple[tuple[str, str, Callable[[str], int]], ...] = (
            ("year", "-y", parse_year),
            ("run", "-r", parse_run),
        )
        for name, option, parse in numbers:
            value = self._take(f"raw.{name}", (int, str))
            if value is not None:
                self._imported.run += [option, str(parse(str(value)))]
        files = self._take("raw.files", (int, str))
        if files is not None:
            self._imported.run += ["-f", RawRange.parse(str(files)).text]
        stations = self._stations("raw.stations")
        if stations is not None:
            self._imported.run.append(OPTIONS[stations])
        verbosity = self._take("raw.verbosity")
        if verbosity is not None:
            self._imported.put("reco", "output_level", verbosity)

    def _workflow(self) -> None:
        iterations = self._take("raw.iters", int)
        names = sorted({key.split(".")[1] for key in self._left if key.startswith("workflow.")})
        phases = [self._phase(name) for name in names]
        if phases:
            self._imported.strategy = {
                "name": "imported",
                "description": f"the workflow in {self._path.name}",
                "stations": ["IFT", "3ST"],
                "phases": phases,
            }
            total = sum(phase["iterations"] for phase in phases)
            if iterations not in (None, total):
                self._remark("raw.iters", f"is {iterations}; the sets' {total} are taken")
            iterations = total
        if iterations is not None:
            self._imported.run += ["-i", str(iterations)]

    def _phase(self, name: str) -> dict[str, Any]:
        key = f"workflow.{name}"
        iterations = self._take(f"{key}.iters", int)
        if iterations is None or iterations < 1:
            raise UsageError(f"{self._path}: {key}.iters: needs a number of iterations")
        steps = sorted(
            (each for each in self._left if each.startswith(f"{key}.pede.")), key=_by_number
        )
        if not steps:
            raise UsageError(f"{self._path}: {key}.pede: has no step")
        stations = self._stations(f"{key}.reco")
        title = self._take(f"{key}.comment") or name
        fixed = [self._take(step, list) for step in steps]
        return {
            "name": title,
            "iterations": iterations,
            **({} if stations is None else {"reco_stations": stations}),
            "steps": [{"fix": [rule for item in fix for rule in _rules(item)]} for fix in fixed],
        }

    def _stations(self, key: str) -> int | None:
        stations: int | None = self._take(key, int)
        if stations not in (None, *MODES):
            raise UsageError(f"{self._path}: {key}: {stations} is neither 3 nor 4")
        return stations

    def _places(self) -> None:
        data = self._take("data.dir")
        if data is not None:
            self._imported.put("paths", "work_dir", _without_format(data))
        source = self._take("src.dir")
        if source is not None:
            self._imported.put("reco", "program", f"{source}/{PROGRAM}")
            self._imported.put("reco", "writer", f"{source}/{WRITER}")
        templates, constants = self._take("tpl.dir"), self._take("tpl.inputforalign")
        if constants is not None:
            place = Path(templates or "") / constants
            self._imported.put("alignment", "initial_constants", str(place))
        self._submit_template(Path(templates or "") / str(self._left.get("tpl.recosub") or ""))

    def _submit_template(self, template: Path) -> None:
        """Take what the template of the jobs' submit description asks for, where it is at hand."""
        asked = read_submit_template(template)
        if asked:
            del self._left["tpl.recosub"]
        for section, values in asked.items():
            for name, value in values.items():
                self._imported.put(section, name, value)

    def _environment(self) -> None:
        setup, asetup = self._take("env.calypso.setup"), self._take("env.calypso.asetup")
        if setup is not None and Path(setup).name == "setup.sh":
            self._imported.put("paths", "calypso_install", str(Path(setup).parent))
        elif setup is not None:
            self._remark(
                "env.calypso.setup", f"{setup} is not a setup.sh; write an environment script"
            )
        if asetup is not None:
            self._imported.put("reco", "asetup_input", asetup)
        pede = self._take("env.pede")
        if pede is not None:
            self._imported.put("paths", "pede_install", pede)

    def _leftovers(self) -> None:
        for prefix, why in _NOT_NEEDED.items():
            keys = [key for key in self._left if key == prefix or key.startswith(f"{prefix}.")]
            if keys:
                self._remark(prefix, why)
            for key in keys:
                del self._left[key]
        for key in self._left:
            self._remark(key, "unknown here, not taken")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of each setting in a tree of sections."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _by_number(key: str) -> tuple[int, str]:
    digits = "".join(character for character in key.rpartition(".")[2] if character.isdigit())
    return int(digits or 0), key


def _rules(item: object) -> list[str]:
    """Return a rule in our words: there a layer's number means its modules too."""
    text = str(item)
    return [text, f"{text}_side"] if text.isdigit() and len(text) == 2 else [text]


def _without_format(directory: str) -> str:
    """Return the directory in which workspaces lie: its last part is the workspace's own name."""
    return str(Path(directory).parent) if "{" in Path(directory).name else directory


def as_yaml(tree: Mapping[str, Any], *, short_lists: bool = True) -> str:
    """Return settings or a strategy as a person would write them."""
    style = None if short_lists else False
    return yaml.safe_dump(
        dict(tree), sort_keys=False, allow_unicode=True, default_flow_style=style, width=100
    )
