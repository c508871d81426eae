"""The whole report of a workspace, written piece by piece, each piece whole."""

from __future__ import annotations

import time
from pathlib import Path

from auto_iter.files import write_atomically
from auto_iter.report.assessment import Assessment, assess
from auto_iter.report.constants_text import constants_text
from auto_iter.report.document import report_json
from auto_iter.report.history import History, read_history
from auto_iter.report.jobs import JobCourses, read_jobs
from auto_iter.report.page.page import Shown, page
from auto_iter.workspace.paths import Workspace

CONSTANTS, PAGE = "constants.txt", "report.html"
PAIRS = 20


def write_report(root: Path, *, pictures: bool = True) -> list[Path]:
    """Write the report of the workspace at `root`; return its files, the page first.

    `pictures`: each figure as PNG, too. Raises InputError when there is no workspace, OSError when
    the report cannot be written.
    """
    history = read_history(root)
    assessment = assess(history)
    workspace = Workspace(root)
    directory = workspace.report
    directory.mkdir(exist_ok=True)
    text = directory / CONSTANTS
    write_atomically(text, constants_text(history, assessment))
    shown, plots = _figures(history, assessment, workspace, pictures=pictures)
    html = directory / PAGE
    pairs = _pairs(history, assessment)
    write_atomically(html, page(history, assessment, shown, pairs, workspace))
    names = [path.name for path in (html, text, *plots)]
    write_atomically(workspace.report_document, report_json(history, assessment, names))
    return [html, text, workspace.report_document, *plots]


def _figures(
    history: History, assessment: Assessment, workspace: Workspace, *, pictures: bool
) -> tuple[list[Shown], list[Path]]:
    jobs = _jobs(workspace)
    if jobs is None and not history.iterations:
        return [], []
    # matplotlib takes its time, and a workspace without anything to draw needs none of it
    from auto_iter.report.figures import Gap, figures
    from auto_iter.report.plots.svg import inline_svg
    from auto_iter.report.style import plot_style, save

    shown, written = [], []
    with plot_style():
        for section, drawn in figures(history, assessment, jobs):
            if isinstance(drawn, Gap):
                shown.append(Shown(section, "", drawn.what, drawn.why))
                continue
            svg = inline_svg(drawn)
            shown.append(Shown(section, drawn.name, drawn.title, drawn.caption, svg))
            if pictures:
                written.append(workspace.report / f"{drawn.name}.png")
                save(drawn.figure, written[-1])
    return shown, written


def _jobs(workspace: Workspace) -> JobCourses | None:
    """Return what the job logs of all iterations tell."""
    logs = {
        int(directory.name.removeprefix("iter")): directory / "1reco" / "logs"
        for directory in workspace.root.glob("iter[0-9]*")
        if directory.name.removeprefix("iter").isdecimal()
    }
    return read_jobs(logs, time.time())


def _pairs(history: History, assessment: Assessment) -> list[tuple[str, str, float]]:
    if assessment.modes is None:
        return []
    from auto_iter.report.plots.modes import strongest_pairs

    return strongest_pairs(assessment.modes, history.strategy.labels, PAIRS)
