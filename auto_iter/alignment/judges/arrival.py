"""Whether the constants that an iteration found reached the tracks of the next one.

A solution predicts how far every residual moves when its constants are applied. The amplitude of
that pattern in the residuals of a file is 1 before and 0 after they arrived. Their difference, the
seen fraction, has little noise: both times it is the same tracks. Everything here is pure; the
numbers come from `millepede.amplitude`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from enum import StrEnum

from auto_iter.rawfiles import spoken

MOST_UNCERTAIN = 0.2
"""A seen fraction is judged where all and nothing of the change are five uncertainties apart."""
SAME = 0.01
"""Tracks that were fitted with the constants before show 0.000, and have the chi2 of before."""
NOTHING, LEAST = 0.05, 0.4
"""Up to here nothing arrived, from here on the change did."""
MISFIT = 0.25
"""What is seen may differ from what was predicted by so large a share of chi2. It does, far from
the truth: along what the data hardly fix, steps are too long for residuals to follow linearly."""
REVERSED, MATTERS = -0.2, 0.01
"""A change that goes the wrong way contradicts the prediction when it is that share of chi2."""
MOST_NAMED = 10


@dataclass(frozen=True)
class Look:
    """What the tracks of one file, or of several, show of a change of the constants: sums.

    `gradient` (g) and `curvature` (κ): see `millepede.amplitude`. `tracks`, `chi2`, `ndf`: those
    that pass the cuts, as reconstructed.
    """

    gradient: float = 0.0
    curvature: float = 0.0
    tracks: int = 0
    chi2: float = 0.0
    ndf: int = 0

    def __add__(self, other: Look) -> Look:
        return Look(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def amplitude(self) -> float:
        """How many times the residuals contain the change; 0 where they cannot show it."""
        return self.gradient / self.curvature if self.curvature > 0 else 0.0

    @property
    def variance(self) -> float:
        """Of the amplitude, with the uncertainties scaled up to the chi2/ndf of the tracks."""
        return max(1.0, self.chi2_ndf) / self.curvature if self.curvature > 0 else math.inf

    @property
    def chi2_ndf(self) -> float:
        """chi2/ndf of the tracks; 0 without tracks."""
        return self.chi2 / self.ndf if self.ndf else 0.0


@dataclass(frozen=True)
class Response:
    """The same raw files before and after a change of the constants was applied."""

    before: Look
    after: Look

    @property
    def fraction(self) -> float:
        """The seen part of the change: 1 arrived, 0 did not, −1 arrived with the wrong sign."""
        return self.before.amplitude - self.after.amplitude

    @property
    def uncertainty(self) -> float:
        """Of the fraction, as if the tracks were others each time: an upper limit."""
        return math.sqrt(self.before.variance + self.after.variance)

    @property
    def is_telling(self) -> bool:
        """The change is large enough to be seen or missed."""
        return self.uncertainty <= MOST_UNCERTAIN

    @property
    def is_of_the_same_tracks(self) -> bool:
        """Nothing changed at all: the tracks were fitted with the same constants."""
        pairs = ((self.before.curvature, self.after.curvature), (self.before.chi2, self.after.chi2))
        return abs(self.fraction) <= SAME and all(
            abs(one - other) <= SAME * one for one, other in pairs
        )

    @property
    def contradicts(self) -> bool:
        """The tracks changed otherwise than predicted, by what matters to their chi2."""
        before = self.before
        if (1 - self.fraction) ** 2 * before.curvature > MISFIT * before.chi2:
            return True
        return self.fraction <= REVERSED and before.curvature >= MATTERS * before.chi2


class Reading(StrEnum):
    """What a response says."""

    ARRIVED = "arrived"
    ABSENT = "did not arrive"
    WRONG = "arrived with the wrong sign or scale"
    UNTOLD = "cannot be told"


_CHECK = {
    Reading.ABSENT: (
        "check that the jobs write the database that the reconstruction reads: the output tag of "
        "AtlCoolCopy is the one that the reconstruction's global tag resolves to, "
        "WriteAlignmentConfig stores what it is given, no old inputforalign.txt, database or pool "
        "file is found first, and the outputs are no copies of an earlier iteration"
    ),
    Reading.WRONG: (
        "check the sign and units (mm, rad) of what WriteAlignmentConfig writes, the sign of the "
        "reconstruction's derivatives, the geometry tag, and that the outputs are of this alignment"
    ),
}
_CHECK_FILES = (
    "check where these outputs come from: copied from elsewhere, an earlier submission, or a "
    "machine that found an older database"
)


@dataclass(frozen=True)
class Refusal:
    """Why an iteration's tracks must not be used: `files` are the raw files concerned."""

    reason: str
    check: str
    files: tuple[int, ...]


def find(response: Response) -> Reading:
    """Return what one response says."""
    if not response.is_telling:
        return Reading.UNTOLD
    if response.is_of_the_same_tracks:
        return Reading.ABSENT
    if response.contradicts:
        return Reading.ABSENT if abs(response.fraction) <= NOTHING else Reading.WRONG
    return Reading.ARRIVED if response.fraction >= LEAST else Reading.UNTOLD


def judge(responses: Mapping[int, Response], iteration: int) -> Refusal | None:
    """Return what is wrong with the tracks of `iteration`, by raw file; None when nothing is.

    Quiet where the predicted change is too small to be told from noise.
    """
    found = {number: find(response) for number, response in responses.items()}
    arrived = _having(found, {Reading.ARRIVED})
    others = _having(found, {Reading.ABSENT, Reading.WRONG})
    if arrived and others:
        return _in_some_files(responses, arrived, others, iteration)
    together = total(responses.values())
    finding = find(together)
    if finding not in _CHECK:
        if not others:
            return None
        finding = Reading.WRONG  # wrong in different ways, which add up to nothing
    reason = (
        f"the constants that iteration {iteration - 1} found {finding} in iteration {iteration}: "
        f"of the change that they predict, {_seen(together)} is seen "
        f"(chi2 was to fall by {together.before.curvature:.3g})"
    )
    return Refusal(reason, _CHECK[finding], tuple(sorted(responses)))


def total(responses: Iterable[Response]) -> Response:
    """Return the response of all files together."""
    listed = list(responses)
    return Response(
        sum((each.before for each in listed), Look()), sum((each.after for each in listed), Look())
    )


def _having(found: Mapping[int, Reading], wanted: Collection[Reading]) -> list[int]:
    return sorted(number for number, finding in found.items() if finding in wanted)


def _in_some_files(
    responses: Mapping[int, Response], arrived: list[int], others: list[int], iteration: int
) -> Refusal:
    named = [f"{spoken(number)} ({_seen(responses[number])})" for number in others[:MOST_NAMED]]
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    rest = total(responses[number] for number in arrived)
    reason = (
        f"the constants that iteration {iteration - 1} found arrived only in some files of "
        f"iteration {iteration}: of the change that they predict, {_seen(rest)} is seen in "
        f"{len(arrived)} files, but not in {', '.join(named)}{more}"
    )
    return Refusal(reason, _CHECK_FILES, tuple(others))


def _seen(response: Response) -> str:
    return f"{response.fraction:.2f} ± {response.uncertainty:.2f}"
