"""The Mille/pede chain of a workspace, in child processes; implements `ports.Millepede`.

What is done is read off the disk: a raw file is converted when its statistics are there (written
last), an iteration is solved when its `solution.json` is. So nothing here needs to survive a crash.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_iter.arrival import Response
from auto_iter.children import Child, start_child
from auto_iter.config import Config
from auto_iter.errors import PASSING_EXIT_CODE, InputError, PhysicsError, TransientError
from auto_iter.files import TEMPORARY, write_atomically
from auto_iter.log import get_logger
from auto_iter.millepede.pede import find_pede, require_pede
from auto_iter.millepede.strategy import WITH_IFT, WITHOUT_IFT, Strategy
from auto_iter.model import Stage
from auto_iter.ports import Conversion
from auto_iter.predictions import Predictions
from auto_iter.snapshot import Arguments
from auto_iter.solution import SolutionSummary
from auto_iter.workspace import Iteration, Workspace

LARGEST_PORTION = 50
"""Files that one conversion process takes at a time: start-up is paid once, news comes often."""

MAX_KILLED = 3
REPORT_LIMIT_S = 120.0


@dataclass(frozen=True)
class _Source:
    """The ROOT file that statistics were made from, to notice when it was replaced."""

    size: int
    mtime_ns: int


class Chain:
    """Runs conversions, the solver and the report for one workspace."""

    def __init__(
        self,
        workspace: Workspace,
        arguments: Arguments,
        strategy: Strategy,
        config: Config,
        env: Mapping[str, str],
    ) -> None:
        self._workspace = workspace
        self._arguments = arguments
        self._strategy = strategy
        self._config = config
        self._env = env
        self._converting: list[Child] = []
        self._solving: Child | None = None
        self._reporting: Child | None = None
        self._converted: dict[tuple[int, int], _Source] = {}
        self._predictions = Predictions(workspace, arguments.run)
        self._killed = 0
        self._requests = 0

    def check(self) -> None:
        """Raise PermanentError when the strategy or a pede that is demanded is not there."""
        check_chain(self._arguments, self._strategy, self._config, self._env)

    def convert(self, stage: Stage, numbers: Collection[int]) -> Conversion:
        """Start converting what is not converted yet, and tell how far it is."""
        self._reap_conversions()
        paths = self._iteration(stage)
        prediction = self._predictions.before(stage.iteration)
        predicted_by = "" if prediction is None else prediction.key
        bad: dict[int, str] = {}
        done: set[int] = set()
        todo: list[int] = []
        at_work = frozenset[int]().union(*(child.numbers for child in self._converting))
        for number in sorted(set(numbers) - at_work):
            error = self._outcome(paths, stage, number, predicted_by)
            if error is None:
                todo.append(number)
            elif error:
                bad[number] = error
            else:
                done.add(number)
        self._start_conversions(paths, stage, todo)
        return Conversion(frozenset(done), len(todo) + len(at_work & set(numbers)), bad)

    def _outcome(
        self, paths: Iteration, stage: Stage, number: int, predicted_by: str
    ) -> str | None:
        """Return "" for converted, what is wrong for a bad file, None for not converted yet."""
        source = _stat(paths.output(number))
        if source is not None and self._converted.get((stage.iteration, number)) == source:
            return ""
        record = _read_json(paths.mille_statistics(number))
        if record is None or source != _Source(**record["source"]):
            return None
        if record.get("cuts") != self._cuts(stage) or record.get("labels") != self._labels:
            return None  # the settings were changed since
        if predicted_by and record.get("predicted_by") != predicted_by:
            return None
        if record["error"] is None:
            self._converted[stage.iteration, number] = source
            return ""
        # Taken note of now: the file counts as not converted when it comes again.
        paths.mille_statistics(number).unlink(missing_ok=True)
        return str(record["error"])

    def _start_conversions(self, paths: Iteration, stage: Stage, todo: list[int]) -> None:
        free = (self._config.millepede.workers or os.cpu_count() or 1) - len(self._converting)
        while todo and free > 0:
            portion = min(LARGEST_PORTION, -(-len(todo) // free))
            numbers, todo = todo[:portion], todo[portion:]
            request = self._convert_request(paths, stage, numbers)
            self._converting.append(self._start("convert", request, frozenset(numbers)))
            free -= 1

    def _convert_request(
        self, paths: Iteration, stage: Stage, numbers: Collection[int]
    ) -> tuple[Path, dict[str, Any]]:
        paths.mille.mkdir(parents=True, exist_ok=True)
        sources = [
            {
                "number": number,
                "root": str(paths.output(number)),
                "binary": str(paths.mille_binary(number)),
                "statistics": str(paths.mille_statistics(number)),
            }
            for number in numbers
        ]
        self._requests += 1
        prediction = self._predictions.before(stage.iteration)
        request = {
            "sources": sources,
            "cuts": self._cuts(stage),
            "labels": self._labels,
            "prediction": None if prediction is None else str(prediction.path),
        }
        return paths.mille / f".convert-{os.getpid()}-{self._requests}.json{TEMPORARY}", request

    def _cuts(self, stage: Stage) -> dict[str, Any]:
        return self._strategy.cuts_in(stage, self._config.millepede.cuts)

    @property
    def _labels(self) -> dict[str, Any]:
        labels: dict[str, Any] = self._strategy.labels.model_dump(mode="json")
        return labels

    def _reap_conversions(self) -> None:
        for child in [each for each in self._converting if each.has_ended]:
            self._converting.remove(child)
            self._end(child, "conversion to Mille")

    def responses(self, stage: Stage, numbers: Collection[int]) -> Mapping[int, Response]:
        """Return what the files' tracks show of the constants that they were made with."""
        prediction = self._predictions.before(stage.iteration)
        if prediction is None:
            return {}
        paths = self._iteration(stage)
        records = {number: _read_json(paths.mille_statistics(number)) for number in numbers}
        found = {n: prediction.response(each) for n, each in records.items() if each is not None}
        return {number: each for number, each in found.items() if each is not None}

    def solve(self, stage: Stage, numbers: Collection[int]) -> SolutionSummary | None:
        """Start or continue the solving of an iteration; None while it runs.

        Raises PhysicsError when pede or the numbers say no.
        """
        paths = self._iteration(stage)
        if self._solving is None:
            request = self._solve_request(paths, stage, numbers)
            found = _read_json(paths.solution)
            if found is not None and found.get("fingerprint") == request["fingerprint"]:
                return _solution(found)
            self._solving = self._start("solve", (_request_file(paths), request))
            return None
        if not self._solving.has_ended:
            return None
        child, self._solving = self._solving, None
        self._end(child, "solving")
        solution = read_solution(paths.solution)
        if solution is None:
            raise PhysicsError(
                f"{paths.solution}: not written by the solver", "see 3millepede there"
            )
        return solution

    def _solve_request(
        self, paths: Iteration, stage: Stage, numbers: Collection[int]
    ) -> dict[str, Any]:
        millepede = self._config.millepede
        ordered = _converted(paths, numbers)
        pede = self._config.paths.pede_install
        request = {
            "directory": str(paths.millepede),
            "binaries": [str(paths.mille_binary(number)) for number in ordered],
            "statistics": [str(paths.mille_statistics(number)) for number in ordered],
            "previous": str(paths.constants),
            "centre": str(self._workspace.iteration(1, paths.run).constants),
            "earlier": [
                str(self._workspace.iteration(number, paths.run).constants)
                for number in range(stage.iteration - stage.within + 1, stage.iteration + 1)
            ],
            "strategy": str(self._workspace.strategy),
            "iteration": stage.iteration,
            "phase": stage.phase,
            "within": stage.within,
            "stations": self._strategy.stations_in(stage, self._arguments.stations),
            "solver": millepede.solver,
            "pede_install": None if pede is None else str(pede),
            "time_limit_s": millepede.time_limit_s,
            "max_shift_mm": millepede.max_shift_mm,
            "max_rotation_rad": millepede.max_rotation_rad,
            "accept_bad_matrix": millepede.accept_bad_matrix,
            "eigen": False,
        }
        return request | {"fingerprint": _fingerprint(request, paths, ordered)}

    def report(self, iteration: int) -> None:
        """Refresh tables and plots; a report that fails costs a log line, not the alignment."""
        del iteration  # the report shows all that is there
        self._reap_report()
        if self._reporting is None and self._config.alignment.report == "iteration":
            self._report()

    def _report(self) -> None:
        root = self._workspace.root
        command = [sys.executable, "-m", "auto_iter.report", str(root)]
        self._reporting = start_child(command, env=self._env, workspace=root)

    def _reap_report(self, *, wait: bool = False) -> None:
        child = self._reporting
        if child is None or not (wait or child.has_ended):
            return
        self._reporting = None
        if not child.ends_within(REPORT_LIMIT_S):
            child.stop()
            get_logger().warning("report not made", reason=f"longer than {REPORT_LIMIT_S:g} s")
            return
        error = child.finish()
        if error is not None:
            get_logger().warning("report not made", reason=error)

    def watch(self) -> Iterable[int]:
        """File descriptors that become readable when a child process ends."""
        return [child.pidfd for child in (*self._converting, self._solving) if child is not None]

    def stop(self) -> None:
        """End the child processes; nothing that they left is half-written."""
        for child in (*self._converting, self._solving):
            if child is not None:
                child.stop()
        self._converting, self._solving = [], None

    def finish(self) -> None:
        """Make the report of what is there now, and wait for it."""
        self._reap_report(wait=True)
        if self._config.alignment.report != "never":
            self._report()
            self._reap_report(wait=True)

    def _iteration(self, stage: Stage) -> Iteration:
        return self._workspace.iteration(stage.iteration, self._arguments.run)

    def _start(
        self,
        what: str,
        request: tuple[Path, dict[str, Any]],
        numbers: frozenset[int] = frozenset(),
    ) -> Child:
        path, content = request
        write_atomically(path, json.dumps(content, indent=1))
        command = [sys.executable, "-m", "auto_iter.millepede.worker", what, str(path)]
        root = self._workspace.root
        return start_child(command, env=self._env, workspace=root, numbers=numbers, scratch=(path,))

    def _end(self, child: Child, what: str) -> None:
        error = child.finish()
        if error is None:
            self._killed = 0
        elif child.process.returncode == PASSING_EXIT_CODE:
            raise TransientError(f"{what}: {error}")
        elif child.was_killed and self._killed < MAX_KILLED:
            self._killed += 1
            raise TransientError(f"{what}: {error}, out of memory?")
        else:
            raise PhysicsError(f"{what}: {error}")


