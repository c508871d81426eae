"""What the alignments of a campaign amount to together: whether the detector stayed, what moved.

Each interval that is done is tested against the one before it. An interval counts as moved when its
p-value is below `false_alarm` divided by the number of tests (Bonferroni), so that a detector that
stays is said to move, anywhere, in that part of all campaigns at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise

from auto_iter.alignment.history import IterationRecord
from auto_iter.campaign.movements import Explained, movements
from auto_iter.campaign.over_time import ConstantCourse, courses
from auto_iter.campaign.plan import Campaign, Interval
from auto_iter.campaign.standing import Standing
from auto_iter.daemon.lifecycle import open_snapshot
from auto_iter.errors import InputError
from auto_iter.ledger.difference import Difference, common_labels, common_modes, difference
from auto_iter.ledger.places import NO_RESULT
from auto_iter.ledger.sample import Sample, sample
from auto_iter.weakmodes.modes import WeakMode, name_weak_modes

MOST_OF_A_MATRIX = 20
"""Of more intervals not each is compared with each."""


@dataclass(frozen=True)
class Result:
    """A finished alignment: which iteration has its constants, and that one's numbers."""

    interval: Interval
    verdict: str
    record: IterationRecord
    sample: Sample


@dataclass(frozen=True)
class IntervalTest:
    """An interval against the one before. `p_value`: of one detector in both."""

    before: str
    interval: str
    difference: Difference
    moved: bool
    explained: Explained | None = None


@dataclass(frozen=True)
class Findings:
    """All of it, for page, document and terminal.

    `threshold`: a p-value below means moved. `matrix`: p-values of pairs of intervals, by name.
    `weak`: combinations that no interval determines. `notes`: what a person should know.
    """

    standings: tuple[Standing, ...]
    results: tuple[Result, ...]
    tests: tuple[IntervalTest, ...]
    threshold: float
    false_alarm: float
    matrix: dict[tuple[str, str], float] = field(default_factory=dict)
    courses: tuple[ConstantCourse, ...] = ()
    weak: tuple[WeakMode, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def moved(self) -> tuple[IntervalTest, ...]:
        """The tests that say so."""
        return tuple(each for each in self.tests if each.moved)


def find(campaign: Campaign, standings: Sequence[Standing]) -> Findings:
    """Return what the intervals that are done amount to; what is impossible is in `notes`."""
    notes: list[str] = []
    results = list(_results(standings, notes))
    notes += _doubts(standings, results)
    false_alarm = campaign.settings.false_alarm
    threshold = false_alarm / max(len(results) - 1, 1)
    samples = [each.sample for each in results]
    found = Findings(
        tuple(standings), tuple(results), (), threshold, false_alarm, notes=tuple(notes)
    )
    if len(samples) < 2:
        return found
    try:
        modes = common_modes(samples, common_labels(samples))
        return replace(
            found,
            tests=tuple(_test(one, other, threshold) for one, other in pairwise(samples)),
            matrix=_matrix(samples),
            courses=courses(samples, modes),
            weak=name_weak_modes(modes, samples[0].scheme),
        )
    except InputError as error:
        return replace(found, notes=(*notes, f"the intervals cannot be compared: {error}"))


def _results(standings: Sequence[Standing], notes: list[str]) -> Iterator[Result]:
    for each in standings:
        if not each.is_done:
            continue
        try:
            yield _result(each)
        except InputError as error:
            notes.append(f"{each.interval.name}: left out: {error}")


def _result(of: Standing) -> Result:
    workspace = of.interval.workspace
    snapshot, _ = open_snapshot(workspace.root)
    record = snapshot.result
    if record is None:
        raise InputError(NO_RESULT)
    paths = workspace.iteration(record.iteration, of.interval.run)
    found = sample(of.interval.name, paths.millepede, workspace.strategy)
    if not found.free:
        raise InputError("no parameter was free")
    _ = found.hessian  # read now: where it cannot be, this interval is left out, not all of them
    return Result(of.interval, of.verdict, record, found)


def _doubts(standings: Sequence[Standing], results: Sequence[Result]) -> Iterator[str]:
    missing = [each.interval.name for each in standings if not each.is_done]
    if missing:
        yield f"not done, and not part of this: {', '.join(missing)}"
    for each in results:
        if each.verdict != "converged":
            yield (
                f"{each.interval.name}: {each.verdict}: what is still to move counts as a "
                "difference, and is in none of the uncertainties"
            )
    if len({each.record.hashes.strategy for each in results}) > 1:
        yield "not all intervals were aligned with the same strategy"


def _test(one: Sample, other: Sample, threshold: float) -> IntervalTest:
    between = difference(one, other)
    moved = between.p_value is not None and between.p_value < threshold
    explained = movements(between, threshold) if moved else None
    return IntervalTest(one.name, other.name, between, moved, explained)


def _matrix(samples: Sequence[Sample]) -> dict[tuple[str, str], float]:
    if len(samples) > MOST_OF_A_MATRIX:
        return {}
    return {
        (one.name, other.name): p_value
        for one, other in combinations(samples, 2)
        if (p_value := difference(one, other).p_value) is not None
    }
