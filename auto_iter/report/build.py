"""The whole report of a workspace, written piece by piece, each piece whole."""

from __future__ import annotations

from pathlib import Path

from auto_iter.files import write_atomically
from auto_iter.report.assessment import Assessment, assess
from auto_iter.report.constants_text import constants_text
from auto_iter.report.document import report_json
from auto_iter.report.history import History, read_history
from auto_iter.workspace.paths import Workspace

CONSTANTS = "constants.txt"


def write_report(root: Path) -> list[Path]:
    """Write the report of the workspace at `root`; return its files.

    Raises InputError when there is no workspace, OSError when the report cannot be written.
    """
    history = read_history(root)
    assessment = assess(history)
    workspace = Workspace(root)
    directory = workspace.report
    directory.mkdir(exist_ok=True)
    text = directory / CONSTANTS
    write_atomically(text, constants_text(history, assessment))
    plots = _plots(history, assessment, directory) if history.iterations else []
    document = workspace.report_document
    names = [path.name for path in (text, *plots)]
    write_atomically(document, report_json(history, assessment, names))
    return [text, document, *plots]


def _plots(history: History, assessment: Assessment, directory: Path) -> list[Path]:
    # matplotlib takes its time, and a workspace without iterations needs none of it
    from auto_iter.report.convergence_plot import plot_convergence
    from auto_iter.report.quality_plots import plot_chi2, plot_pulls, plot_residuals

    written = plot_convergence(history, assessment, directory)
    chi2, residuals = directory / "chi2.png", directory / "residuals.png"
    plot_chi2(history, chi2)
    plot_residuals(history, residuals)
    written += [chi2, residuals]
    if assessment.against_truth is not None and assessment.against_truth.pulls:
        pulls = directory / "pulls.png"
        plot_pulls(history, assessment.against_truth, pulls)
        written.append(pulls)
    return written
