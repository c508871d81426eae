"""The Mille/pede chain of a workspace, in child processes; implements `ports.MillepedeChain`.

What is done is read off the disk: a raw file is converted when its statistics are there (written
last), an iteration is solved when its `solution.json` is. So nothing here needs to survive a crash.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.arrival import Response
from auto_iter.alignment.model import Stage
from auto_iter.alignment.ports import Conversion
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.schema import Config
from auto_iter.detector.stations import WITH_IFT, WITHOUT_IFT
from auto_iter.errors import InputError, OutdatedError, PhysicsError
from auto_iter.files import digest, write_atomically
from auto_iter.iteration.conversions import Conversions, source_of
from auto_iter.iteration.predictions import Predictions
from auto_iter.iteration.sealing import manifest_of
from auto_iter.iteration.workers import Workers
from auto_iter.log.setup import get_logger
from auto_iter.millepede.pede.program import choose_pede
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.millepede.survey import survey_in_use
from auto_iter.processes.children import Child
from auto_iter.several_runs import weights
from auto_iter.workspace.hashes import differs
from auto_iter.workspace.paths import Iteration, Workspace
from auto_iter.workspace.records import fingerprint, read_json, read_solution

REPORT_LIMIT_S = 600.0


class Chain:
    """Runs conversions, the solver and the report for one workspace.

    `held_out`: raw files that are converted like all others, and stay out of the fit.
    """

    def __init__(  # noqa: PLR0913 - the parts of a workspace
        self,
        workspace: Workspace,
        arguments: Arguments,
        strategy: Strategy,
        config: Config,
        workers: Workers,
        *,
        held_out: frozenset[int] = frozenset(),
    ) -> None:
        self._workspace = workspace
        self._held_out = held_out
        self._arguments = arguments
        self._strategy = strategy
        self._config = config
        self._workers = workers
        self._solving: Child | None = None
        self._solved = 0
        """The iteration that is being solved."""
        self._reporting: Child | None = None
        self._predictions = Predictions(workspace, arguments.run)
        self._conversions = Conversions(
            self._predictions, strategy, config.millepede, workers, held_out=held_out
        )

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
            self._solving = self._workers.start("solve", paths.millepede, request)
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
        sources = [source_of(paths, number, self._held_out) for number in sorted(numbers)]
        request = SolveRequest.of(
            stage,
            self._config,
            [source for source in sources if not source.judges],
            weights(self._arguments.files),
            hold_out=[source for source in sources if source.judges],
            directory=paths.millepede,
            previous=paths.constants,
            centre=self._paths(1).constants,
            earlier=[each.constants for each in of_phase],
            strategy=str(self._workspace.strategy),
            survey=survey_in_use(self._workspace, self._config),
            stations=self._strategy.stations_in(stage, self._arguments.stations),
        )
        files = [self._workspace.strategy, request.previous, self._paths(1).constants]
        files += [] if request.survey is None else [request.survey]
        settings = request.settings
        if request.hold_out:  # else a file in and the same file out would be the same
            settings["hold_out"] = [source.number for source in request.hold_out]
        judges = (source.statistics for source in request.hold_out)
        made_of = fingerprint(settings, (*files, *request.statistics, *judges))
        return request.model_copy(update={"fingerprint": made_of})

    def seal(self, snapshot: Snapshot, record: IterationRecord) -> str:
        """Write the manifest of a finished iteration; return its hash."""
        manifest = manifest_of(self._workspace, snapshot, record, self._config, self._workers.env)
        write_atomically(self._workspace.manifest(record.iteration), manifest.text)
        return digest(manifest.text.encode())

    def report(self) -> None:
        """Refresh tables and page; a report that fails costs a log line, not the alignment.

        The pictures beside the page, which take as long as all else, are made at the end.
        """
        self._reap_report()
        if self._reporting is None and self._config.alignment.report == "iteration":
            self._report("--page-only")

    def _report(self, *options: str) -> None:
        command = [sys.executable, "-m", "auto_iter.report", str(self._workspace.root), *options]
        self._reporting = self._workers.start_command(command)

    def _reap_report(self, should_stop: Callable[[], bool] | None = None) -> None:
        """See what became of the report, if it has ended; with `should_stop`, wait for its end."""
        child = self._reporting
        if child is None or not (should_stop or child.has_ended):
            return
        self._reporting = None
        if not child.ends_within(REPORT_LIMIT_S, should_stop or (lambda: False)):
            child.stop()
            reason = f"not within {REPORT_LIMIT_S:g} s, or before the daemon was told to end"
            get_logger().warning("report not made", reason=reason)
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

    def finish(self, should_stop: Callable[[], bool]) -> None:
        """Make the report of what is there now, and wait for it, unless somebody asks to stop."""
        self._reap_report(should_stop)
        if self._config.alignment.report != "never" and not should_stop():
            self._report()
            self._reap_report(should_stop)

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
    choose_pede(config.millepede.solver, config.paths.pede_install, env)


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
