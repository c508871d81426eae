"""The Mille/pede chain of a workspace, in child processes; implements `ports.Millepede`.

What is done is read off the disk: a raw file is converted when its statistics are there (written
last), an iteration is solved when its `solution.json` is. So nothing here needs to survive a crash.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from auto_iter.alignment.arrival import Response
from auto_iter.alignment.model import Stage
from auto_iter.alignment.ports import Conversion
from auto_iter.alignment.snapshot import Arguments
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.schema import Config
from auto_iter.errors import InputError, OutdatedError, PhysicsError
from auto_iter.files import TEMPORARY
from auto_iter.iteration.conversions import Conversions, source_of
from auto_iter.iteration.predictions import Predictions
from auto_iter.iteration.workers import Workers
from auto_iter.log.setup import get_logger
from auto_iter.millepede.pede.program import find_pede, require_pede
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.strategy.whole import WITH_IFT, WITHOUT_IFT, Strategy
from auto_iter.processes.children import Child
from auto_iter.workspace.heritage import differs
from auto_iter.workspace.paths import Iteration, Workspace
from auto_iter.workspace.records import fingerprint, read_json, read_solution

REPORT_LIMIT_S = 120.0


class Chain:
    """Runs conversions, the solver and the report for one workspace."""

    def __init__(
        self,
        workspace: Workspace,
        arguments: Arguments,
        strategy: Strategy,
        config: Config,
        workers: Workers,
    ) -> None:
        self._workspace = workspace
        self._arguments = arguments
        self._strategy = strategy
        self._config = config
        self._workers = workers
        self._solving: Child | None = None
        self._solved = 0
        """The iteration that is being solved."""
        self._reporting: Child | None = None
        self._predictions = Predictions(workspace, arguments.run)
        self._conversions = Conversions(self._predictions, strategy, config.millepede, workers)

    def check(self) -> None:
        """Raise PermanentError when the strategy or a pede that is requested is not there."""
        check_chain(self._arguments, self._strategy, self._config, self._workers.env)

    def convert(self, stage: Stage, numbers: Collection[int]) -> Conversion:
        """Start converting what is not converted yet, and tell how far it is."""
        return self._conversions.convert(self._paths(stage.iteration), stage, numbers)

    def responses(self, stage: Stage, numbers: Collection[int]) -> Mapping[int, Response]:
        """Return what the files' tracks show of the constants that they were made with."""
        prediction = self._predictions.before(stage.iteration)
        if prediction is None:
            return {}
        paths = self._paths(stage.iteration)
        records = {number: read_json(paths.mille_statistics(number)) for number in numbers}
        found = {n: prediction.response(each) for n, each in records.items() if each is not None}
        return {number: each for number, each in found.items() if each is not None}

    def solve(self, stage: Stage, numbers: Collection[int]) -> SolutionSummary | None:
        """Start or continue the solving of an iteration; None while it runs.

        Raises OutdatedError when the files that go into it have to be converted again, PhysicsError
        when pede or the numbers say no.
        """
        paths = self._paths(stage.iteration)
        if self._solving is not None and self._solved != stage.iteration:
            self._stop_solving()
        if self._solving is not None:
            if not self._solving.has_ended:
                return None
            child, self._solving = self._solving, None
            self._judge(child, paths)
        self._conversions.refuse_outdated(paths, stage, numbers)
        request = self._solve_request(paths, stage, numbers)
        solution = _own_solution(paths, request)
        if solution is None:
            self._solving = self._workers.start("solve", _request_file(paths), request)
            self._solved = stage.iteration
        return solution

    def _judge(self, child: Child, paths: Iteration) -> None:
        try:
            self._workers.end(child, "solving")
        except OutdatedError as error:
            self._conversions.distrust(str(error))
            raise
        if not paths.solution.exists():
            raise PhysicsError(
                f"{paths.solution}: not written by the solver", "see 3millepede there"
            )

    def _solve_request(
        self, paths: Iteration, stage: Stage, numbers: Collection[int]
    ) -> SolveRequest:
        first = stage.iteration - stage.within + 1
        of_phase = [self._paths(number) for number in range(first, stage.iteration + 1)]
        request = SolveRequest.of(
            stage,
            self._config,
            [source_of(paths, number) for number in sorted(numbers)],
            directory=paths.millepede,
            previous=paths.constants,
            centre=self._paths(1).constants,
            earlier=[each.constants for each in of_phase],
            strategy=str(self._workspace.strategy),
            stations=self._strategy.stations_in(stage, self._arguments.stations),
        )
        files = (self._workspace.strategy, request.previous, self._paths(1).constants)
        made_of = fingerprint(request.settings, (*files, *request.statistics))
        return request.model_copy(update={"fingerprint": made_of})

    def report(self, iteration: int) -> None:
        """Refresh tables and plots; a report that fails costs a log line, not the alignment."""
        del iteration  # the report shows all that is there
        self._reap_report()
        if self._reporting is None and self._config.alignment.report == "iteration":
            self._report()

    def _report(self) -> None:
        command = [sys.executable, "-m", "auto_iter.report", str(self._workspace.root)]
        self._reporting = self._workers.start_command(command)

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
        return [
            child.pidfd
            for child in (*self._conversions.children, self._solving)
            if child is not None
        ]

    def stop(self) -> None:
        """End the child processes; nothing that they left is half-written."""
        self._conversions.stop()
        self._stop_solving()

    def _stop_solving(self) -> None:
        if self._solving is not None:
            self._solving.stop()
        self._solving = None

    def finish(self) -> None:
        """Make the report of what is there now, and wait for it."""
        self._reap_report(wait=True)
        if self._config.alignment.report != "never":
            self._report()
            self._reap_report(wait=True)

    def _paths(self, iteration: int) -> Iteration:
        return self._workspace.iteration(iteration, self._arguments.run)


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


def _own_solution(paths: Iteration, request: SolveRequest) -> SolutionSummary | None:
    """Return the solution that is there when it is what `request` asks for, and whole."""
    found = read_json(paths.solution)
    is_asked_for = found is None or found.get("fingerprint") == request.fingerprint
    if not (is_asked_for and paths.solution.exists()):
        return None
    solution = read_solution(paths.solution)
    if solution is None:
        what = {"file": str(paths.solution), "constants": str(paths.new_constants)}
        get_logger().warning("does not match its checksum; solved again", **what)
        return None
    before = solution.hashes.constants_before
    return None if before and differs(paths.constants, before) else solution
