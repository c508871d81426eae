"""The page put together: figures, tables and texts into one file that asks for nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auto_iter.report.assessment import Assessment
from auto_iter.report.history import History
from auto_iter.report.page.environment import environment
from auto_iter.report.page.headline import headline, tiles
from auto_iter.report.page.held_out import judged
from auto_iter.report.page.provenance import as_used, provenance
from auto_iter.report.page.troubles import file_troubles, read_log
from auto_iter.report.ranges import ranges_of
from auto_iter.report.units import constant_name, unit_of
from auto_iter.workspace.paths import Workspace

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Shown:
    """A figure as it goes into the page; without `svg` a gap, and `caption` says why."""

    section: str
    name: str
    title: str
    caption: str
    svg: str = ""


def page(
    history: History,
    assessment: Assessment,
    shown: Sequence[Shown],
    pairs: Sequence[tuple[str, str, float]],
    workspace: Workspace,
) -> str:
    """Return the text of `report.html`."""
    against = assessment.against_truth
    told = read_log(workspace.log if workspace.log.exists() else workspace.old_log)
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            history=history,
            headline=headline(history),
            tiles=tiles(history, assessment),
            shown=_by_section(shown),
            told=told,
            files=file_troubles(history),
            judged=judged(history),
            ranges=ranges_of(history),
            modes=assessment.weak,
            pairs=pairs,
            constant_name=constant_name,
            unit_of=unit_of,
            provenance=provenance(history, told, workspace.root),
            configuration=as_used(workspace.config),
            strategy=as_used(workspace.strategy),
            notes=(*history.notes, *assessment.notes),
            made_at=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            has_truth=against is not None,
            pulls={} if against is None else against.pulls,
        )
    )


def _by_section(shown: Iterable[Shown]) -> dict[str, list[Shown]]:
    sections: dict[str, list[Shown]] = {}
    for each in shown:
        sections.setdefault(each.section, []).append(each)
    return sections
