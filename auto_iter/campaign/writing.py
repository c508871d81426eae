"""`campaign.html` and `campaign.json`, each written whole."""

from __future__ import annotations

import json
import time
from pathlib import Path

from auto_iter.campaign.findings import Findings
from auto_iter.campaign.plan import Campaign
from auto_iter.campaign.text import as_document, headline, outcome, size
from auto_iter.files import write_atomically
from auto_iter.report.page.environment import environment
from auto_iter.report.page.page import Shown
from auto_iter.report.units import constant_name

TEMPLATE = "campaign.html.j2"


def write_campaign(campaign: Campaign, findings: Findings) -> list[Path]:
    """Write page and document; return their paths. Raises OSError."""
    text = json.dumps(as_document(findings), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(campaign.page, page(campaign.file.stem, findings))
    write_atomically(campaign.document, f"{text}\n")
    return [campaign.page, campaign.document]


def page(title: str, findings: Findings) -> str:
    """Return the text of the page."""
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            title=title,
            findings=findings,
            results={each.interval.name: each for each in findings.results},
            tests={each.interval: each for each in findings.tests},
            headline=headline(findings),
            mood=_mood(findings),
            outcome=outcome,
            size=size,
            constant_name=constant_name,
            shown=_figures(findings),
            made_at=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        )
    )


def _mood(findings: Findings) -> str:
    if findings.moved:
        return "bad"
    is_whole = findings.tests and len(findings.results) == len(findings.standings)
    return "good" if is_whole else "open"


def _figures(findings: Findings) -> list[Shown]:
    if not findings.courses:
        return []
    # matplotlib takes its time, and nothing is drawn of a single interval
    from auto_iter.report.plots.over_time import over_time_figures
    from auto_iter.report.plots.svg import inline_svg
    from auto_iter.report.style import plot_style

    names = [each.interval.name for each in findings.results]
    courses = {(each.key, each.parameter): (each.values, each.sigmas) for each in findings.courses}
    moved = [
        (each.key, each.parameter)
        for test in findings.moved
        if test.explained is not None
        for each in test.explained.movements
    ]
    with plot_style():
        return [
            Shown("", each.name, each.title, each.caption, inline_svg(each))
            for each in over_time_figures(names, courses, list(dict.fromkeys(moved)))
        ]
