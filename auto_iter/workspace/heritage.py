"""Constants on their way from iteration to iteration: still what was found, or made so again.

What an iteration found lies in its `3millepede`, and again in the next one's `1reco`; its solution
tells every change. Whichever of these still gives the text whose hash was recorded mends the
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from auto_iter.alignment.ports import Mended
from auto_iter.detector.constants import (
    Change,
    accumulate,
    format_constants,
    parse_constants,
    read_constants,
    read_text,
)
from auto_iter.errors import InputError, LostConstantsError
from auto_iter.files import digest, write_atomically
from auto_iter.workspace.hashes import fault_of
from auto_iter.workspace.paths import Iteration, Workspace
from auto_iter.workspace.records import read_json


@dataclass(frozen=True)
class Heritage:
    """The constants of a workspace's iterations; `run`: None where raw files are of several."""

    workspace: Workspace
    run: int | None

    def mend_found(self, iteration: int, expected: str) -> str | None:
        """See that the constants that `iteration` found are those whose hash is `expected`.

        Returns the file when it had to be written again; None when all was well. Where nobody
        knows a hash (an older version recorded none), they have to be constants, and not empty.

        Raises LostConstantsError when they are damaged, and nothing at hand has them, too.
        """
        path = self._paths(iteration).new_constants
        fault = fault_of(path, expected)
        if not fault:
            return None
        for candidate in self._found(iteration) if expected else ():
            if digest(candidate.encode()) == expected:
                _write(path, candidate)
                return str(path)
        raise LostConstantsError(
            f"{path}: {fault}",
            f"restore it from a copy; or, where the outputs of iteration {iteration} are still "
            f"good, `auto-iter millepede -i {path.parent.parent} --accept` finds constants again",
        )

    def mend_start(self, iteration: int, expected: str, usual: Callable[[], str]) -> Mended | None:
        """See that the constants that `iteration` reconstructs with are those with that hash.

        `usual`: gives what it would start from now. Returns the file when it had to be written
        again, and the raw files whose outputs are younger than what was there: who knows with what
        they were made. None when all was well, or where nobody knows.

        Raises LostConstantsError like `mend_found`.
        """
        paths = self._paths(iteration)
        path = paths.constants
        if not expected or not (fault := fault_of(path, expected, or_empty=True)):
            return None
        for candidate in self._starts(iteration, usual):
            if digest(candidate.encode()) == expected:
                suspects = _younger_outputs(paths)
                _write(path, candidate)
                return Mended(str(path), suspects)
        raise LostConstantsError(
            f"{path}: {fault}; iteration {iteration} was begun with other constants",
            "restore it from a copy, or begin another alignment: alignment.initial_constants",
        )

    def _paths(self, iteration: int) -> Iteration:
        return self.workspace.iteration(iteration, self.run)

    def _found(self, iteration: int) -> Iterator[str]:
        """Yield what may be the text of the constants that an iteration found."""
        yield from _text(self._paths(iteration + 1).constants)
        yield from _from_solution(self._paths(iteration))

    def _starts(self, iteration: int, usual: Callable[[], str]) -> Iterator[str]:
        with suppress(InputError):
            yield usual()
        if iteration > 1:
            yield from _from_solution(self._paths(iteration - 1))
        yield ""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


def _text(path: Path) -> Iterator[str]:
    try:
        yield read_text(path)
    except InputError:
        return


def _from_solution(paths: Iteration) -> Iterator[str]:
    """Yield what an iteration started from, plus the changes that its solution tells of."""
    solution = read_json(paths.solution)
    if solution is None:
        return
    try:
        moved = [
            Change(each["key"], each["parameter"], each["change"], each["sigma"], each["free"])
            for each in solution["changes"]
        ]
        text = format_constants(accumulate(read_constants(paths.constants), moved))
        parse_constants(text)
    except (InputError, KeyError, TypeError, ValueError):
        return
    yield text


def _younger_outputs(paths: Iteration) -> frozenset[int]:
    """Return the raw files whose outputs came after the constants that are there."""
    try:
        since = paths.constants.stat().st_mtime_ns
    except FileNotFoundError:
        return frozenset()  # jobs do not start without
    younger = (
        paths.number_of(path.name)
        for path in paths.kfalignment.glob("kfalignment_*.root")
        if path.stat().st_mtime_ns > since
    )
    return frozenset(number for number in younger if number is not None)
