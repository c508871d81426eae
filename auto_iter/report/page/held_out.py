"""What held-out tracks showed, as the page tells it: by iteration, and by layer and module."""

from __future__ import annotations

from dataclasses import dataclass

from auto_iter.alignment.judges.hold_out import HoldOut
from auto_iter.detector.labels import component_of_number
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.report.history import Finished, History

UNKNOWN = "–"


@dataclass(frozen=True)
class JudgedIteration:
    """An iteration; texts, `UNKNOWN` where nothing is known. Units are in the page's headings."""

    number: int
    phase: str
    files: str
    tracks: str
    chi2_ndf: str
    of_fit: str
    largest_mean: str
    worst: str
    widths: str
    bias: str
    ift: str
    ift_width: str


@dataclass(frozen=True)
class JudgedPart:
    """A layer or module: mean and width (µm) of its residuals, one pair for each of the `ends`."""

    name: str
    spreads: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class HoldOutSection:
    """The section: its rows; `ends`, the first and last iteration of the last phase; a warning."""

    rows: tuple[JudgedIteration, ...]
    ends: tuple[int, ...]
    parts: tuple[JudgedPart, ...]
    warning: str

    @property
    def has_ift(self) -> bool:
        """Whether tracks were in the interface tracker."""
        return any(row.ift != UNKNOWN for row in self.rows)


def judged(history: History) -> HoldOutSection | None:
    """Return what is to be said of the hold-out; None where there is none."""
    rows = [_row(each, found) for each in history.iterations if (found := each.solution.hold_out)]
    if not rows:
        return None
    phase = history.last.solution
    began = phase.iteration - phase.within + 1
    of_phase = [each for each in history.iterations if each.number >= began]
    seen = [(each.number, out) for each in of_phase if (out := each.solution.held_out) is not None]
    ends = [*seen[:1], *seen[1:][-1:]]
    return HoldOutSection(
        rows=tuple(rows),
        ends=tuple(number for number, _ in ends),
        parts=_parts([statistics for _, statistics in ends]),
        warning=_warning(history),
    )


def _warning(history: History) -> str:
    verdict = None if history.snapshot is None else history.snapshot.verdict
    return "" if verdict is None or verdict.hold_out is None else verdict.hold_out.warning


def _row(finished: Finished, found: HoldOut) -> JudgedIteration:
    return JudgedIteration(
        number=finished.number,
        phase=finished.solution.phase,
        files=str(found.files),
        tracks=str(found.tracks),
        chi2_ndf=f"{found.chi2_ndf:.4f}",
        of_fit=f"{finished.solution.track_chi2_ndf:.4f}",
        largest_mean=_number(found.largest_mean_um, "+.1f"),
        worst=found.worst_module or UNKNOWN,
        widths=_number(found.rms_width_um, ".1f"),
        bias=_with_error(found.qop_bias_per_tev, found.qop_bias_error_per_tev, "+.4f"),
        ift=_with_error(found.ift_mean_um, found.ift_mean_error_um, "+.1f"),
        ift_width=_number(found.ift_width_um, ".0f"),
    )


def _parts(statistics: list[Statistics]) -> tuple[JudgedPart, ...]:
    numbers = sorted({number for each in statistics for number in each.parts})
    return tuple(
        JudgedPart(
            component_of_number(number).name,
            tuple(_spread(each, number) for each in statistics),
        )
        for number in numbers
    )


def _spread(statistics: Statistics, number: str) -> tuple[str, str]:
    spread = statistics.part(number)
    if not spread.hits:
        return UNKNOWN, UNKNOWN
    return _number(spread.mean_um, "+.1f"), _number(spread.width_um, ".1f")


def _number(value: float | None, how: str) -> str:
    return UNKNOWN if value is None else f"{value:{how}}".replace("-", "−")


def _with_error(value: float | None, error: float | None, how: str) -> str:
    if value is None or error is None:
        return UNKNOWN
    return f"{_number(value, how)} ± {_number(error, how.removeprefix('+'))}"
