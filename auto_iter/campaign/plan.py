"""`campaign.yaml`: which ranges of raw files are aligned, and how; all of it checked beforehand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from auto_iter.config.file import place, read_tree, validated
from auto_iter.config.section import Positive, Section, Stations
from auto_iter.detector.stations import OPTIONS
from auto_iter.errors import UsageError
from auto_iter.rawfiles import parse_year
from auto_iter.several_runs import RawFiles, command_line, parse_run_and_files, parts_of
from auto_iter.workspace.paths import Workspace, workspace_name

_AS_TEXT = frozenset({"year", "run", "files", "name"})
"""YAML takes 011705 for an octal number, and 400:450 for one to the base of 60."""


class IntervalSettings(Section):
    """One range; `name`: in the report (default: the workspace's).

    `run` may be ranges of several runs, as in `run -r`, and then says which `files`.
    """

    name: str = ""
    year: str = ""
    run: str
    files: str | None = None

    @field_validator("run", mode="before")
    @classmethod
    def _is_one_text(cls, value: object) -> object:
        return ",".join(map(str, value)) if isinstance(value, list) else value


class Settings(Section):
    """The content of `campaign.yaml`. Paths are seen from where the file lies.

    `false_alarm`: how probable it is that of a detector that stays any interval counts as moved.
    """

    year: str = ""
    config: Path | None = None
    strategy: str | None = None
    iterations: Positive | None = None
    stations: Stations | None = None
    overrides: tuple[str, ...] = Field(default=(), alias="set")
    allow_missing: bool = False
    work_dir: Path = Path()
    parallel: Positive = 2
    stagger_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10.0
    false_alarm: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    intervals: Annotated[tuple[IntervalSettings, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Interval:
    """One range, and where its alignment lives. `run`: None where `files` are of several."""

    name: str
    year: int
    run: int | None
    files: RawFiles
    workspace: Workspace

    @property
    def command(self) -> list[str]:
        """The options of `auto-iter run` that say which raw files are meant."""
        return ["-y", str(self.year), *command_line(self.run, self.files).split(" ")]

    @property
    def runs(self) -> str:
        """The runs, as `status --json` has them."""
        runs = sorted({part.run for part in parts_of(self.run, self.files)})
        return ",".join(f"{run:06d}" for run in runs)

    @property
    def raw_files(self) -> frozenset[tuple[int, int]]:
        """Year and number of each raw file; a number that has the run in it."""
        parts = parts_of(self.run, self.files)
        return frozenset((self.year, number) for part in parts for number in part.numbers)


@dataclass(frozen=True)
class Campaign:
    """Intervals in the order of time, and what is common to them."""

    file: Path
    settings: Settings
    intervals: tuple[Interval, ...]

    @property
    def common(self) -> list[str]:
        """The options of `auto-iter run` that are the same for all."""
        settings, here = self.settings, self.file.parent
        words = ["--work_dir", str(here / settings.work_dir)]
        if settings.config is not None:
            words += ["--config", str(here / settings.config)]
        if settings.strategy is not None:
            words += ["--strategy", self._strategy(settings.strategy)]
        if settings.iterations is not None:
            words += ["-i", str(settings.iterations)]
        if settings.stations is not None:
            words += [OPTIONS[settings.stations]]
        words += ["--allow-missing"] if settings.allow_missing else []
        # First: what the campaign's own settings say has the last word.
        for each in (f"htcondor.shared_polls={json.dumps(str(self.polls))}", *settings.overrides):
            words += ["--set", each]
        return words

    def _strategy(self, name: str) -> str:
        path = self.file.parent / name
        return str(path) if path.is_file() else name

    def said(self, interval: Interval) -> Path:
        """Return where the words of an interval's daemon go."""
        return self.file.with_suffix(".logs") / f"{interval.workspace.root.name}.log"

    @property
    def polls(self) -> Path:
        """Where daemons read what the schedd told one of them of the jobs of all."""
        return self.file.with_suffix(".polls")

    @property
    def page(self) -> Path:
        """The report."""
        return self.file.with_suffix(".html")

    @property
    def document(self) -> Path:
        """The report for programs."""
        return self.file.with_suffix(".json")


def read_campaign(path: Path) -> Campaign:
    """Return the campaign in a file. Raises UsageError with file, line and key."""
    tree, origins = read_tree(path, _AS_TEXT)
    if not isinstance(tree, dict):
        raise UsageError(
            f"{path}: must be settings, one of them `intervals:`; see docs/campaign.md"
        )
    settings = validated(tree, origins, Settings)
    file, intervals = path.absolute(), []
    for number, each in enumerate(settings.intervals):
        try:
            intervals.append(_interval(file, settings, each))
        except UsageError as error:
            where = place(("intervals", str(number)), origins)
            raise UsageError(f"{where}: {error}") from None
    _refuse_common(file, intervals)
    return Campaign(file, settings, tuple(intervals))


def _interval(path: Path, settings: Settings, each: IntervalSettings) -> Interval:
    year = parse_year(each.year or settings.year)
    run, files = parse_run_and_files(each.run, each.files)
    name = workspace_name(year, run, files)
    root = path.parent / settings.work_dir / name
    return Interval(each.name or name, year, run, files, Workspace(root))


def _refuse_common(path: Path, intervals: Sequence[Interval]) -> None:
    for number, one in enumerate(intervals):
        for other in intervals[:number]:
            if one.name == other.name:
                raise UsageError(f"{path}: two intervals are called {one.name}")
            if one.raw_files & other.raw_files:
                raise UsageError(
                    f"{path}: {other.name} and {one.name} have raw files in common: they would "
                    "not be independent, and nothing could be tested"
                )