def check_chain(
    arguments: Arguments, strategy: Strategy, config: Config, env: Mapping[str, str]
) -> None:
    """Raise PermanentError when the chain cannot work: better now than after days of jobs."""
    if arguments.stations == WITHOUT_IFT and strategy.needs_ift:
        raise InputError(
            f"strategy {strategy.name}: aligns the IFT, which needs 4 stations",
            "this alignment has 3: begin one with --fourst, or take another alignment.strategy",
        )
    if arguments.stations == WITH_IFT and not strategy.needs_ift:
        raise InputError(
            f"strategy {strategy.name}: leaves out the IFT, whose misalignment would pull at the "
            f"tracks of 4 stations",
            "take --strategy 4st (or 3st-ift), or do without --fourst",
        )
    if config.millepede.solver != "builtin":
        find = require_pede if config.millepede.solver == "pede" else find_pede
        find(config.paths.pede_install, env.get("PATH"))


def _request_file(paths: Iteration) -> Path:
    return paths.millepede / f".solve-{os.getpid()}.json{TEMPORARY}"


def _fingerprint(request: Mapping[str, Any], paths: Iteration, numbers: Collection[int]) -> str:
    """Return a digest of all that a solution is made of: settings, strategy, constants, records.

    A solution with another one is not this iteration's: made by hand, or with settings that were
    changed since. Places do not count: a workspace may be moved.
    """
    digest = hashlib.sha256()
    settings = {key: value for key, value in request.items() if key not in _PLACES}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    files = [request["strategy"], request["previous"], request["centre"]]
    for path in (*map(Path, files), *map(paths.mille_statistics, numbers)):
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except FileNotFoundError:
            digest.update(b"none")
    return digest.hexdigest()


_PLACES = frozenset(
    ("directory", "binaries", "statistics", "previous", "centre", "earlier", "strategy")
) | {"pede_install"}


def _converted(paths: Iteration, numbers: Collection[int]) -> list[int]:
    """Return the raw files that go into the solution: a file that comes in only now does not."""
    records = {number: _read_json(paths.mille_statistics(number)) for number in sorted(numbers)}
    return [n for n, record in records.items() if record is not None and record["error"] is None]


def _stat(path: Path) -> _Source | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return _Source(status.st_size, status.st_mtime_ns)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content


def read_solution(path: Path) -> SolutionSummary | None:
    """Return the numbers that travel of a `solution.json`; None when there is none."""
    record = _read_json(path)
    return None if record is None else _solution(record)


def _solution(record: Mapping[str, Any]) -> SolutionSummary:
    return SolutionSummary.model_validate(
        {name: record[name] for name in SolutionSummary.model_fields if name in record}
    )
