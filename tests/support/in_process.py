"""Alignments of simulated detectors in this process, without jobs and daemon: many in little time.

What the daemon would say of an iteration is asked of the same functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from auto_iter.alignment.judges.arrival import Look, Refusal, Response, judge
from auto_iter.alignment.judges.deterioration import (
    IterationStep,
    Sign,
    growing_steps,
    worse_tracks,
)
from auto_iter.alignment.model import Stage
from auto_iter.config.cuts import TrackCuts
from auto_iter.config.schema import Guards
from auto_iter.detector.stations import WITH_IFT, WITHOUT_IFT
from auto_iter.millepede.converting import convert_sources
from auto_iter.millepede.requests import ConvertRequest, SolveRequest, Source
from auto_iter.millepede.results import SolutionRecord, read_solution
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.millepede.workflow import solve
from auto_iter.simulation.reconstruct import reconstruct
from auto_iter.simulation.simulate import Simulated
from auto_iter.weakmodes.review import review

Constants = dict[str, tuple[float, ...]]
Tamper = Callable[[Constants, int], Constants]
"""What becomes of the constants on their way to the reconstruction of the nth file."""

Taken = Callable[[Path, int], Path]
"""Which raw file an iteration reconstructs in the place of one."""

RESIDUAL_CUTS_MM = (1.0, 0.3, 0.1, 0.05)
GUARDS = Guards()


@dataclass(frozen=True)
class Setting:
    """How to align a detector. `iterations`: of each phase; the cuts begin anew in each.

    `held_out`: which files stay out of the fit, from 0.
    """

    strategy: str = "3st"
    iterations: tuple[int, ...] = (5,)
    start: Constants = field(default_factory=dict)
    flipped: str | None = None
    survey: Path | None = None
    held_out: frozenset[int] = frozenset()
    tamper: Tamper = lambda constants, _: constants
    taken: Taken = lambda raw, _: raw
    cuts_mm: tuple[float, ...] = RESIDUAL_CUTS_MM


@dataclass(frozen=True)
class Iterated:
    """One iteration: what its tracks and its steps said, and its solution, where it came to one."""

    number: int
    verdict: Refusal | None
    signs: tuple[Sign, ...]
    responses: dict[int, Response]
    solution: SolutionRecord | None = None

    @property
    def alarm(self) -> str:
        """Why the alignment would have ended here; empty when it would have gone on."""
        reasons = [sign.text for sign in self.signs if sign.is_refused]
        return "; ".join(([self.verdict.reason] if self.verdict else []) + reasons)


def align(directory: Path, simulated: Simulated, setting: Setting) -> Iterator[Iterated]:
    """Align until a guard ends it. Raises PhysicsError as pede does."""
    previous, before = directory / "start.txt", None
    write_constants(previous, setting.start)
    steps: list[IterationStep] = []
    starts: list[Path] = []
    strategy = load_strategy(setting.strategy)
    for stage in stages(setting.iterations):
        number = stage.iteration
        place = directory / f"iter{number:02d}"
        place.mkdir()
        with_ift = strategy.stations_in(stage, WITHOUT_IFT) == WITH_IFT
        used = read_constants(previous)
        raw_files = [setting.taken(raw, number) for raw in simulated.raw_files]
        sources = _reconstructed(place, raw_files, used, setting, with_ift=with_ift)
        cut = setting.cuts_mm[min(stage.within, len(setting.cuts_mm)) - 1]
        responses = _converted(sources, cut, strategy, before)
        iterated = Iterated(
            number,
            judge(responses, number),
            tuple(
                worse_tracks(responses, number, GUARDS.max_track_loss, GUARDS.max_residual_growth)
            ),
            responses,
        )
        if iterated.alarm:
            yield iterated
            return
        starts = [*(starts if stage.within > 1 else ()), previous]
        solution = _solved(place, sources, stage, setting, starts)
        step = IterationStep(solution.largest_pull, solution.track_chi2_ndf or solution.chi2_ndf)
        steps = [*(steps if stage.within > 1 else ()), step]
        grown = growing_steps(steps, GUARDS.max_growing_steps)
        yield replace(iterated, signs=(*iterated.signs, *grown), solution=solution)
        previous, before = place / "inputforalign.txt", place / "solution.json"


def stages(iterations: Sequence[int]) -> Iterator[Stage]:
    """Yield where an alignment is whose phases take so many iterations each."""
    number = 0
    for phase, length in enumerate(iterations):
        for within in range(1, length + 1):
            number += 1
            yield Stage(number, phase, within)


def read_constants(path: Path) -> Constants:
    """Return the constants in an `inputforalign.txt`."""
    return {key: tuple(values) for key, values in json.loads(f"{{{path.read_text()}}}").items()}


def write_constants(path: Path, constants: Mapping[str, Sequence[float]]) -> None:
    """Write an `inputforalign.txt`."""
    path.write_text(",".join(f'"{key}": {list(six)}' for key, six in constants.items()))


def _reconstructed(
    place: Path,
    raw_files: Sequence[Path],
    constants: Constants,
    setting: Setting,
    *,
    with_ift: bool,
) -> tuple[Source, ...]:
    sources = []
    for number, raw in enumerate(raw_files):
        root, stem = place / f"{number}.root", place / str(number)
        used = setting.tamper(constants, number)
        reconstruct(raw, used, root, with_ift=with_ift, flipped=setting.flipped)
        sources.append(
            Source(
                number=number,
                root=root,
                binary=stem.with_suffix(".bin"),
                statistics=stem.with_suffix(".json"),
                judges=number in setting.held_out,
            )
        )
    return tuple(sources)


def _converted(
    sources: tuple[Source, ...], cut: float, strategy: Strategy, before: Path | None
) -> dict[int, Response]:
    records = convert_sources(
        ConvertRequest(
            sources=sources,
            cuts=TrackCuts(max_residual_mm=cut),
            labels=strategy.labels,
            prediction=before,
        )
    )
    prediction = None if before is None else read_solution(before).prediction
    if prediction is None:
        return {}
    return {
        record.number: Response(prediction.files[record.number], record.look or Look())
        for record in records
    }


def _solved(
    place: Path, sources: tuple[Source, ...], stage: Stage, setting: Setting, starts: list[Path]
) -> SolutionRecord:
    fit = [source for source in sources if not source.judges]
    request = SolveRequest(
        directory=place,
        binaries=tuple(source.binary for source in fit),
        statistics=tuple(source.statistics for source in fit),
        hold_out=tuple(source for source in sources if source not in fit),
        previous=starts[-1],
        earlier=tuple(starts),
        centre=place.parent / "start.txt",
        strategy=setting.strategy,
        survey=setting.survey,
        iteration=stage.iteration,
        phase=stage.phase,
        within=stage.within,
        solver="builtin",
        max_shift_mm=1e9,
        max_rotation_rad=1e9,
    )
    return solve(request, {}, review)
