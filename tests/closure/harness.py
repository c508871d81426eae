"""A whole alignment of a simulated detector in this process, without jobs and daemon.

Simulation, reconstruction, conversion, solver and what follows an iteration (another one, another
phase, the end and its verdict) are the product's own; only that they are called one after the other
is not. So several detectors can be aligned in the time of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.model import Stage
from auto_iter.alignment.policy import Policy
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.file import load_config
from auto_iter.config.schema import Config
from auto_iter.detector.constants import Constants, format_constants, read_constants
from auto_iter.detector.stations import WITH_IFT, WITHOUT_IFT
from auto_iter.millepede.converting import convert_sources
from auto_iter.millepede.requests import ConvertRequest, SolveRequest, Source
from auto_iter.millepede.results import SolutionRecord
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.millepede.workflow import NEW_CONSTANTS, solve
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.misalignment import Sizes
from auto_iter.simulation.reconstruct import reconstruct
from auto_iter.simulation.simulate import Options, Simulated, simulate
from auto_iter.weakmodes.review import review
from states import next_iteration
from states.step import Fire, Ports
from tests.support.alone import NoCredentials
from tests.support.fakes import MemoryBatch
from tests.support.simulated import chi2_per_ndf
from tests.support.twins import FrozenClock, TwinMillepede, TwinReconstruction

FIRST_FILE = 400


def from_nothing(truth: Constants) -> Constants:
    """Return no constants: the nominal geometry."""
    del truth
    return {}


def without_ift_layers(truth: Constants) -> Constants:
    """Return a good spectrometer, and IFT modules in place: only the IFT's layers are unknown."""
    return {key: values for key, values in truth.items() if not (key[0] == "0" and len(key) == 2)}


def without_ift_modules(truth: Constants) -> Constants:
    """Return a good spectrometer, and IFT layers in place: only the IFT's modules are unknown."""
    return {key: values for key, values in truth.items() if not (key[0] == "0" and len(key) == 3)}


STARTS = {"ift-global": without_ift_layers, "ift-local": without_ift_modules}
"""What strategies that are not for a detector of which nothing is known begin with."""


@dataclass(frozen=True)
class Case:
    """What is aligned, and how. `settings`: as `--set`; `iterations`: the most."""

    strategy: str = "3st"
    seed: int = 1
    stations: int = 3
    files: int = 4
    events: int = 2000
    sizes: Sizes = field(default_factory=Sizes)
    start: Callable[[Constants], Constants] = from_nothing
    iterations: int = 10
    settings: tuple[str, ...] = ()
    flipped: str | None = None


def shipped_case(strategy: str, seed: int, **other: Any) -> Case:
    """Return the case that a strategy of ours is made for. `other`: more fields of `Case`."""
    loaded = load_strategy(strategy)
    return Case(
        strategy,
        seed,
        stations=WITH_IFT if loaded.needs_ift else WITHOUT_IFT,
        start=STARTS.get(strategy, from_nothing),
        **{"iterations": loaded.iterations or 10, **other},
    )


@dataclass(frozen=True)
class Solved:
    """One iteration: `place` holds what it left, `started_from` the constants of its tracks."""

    stage: Stage
    phase: str
    place: Path
    started_from: Constants
    record: SolutionRecord

    @property
    def constants(self) -> Constants:
        """What it found."""
        return read_constants(self.place / NEW_CONSTANTS)

    @property
    def binaries(self) -> list[Path]:
        """Its tracks, as Mille."""
        return sorted(self.place.glob("*.bin"))


@dataclass(frozen=True)
class Aligned:
    """The outcome of an alignment."""

    case: Case
    strategy: Strategy
    simulated: Simulated
    iterations: tuple[Solved, ...]
    snapshot: Snapshot

    @property
    def truth(self) -> Constants:
        """The constants that it should have found."""
        return {key: tuple(values) for key, values in self.simulated.constants.items()}

    @property
    def verdict(self) -> Verdict:
        """What the alignment says of itself."""
        assert self.snapshot.verdict is not None
        return self.snapshot.verdict

    @property
    def last(self) -> Solved:
        """The last iteration."""
        return self.iterations[-1]

    @property
    def ends_of_phases(self) -> list[Solved]:
        """The last iteration of each phase that it came to."""
        return list({each.stage.phase: each for each in self.iterations}.values())

    def ideal_chi2_ndf(self, solved: Solved) -> float:
        """Return the chi2/ndf that an iteration's tracks have under the true constants."""
        stations = self.strategy.stations_in(solved.stage, self.case.stations)
        return chi2_per_ndf(
            self.simulated.raw_files,
            self.simulated.constants,
            self.simulated.truth.with_name("ideal.root"),
            with_ift=stations == WITH_IFT,
        )


