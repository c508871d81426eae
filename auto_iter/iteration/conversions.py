"""The conversions of a workspace: which outputs are converted, as they are and with what is set."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from auto_iter.alignment.model import Stage
from auto_iter.alignment.ports import Conversion
from auto_iter.config.cuts import TrackCuts
from auto_iter.config.schema import Millepede
from auto_iter.detector.labels import Scheme
from auto_iter.errors import OutdatedError
from auto_iter.iteration.predictions import ExpectedChange, Predictions
from auto_iter.iteration.workers import Workers
from auto_iter.log.setup import get_logger
from auto_iter.millepede.requests import ConvertRequest, Source
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.processes.children import Child
from auto_iter.rawfiles import logged, spoken
from auto_iter.workspace.hashes import copies
from auto_iter.workspace.paths import Iteration
from auto_iter.workspace.records import Converted, FileVersion, read_conversion

LARGEST_PORTION = 50
"""Files that one conversion process takes at a time: start-up is paid once, news comes often."""


@dataclass(frozen=True)
class _Look:
    """One look at an iteration's files: what they have to be, and what was found damaged."""

    paths: Iteration
    cuts: TrackCuts
    labels: Scheme
    prediction: ExpectedChange | None
    held_out: frozenset[int]
    damage: dict[int, str] = field(default_factory=dict)

    @cached_property
    def wanted(self) -> Mapping[str, Any]:
        """What a record has to say of settings."""
        told = {
            "cuts": self.cuts.model_dump(mode="json"),
            "labels": asdict(self.labels),
        }
        return told if self.prediction is None else {**told, "predicted_by": self.prediction.key}

    def is_current(self, number: int, record: Mapping[str, Any]) -> bool:
        """Tell whether a raw file would be converted today as its record says.

        Also what is known of a held-out file and not needed of one in the fit is another
        conversion: what has made it a bad file need not matter any more.
        """
        judges = bool(record.get("judges")) == (number in self.held_out)
        return judges and all(record.get(key) == value for key, value in self.wanted.items())


def source_of(paths: Iteration, number: int, held_out: frozenset[int]) -> Source:
    """Return where a raw file's output is in an iteration, and what is made of it."""
    return Source(
        number=number,
        root=paths.output(number),
        binary=paths.mille_binary(number),
        statistics=paths.mille_statistics(number),
        judges=number in held_out,
    )


class Conversions:
    """Starts conversions, and knows which are done: their records are on the disk, and whole.

    `held_out`: raw files that stay out of the fit, of whose tracks more is to be told.
    """

    def __init__(
        self,
        predictions: Predictions,
        strategy: Strategy,
        settings: Millepede,
        workers: Workers,
        *,
        held_out: frozenset[int],
    ) -> None:
        self._predictions = predictions
        self._strategy = strategy
        self._settings = settings
        self._workers = workers
        self._held_out = held_out
        self._known: dict[Path, Converted] = {}
        self._said = ""
        self.children: list[Child] = []

    def convert(self, paths: Iteration, stage: Stage, numbers: Collection[int]) -> Conversion:
        """Start converting what is not converted yet, and tell how far it is."""
        self._reap()
        look = self._look(paths, stage)
        at_work = frozenset[int]().union(*(child.numbers for child in self.children))
        seen = {number: self._outcome(look, number) for number in sorted(set(numbers) - at_work)}
        bad = {number: error for number, error in seen.items() if error}
        bad |= self._copies(paths, [number for number, error in seen.items() if error == ""])
        for number in bad:
            # Taken note of now: the file counts as not converted when it comes again.
            paths.mille_statistics(number).unlink(missing_ok=True)
        if look.damage:
            reason = self._said or next(iter(look.damage.values()))
            what = {"files": [logged(number) for number in sorted(look.damage)], "reason": reason}
            get_logger().warning("does not match its checksum; converted again", **what)
            self._said = ""
        todo = [number for number, error in seen.items() if error is None]
        self._start(look, todo)
        done = frozenset(seen) - frozenset(bad) - frozenset(todo)
        return Conversion(done, len(todo) + len(at_work & set(numbers)), bad)

    def refuse_outdated(self, paths: Iteration, stage: Stage, numbers: Collection[int]) -> None:
        """Raise OutdatedError unless each file is converted, as it is and with today's settings."""
        look = self._look(paths, stage)
        outdated = [n for n in sorted(numbers) if self._outcome(look, n) != ""]
        if outdated:
            otherwise = "not converted as they are, with the present settings"
            reason = next(iter(look.damage.values()), otherwise)
            files = " ".join(spoken(number) for number in outdated)
            raise OutdatedError(f"raw files {files}: {reason}")

    def distrust(self, reason: str) -> None:
        """Look again at what is on the disk: the solver's child has removed what was damaged."""
        self._known.clear()
        self._said = reason

    def stop(self) -> None:
        """End the child processes; nothing that they left is half-written."""
        for child in self.children:
            child.stop()
        self.children = []

    def _look(self, paths: Iteration, stage: Stage) -> _Look:
        return _Look(
            paths,
            self._strategy.cuts_in(stage, self._settings.cuts),
            self._strategy.labels,
            self._predictions.before(stage.iteration),
            self._held_out,
        )

    def _outcome(self, look: _Look, number: int) -> str | None:
        """Return "" for converted, what is wrong for a bad file, None for not converted yet.

        What was converted, but is damaged, goes into the look's `damage`.
        """
        output = look.paths.output(number)
        source = FileVersion.at(output)
        found = self._known.pop(output, None)
        if found is None or found.source != source:
            found = read_conversion(look.paths, number)
        if found is None:
            return None
        if found.damage:
            look.damage[number] = found.damage
            return None
        if source != found.source or not look.is_current(number, found.record):
            return None
        if found.error is None:
            self._known[output] = found
        return found.error or ""

    def _copies(self, paths: Iteration, numbers: Collection[int]) -> dict[int, str]:
        """Return which outputs hold the very tracks of others, and of which.

        Nothing in them says which raw file they are of, so all of them are in doubt.
        """
        tracks = {number: self._known[paths.output(number)].tracks for number in numbers}
        return {
            number: "holds the same tracks as the output of raw file "
            + ", ".join(spoken(other) for other in same if other != number)
            for same in copies(tracks)
            for number in same
        }

    def _start(self, look: _Look, todo: list[int]) -> None:
        free = (self._settings.workers or os.cpu_count() or 1) - len(self.children)
        while todo and free > 0:
            portion = min(LARGEST_PORTION, -(-len(todo) // free))
            numbers, todo = todo[:portion], todo[portion:]
            request = ConvertRequest(
                sources=tuple(source_of(look.paths, each, look.held_out) for each in numbers),
                cuts=look.cuts,
                labels=look.labels,
                prediction=None if look.prediction is None else look.prediction.path,
            )
            look.paths.mille.mkdir(parents=True, exist_ok=True)
            child = self._workers.start("convert", look.paths.mille, request, frozenset(numbers))
            self.children.append(child)
            free -= 1

    def _reap(self) -> None:
        for child in [each for each in self.children if each.has_ended]:
            self.children.remove(child)
            self._workers.end(child, "conversion to Mille")
