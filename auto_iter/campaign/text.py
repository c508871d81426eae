"""The findings of a campaign as words: for the terminal, the page and programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from auto_iter.campaign.findings import Findings, IntervalTest, Result
from auto_iter.campaign.movements import Movement
from auto_iter.campaign.standing import Standing
from auto_iter.report.units import SCALE, constant_name, unit_of

SCHEMA = 1


def headline(findings: Findings) -> str:
    """Return what there is to know, in a sentence."""
    if not findings.tests:
        return "Nothing can be compared yet: two intervals have to be done"
    if not findings.moved:
        return f"No movement: {len(findings.results)} intervals are compatible with one detector"
    steps = ", ".join(f"{each.before} → {each.interval}" for each in findings.moved)
    return f"The detector moved: {steps}"


def outcome(test: IntervalTest) -> str:
    """Return a test's outcome as one word, or why there is none."""
    if test.difference.p_value is None:
        return "not independent"
    return "MOVED" if test.moved else "compatible"


def size(movement: Movement) -> str:
    """Return a movement's size with its uncertainty, in µm or mrad."""
    value, sigma = SCALE * movement.value, SCALE * movement.sigma
    digits = 2 if unit_of(movement.parameter) == "µm" else 4
    return f"{value:+.{digits}f} ± {sigma:.{digits}f} {unit_of(movement.parameter)}"


def finding_lines(findings: Findings) -> Iterator[str]:
    """Yield the findings as lines for a terminal."""
    yield headline(findings)
    for test in findings.tests:
        found = test.difference
        p_value = "" if found.p_value is None else f"  p {found.p_value:.2g}"
        yield (
            f"{test.before} -> {test.interval}: {outcome(test)}  chi2 {found.chi2:.1f}"
            f"/{found.dof}{p_value}  largest {found.largest_pull:.1f} σ"
        )
        for each in () if test.explained is None else test.explained.movements:
            yield f"  {constant_name(each.key, each.parameter)}: {size(each)}"
        if test.moved and test.explained is not None and not test.explained.movements:
            yield "  no single constant explains it"
    yield from findings.notes


def as_document(findings: Findings) -> dict[str, Any]:
    """Return the content of `campaign.json`: numbers in mm and rad."""
    results = {each.interval.name: each for each in findings.results}
    return {
        "schema": SCHEMA,
        "headline": headline(findings),
        "false_alarm": findings.false_alarm,
        "threshold": findings.threshold,
        "intervals": [
            _interval(each, results.get(each.interval.name)) for each in findings.standings
        ],
        "tests": [_test(each) for each in findings.tests],
        "p_values": [
            {"one": one, "other": other, "p_value": value}
            for (one, other), value in findings.matrix.items()
        ],
        "constants": [
            {**asdict(each), "name": constant_name(each.key, each.parameter)}
            for each in findings.courses
        ],
        "not_determined": [{"name": each.name, "count": each.count} for each in findings.weak],
        "notes": findings.notes,
    }


def _interval(standing: Standing, result: Result | None) -> dict[str, Any]:
    interval = standing.interval
    told: dict[str, Any] = {
        "name": interval.name,
        "year": interval.year,
        "run": interval.runs,
        "files": interval.files.text,
        "workspace": str(interval.workspace.root),
        "verdict": standing.verdict,
    }
    if result is not None:
        told["iterations"] = result.record.iteration
        told["tracks"] = result.record.tracks
        told["chi2_ndf"] = result.record.chi2_ndf_of_tracks
        told["constants"] = result.record.hashes.constants
    return told


def _test(test: IntervalTest) -> dict[str, Any]:
    told = {
        "before": test.before,
        "interval": test.interval,
        "outcome": outcome(test),
        "chi2": test.difference.chi2,
        "dof": test.difference.dof,
        "weak": test.difference.weak,
        "p_value": test.difference.p_value,
        "largest_pull": test.difference.largest_pull,
    }
    if test.explained is not None:
        told["movements"] = [
            {
                **asdict(each),
                "name": constant_name(each.key, each.parameter),
                "or_else": [constant_name(*name) for name in each.or_else],
            }
            for each in test.explained.movements
        ]
        told["left"] = {"chi2": test.explained.chi2, "dof": test.explained.dof}
    return told
