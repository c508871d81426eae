"""Why records were left out of a solution: pede's four kinds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Rejects:
    """Counts of records: `singular` local fit or NaN, `no_freedom` left, `huge` and `large` chi2.

    `huge` is beyond the steering's `hugecut`, `large` beyond `chisqcut` or the down-weighting's.
    """

    singular: int = 0
    no_freedom: int = 0
    huge: int = 0
    large: int = 0

    def __str__(self) -> str:
        """Return the counts in words."""
        return (
            f"{self.singular} singular or NaN, {self.no_freedom} with ndf 0, "
            f"{self.huge} huge, {self.large} large chi2"
        )

    @property
    def total(self) -> int:
        """All records that were left out."""
        return self.singular + self.no_freedom + self.huge + self.large

    @property
    def lack_hits(self) -> bool:
        """Whether most have too few hits, or too like ones, for a fit of their own."""
        return self.singular + self.no_freedom > self.huge + self.large

    @property
    def steering_cut(self) -> str:
        """The keyword that most were rejected by, when it is one of chi2."""
        return "hugecut" if self.huge >= self.large else "chisqcut"

    @property
    def remedy(self) -> str:
        """What to do about it in terms of the steering file and its binaries."""
        if self.lack_hits:
            return "these tracks have too few hits left for a fit: look at what cuts hits"
        return f"loosen {self.steering_cut}, or improve the start values"
