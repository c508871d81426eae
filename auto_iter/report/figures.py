"""All figures of a report, one after the other; one that cannot be drawn leaves a gap that says so.

matplotlib takes a second to load: import this where there is something to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from auto_iter.report.assessment import Assessment
from auto_iter.report.history import History
from auto_iter.report.jobs import JobCourses
from auto_iter.report.plots.convergence import convergence_figures
from auto_iter.report.plots.drawn import Drawn
from auto_iter.report.plots.modes import correlations_figure, spectrum_figure, weak_modes_figure
from auto_iter.report.plots.quality import chi2_figure, movement_figure, pulls_figure
from auto_iter.report.plots.residuals import distributions_figure, layers_figure, maps_figure
from auto_iter.report.plots.timeline import timeline_figure

Make = Callable[[], Drawn | Iterable[Drawn] | None]


@dataclass(frozen=True)
class Gap:
    """A figure that is not there, and why."""

    what: str
    why: str


def figures(
    history: History, assessment: Assessment, jobs: JobCourses | None
) -> Iterator[tuple[str, Drawn | Gap]]:
    """Yield the figures, each with the section of the page that it belongs to."""
    for section, what, make in _all(history, assessment, jobs):
        try:
            made = make()
            if made is None:
                yield section, Gap(what, "not known in this workspace")
            elif isinstance(made, Drawn):
                yield section, made
            else:
                yield from ((section, each) for each in made)
        except Exception as error:
            yield section, Gap(what, f"cannot be drawn ({type(error).__name__}: {error})")


def _all(
    history: History, assessment: Assessment, jobs: JobCourses | None
) -> Iterator[tuple[str, str, Make]]:
    if history.iterations:
        yield from _of_iterations(history, assessment)
    yield (
        "jobs",
        "the jobs over time",
        lambda: None if jobs is None else timeline_figure(jobs, history.records, history.title),
    )


def _of_iterations(history: History, assessment: Assessment) -> Iterator[tuple[str, str, Make]]:
    yield "quality", "χ² and tracks", lambda: chi2_figure(history)
    yield "convergence", "what still moves", lambda: movement_figure(history, history.limit)
    yield "convergence", "convergence", lambda: convergence_figures(history, assessment)
    against = assessment.against_truth
    if against is not None and against.pulls:
        yield "convergence", "pulls", lambda: pulls_figure(history, against)
    yield "residuals", "residuals by module", lambda: maps_figure(history)
    yield "residuals", "residuals by layer", lambda: layers_figure(history)
    yield "residuals", "distributions of residuals", lambda: distributions_figure(history)
    modes = assessment.modes
    if modes is None:
        yield "modes", "correlations and weak modes", lambda: None
        return
    if assessment.weak:
        yield "modes", "weak modes", lambda: weak_modes_figure(history, modes, assessment.weak)
    yield "modes", "spectrum", lambda: spectrum_figure(history, modes)
    yield "modes", "correlations", lambda: correlations_figure(history, modes)
