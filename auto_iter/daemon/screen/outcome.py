"""What `run` leaves on the screen: what the alignment amounts to, and where all the rest is."""

from __future__ import annotations

import json
from typing import Any

from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import GroupChange
from auto_iter.daemon.screen.layout import unbroken, wrapped
from auto_iter.daemon.screen.status_text import history_table
from auto_iter.workspace.paths import Workspace

SHOWN_ITERATIONS = 4
SHOWN_GROUPS = 4
"""With these all of it fits a screen of 24 lines."""

TABLES, PAGE = "constants.txt", "report.html"


def outcome_text(workspace: Workspace, snapshot: Snapshot) -> str:
    """Return a screenful about a finished alignment: verdict, what moved last, where it all is."""
    most = snapshot.arguments.iterations
    head = f"{workspace.root.name}: done, {snapshot.iteration} of {most} iterations"
    lines = [
        head if not snapshot.strategy else f"{head} (strategy {snapshot.strategy})",
        *([] if snapshot.verdict is None else [snapshot.verdict.sentence]),
        "",
        *_iterations(snapshot),
        *_groups(snapshot),
        *_truth(workspace),
        "",
        *_places(workspace, snapshot),
    ]
    return "\n".join(wrapped(lines))


def _iterations(snapshot: Snapshot) -> list[str]:
    rows = [each.model_dump(mode="json") for each in snapshot.history]
    left_out = len(rows) - SHOWN_ITERATIONS
    table = history_table(rows[-SHOWN_ITERATIONS:])
    return [*table, f"and {left_out} before these: auto-iter status"] if left_out > 0 else table


def _groups(snapshot: Snapshot) -> list[str]:
    """Return the groups that moved most in the last iteration, in units of their uncertainties."""
    groups = snapshot.history[-1].groups if snapshot.history else ()
    if not groups:
        return []
    first = sorted(groups, key=lambda each: -each.largest_pull)[:SHOWN_GROUPS]
    width = max(len("largest changes"), *(len(each.name) for each in first))
    head = f"{'largest changes':<{width}} {'in σ':>7} {'largest':>14} {'rms':>14}  worst"
    return ["", head, *(_group_row(each, width) for each in first)]


def _group_row(group: GroupChange, width: int) -> str:
    largest, rms = (f"{value:.4g} {group.unit}" for value in (group.largest, group.rms))
    return f"{group.name:<{width}} {group.largest_pull:7.2f} {largest:>14} {rms:>14}  {group.worst}"


def _truth(workspace: Workspace) -> list[str]:
    """Return how far the constants are from the truth, where a simulation has one."""
    try:
        pulls: dict[str, Any] | None = json.loads(workspace.report_document.read_text())["pulls"]
    except (OSError, ValueError, KeyError):
        return []
    if pulls is None:
        return []
    said = f"mean {pulls['mean']:+.2f}, width {pulls['width']:.2f}, largest {pulls['largest']:.2f}"
    return [f"pulls of {pulls['constants']} constants against the truth: {said}"]


def _places(workspace: Workspace, snapshot: Snapshot) -> list[str]:
    """Return where the result is: the constants for the next reconstruction, and the report."""
    verdict = snapshot.verdict
    paths = workspace.iteration(snapshot.iteration, snapshot.arguments.run)
    constants = verdict.constants if verdict is not None and verdict.constants else ""
    places = {"constants": constants or str(paths.new_constants)}
    page, tables = workspace.report / PAGE, workspace.report / TABLES
    if tables.is_file():
        places["report"] = str(page if page.is_file() else workspace.report)
        places["tables"] = f"{TABLES}, beside it"
    return [f"{name + ':':<10} {unbroken(place)}" for name, place in places.items()]
