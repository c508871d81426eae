"""Jobs over time: a row for each raw file, with waiting, running, holds and failed attempts."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from auto_iter.alignment.history import IterationRecord
from auto_iter.batch.courses import Course
from auto_iter.rawfiles import spoken
from auto_iter.report.jobs import JobCourses
from auto_iter.report.plots.drawn import Drawn, Margins, panels, tag
from auto_iter.report.style import ACCENT, GREY, LAST, MODULE_COLOURS, PAPER, WAITING
from auto_iter.times import duration

_COLOURS = {"waiting": WAITING, "running": LAST, "held": MODULE_COLOURS[1]}
_UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (180.0, 60.0, "minutes"))
_FAILED = MODULE_COLOURS[5]


def timeline_figure(jobs: JobCourses, records: Sequence[IterationRecord], title: str) -> Drawn:
    """Return the timeline; lines mark the ends of the iterations in `records`."""
    begin = jobs.begin
    ends = [span.end for each in jobs.courses.values() for c in each for span in c.spans]
    last = max([*ends, *(record.finished_at for record in records)])
    unit, name = next(
        ((size, name) for least, size, name in _UNITS if last - begin > least), (1.0, "seconds")
    )
    heading = "Jobs"
    margins = Margins(left=0.8, right=0.2, top=0.95, bottom=0.75)
    tall = max(1.2, 0.16 * len(jobs.shown))
    figure, (axes,) = panels((10.5, 1.7 + tall), (1, 1), (heading, title), margins)
    rows = {number: row for row, number in enumerate(jobs.shown)}
    for iteration, courses in sorted(jobs.courses.items()):
        for course in courses:
            _row(axes, rows[course.number], iteration, course, (begin, unit))
    _iterations(axes, records, begin, unit)
    step = max(1, len(jobs.shown) // 12)
    axes.set_yticks(range(0, len(rows), step), [spoken(n) for n in jobs.shown[::step]], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max((last - begin) / unit, 1e-3) * 1.01)
    axes.set_xlabel(f"{name} since the first submission")
    axes.set_ylabel("raw file")
    axes.grid(visible=False, axis="y")
    handles: list[Patch | Line2D] = [Patch(color=c, label=kind) for kind, c in _COLOURS.items()]
    handles.append(_failed([], [], label="ended without success"))
    handles.append(Line2D([], [], color=GREY, linestyle=":", label="iteration ends"))
    figure.legend(handles=handles, loc="upper right", ncols=5)
    some = f" {len(rows)} of {jobs.files} raw files: those with the most events, and some others."
    caption = "Each bar is an attempt."
    return Drawn("jobs", heading, caption + (some if len(rows) < jobs.files else ""), figure)


def _failed(x: list[float], y: list[float], label: str = "") -> Line2D:
    return Line2D(x, y, color=_FAILED, marker="x", markersize=7, mew=2, ls="", label=label)


def _row(axes: Axes, row: int, iteration: int, course: Course, since: tuple[float, float]) -> None:
    begin, unit = since
    told = f"raw file {spoken(course.number)}, iteration {iteration}: {_in_words(course)}"
    for kind, colour in _COLOURS.items():
        spans = [
            ((span.begin - begin) / unit, (span.end - span.begin) / unit)
            for span in course.spans
            if span.kind == kind
        ]
        if spans:
            bars = axes.broken_barh(
                spans, (row - 0.38, 0.76), facecolors=colour, edgecolors=PAPER, lw=0.7
            )
            tag(bars, f"file{course.number}", told)
    if course.failed_at:
        times = [(at - begin) / unit for at in course.failed_at]
        marks = axes.add_line(_failed(times, [float(row)] * len(times)))
        tag(marks, f"file{course.number}", told)


def _in_words(course: Course) -> str:
    words = []
    for kind in _COLOURS:
        seconds = sum(span.end - span.begin for span in course.spans if span.kind == kind)
        if seconds >= 1:
            words.append(f"{kind} {duration(seconds)}")
    attempts = f"{course.attempts} attempts" if course.attempts > 1 else "1 attempt"
    failed = f", {len(course.failed_at)} without success" if course.failed_at else ""
    return f"{attempts}{failed}; {', '.join(words)}"


def _iterations(axes: Axes, records: Sequence[IterationRecord], begin: float, unit: float) -> None:
    for record in records:
        at = (record.finished_at - begin) / unit
        axes.axvline(at, color=GREY, linestyle=":", linewidth=1.0, zorder=0.6)
        axes.text(
            at,
            1.0,
            f" {record.iteration}",
            transform=axes.get_xaxis_transform(),
            ha="right",
            va="bottom",
            fontsize=8.5,
            color=GREY if record.converged is not False else ACCENT,
        )