def align(directory: Path, case: Case) -> Aligned:
    """Simulate a detector in `directory` and align it until the alignment says that it is over."""
    simulated = simulate(directory / "sim", _options(case))
    config = load_config(simulated.config, case.settings)
    strategy = load_strategy(case.strategy)
    ports, snapshot = _beginning(case, strategy, config)
    truth = {key: tuple(values) for key, values in simulated.constants.items()}
    centre = directory / "start.txt"
    centre.write_text(format_constants(case.start(truth)))
    previous = centre
    iterations: list[Solved] = []
    is_over = False
    while not is_over:
        stage = snapshot.stage
        phase = strategy.phases[stage.phase]
        if stage.within == 1 and phase.start == "initial":
            previous = centre
        place = directory / f"iter{stage.iteration:02d}"
        job = _Job(case, simulated, strategy, config, stage, place)
        record = job.run(previous, centre)
        iterations.append(Solved(stage, phase.name, place, read_constants(previous), record))
        previous = place / NEW_CONSTANTS
        summary = {name: getattr(record, name) for name in SolutionSummary.model_fields}
        outcome = next_iteration.run(snapshot.but(solution=summary), ports)
        assert isinstance(outcome, Fire)
        snapshot, is_over = outcome.snapshot, outcome.event == "finish"
    return Aligned(case, strategy, simulated, tuple(iterations), snapshot)


def _options(case: Case) -> Options:
    return Options(
        files=range(FIRST_FILE, FIRST_FILE + case.files),
        seed=case.seed,
        beam=Beam(stations=case.stations, events=case.events),
        sizes=case.sizes,
    )


def _beginning(case: Case, strategy: Strategy, config: Config) -> tuple[Ports, Snapshot]:
    clock = FrozenClock()
    ports = Ports(
        credentials=NoCredentials(),
        batch=MemoryBatch(clock),
        reconstruction=TwinReconstruction(frozenset(range(case.files))),
        millepede=TwinMillepede(),
        now=clock.now,
        policy=Policy(config.reco, config.alignment),
        plan=strategy.plan(config),
    )
    arguments = Arguments(
        year=2023,
        run=11705,
        files=f"{FIRST_FILE}-{FIRST_FILE + case.files}",
        iterations=case.iterations,
        stations=case.stations,
    )
    began = clock.now()
    return ports, Snapshot(workspace_id="closure", arguments=arguments, iteration_started_at=began)


@dataclass(frozen=True)
class _Job:
    """One iteration, to be run in `place`."""

    case: Case
    simulated: Simulated
    strategy: Strategy
    config: Config
    stage: Stage
    place: Path

    def run(self, previous: Path, centre: Path) -> SolutionRecord:
        """Reconstruct, convert and solve."""
        self.place.mkdir()
        sources = self._sources()
        self._reconstruct(sources, read_constants(previous))
        cuts = self.strategy.cuts_in(self.stage, self.config.millepede.cuts)
        convert_sources(
            ConvertRequest(
                sources=sources,
                cuts=cuts,
                labels=self.strategy.labels,
            )
        )
        for source in sources:
            source.root.unlink()  # large, and of no more use
        return solve(self._request(sources, previous, centre), {}, review)

    def _sources(self) -> tuple[Source, ...]:
        return tuple(
            Source(
                number=number,
                root=self.place / f"{number}.root",
                binary=self.place / f"{number}.bin",
                statistics=self.place / f"{number}.json",
            )
            for number in range(self.case.files)
        )

    @property
    def _stations(self) -> int:
        return self.strategy.stations_in(self.stage, self.case.stations)

    def _reconstruct(self, sources: tuple[Source, ...], constants: Constants) -> None:
        for source, raw in zip(sources, self.simulated.raw_files, strict=True):
            reconstruct(
                raw,
                constants,
                source.root,
                with_ift=self._stations == WITH_IFT,
                flipped=self.case.flipped,
            )

    def _request(self, sources: tuple[Source, ...], previous: Path, centre: Path) -> SolveRequest:
        return SolveRequest(
            directory=self.place,
            binaries=tuple(source.binary for source in sources),
            statistics=tuple(source.statistics for source in sources),
            previous=previous,
            centre=centre,
            strategy=self.case.strategy,
            iteration=self.stage.iteration,
            phase=self.stage.phase,
            within=self.stage.within,
            stations=self._stations,
            solver="builtin",
            max_shift_mm=self.config.millepede.max_shift_mm,
            max_rotation_rad=self.config.millepede.max_rotation_rad,
        )
