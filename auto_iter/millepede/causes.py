"""Which setting is behind a refusal of pede: what it says of its input comes from our own cuts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auto_iter.errors import PhysicsError
from auto_iter.millepede.statistics import Statistics

BLAMED = 0.5
"""A cut that takes more than this part of what comes to it is the first suspect."""

_TRACK_CUTS = {
    "chi2": "max_chi2",
    "pz_low": "min_pz_gev",
    "pz_high": "max_pz_gev",
    "hits": "min_hits",
}
_REJECTS = re.compile(
    r"Data rejected in previous loop:\s+(\d+) +\(rank deficit/NaN\)\s+(\d+) +\(Ndf=0\)\s+"
    r"(\d+) +\(huge\)\s+(\d+) +\(large\)"
)


class RefusalError(PhysicsError):
    """pede, or the built-in solver, makes nothing of its input."""


@dataclass(frozen=True)
class Rejects:
    """Why records were left out of the last loop through the data; pede's own four reasons."""

    singular: int
    no_freedom: int
    huge: int
    large: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.singular + self.no_freedom + self.huge + self.large

    @property
    def words(self) -> str:
        """How many went for which reason."""
        return (
            f"{self.singular} singular or NaN, {self.no_freedom} with ndf 0, "
            f"{self.huge} huge, {self.large} large chi2"
        )

    @property
    def remedy(self) -> str:
        """What decides about the largest part of them."""
        starved = self.singular + self.no_freedom
        if starved >= max(self.huge, self.large):
            return "too few hits are left of the tracks: widen millepede.cuts.max_residual_mm"
        if self.huge >= self.large:
            return "look at the constants to start from, or raise pede.hugecut in the strategy"
        return "loosen chisqcut in the strategy's pede.options, or improve the start values"


def read_rejects(output: Path) -> Rejects | None:
    """Return what pede prints before it stops for too many rejects; None when it does not."""
    try:
        found = _REJECTS.findall(output.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return Rejects(*map(int, found[-1])) if found else None


@contextmanager
def cuts_are_suspected(statistics: Statistics) -> Iterator[None]:
    """Put the cut to blame, if there is one, in the place of a refusal's general advice."""
    try:
        yield
    except RefusalError as error:
        cause = cut_to_blame(statistics)
        if cause is None:
            raise
        raise RefusalError(error.reason, cause) from error


def cut_to_blame(statistics: Statistics) -> str | None:
    """Return which cut took most of the tracks or hits, and what to do; None when none did."""
    for reason, setting in _TRACK_CUTS.items():
        dropped = statistics.dropped_tracks.get(reason, 0)
        if dropped > BLAMED * statistics.tracks:
            return (
                f"millepede.cuts.{setting} leaves out {dropped} of {statistics.tracks} tracks: "
                "loosen it, or look at the reconstruction"
            )
    hits = statistics.hits - statistics.dropped_hits.get("track", 0)
    dropped = statistics.dropped_hits.get("residual", 0)
    if dropped > BLAMED * hits:
        return (
            f"millepede.cuts.max_residual_mm leaves out {dropped} of {hits} hits: widen it, or "
            "look at the constants to start from"
        )
    return None
