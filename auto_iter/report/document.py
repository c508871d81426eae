"""`report.json`: the report's numbers for programs. The schema is in the package's `__main__`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from auto_iter.alignment.solution import SolutionSummary
from auto_iter.report.assessment import AgainstTruth, Assessment
from auto_iter.report.constants_text import quoted_pulls
from auto_iter.report.history import ConstantName, Finished, History
from auto_iter.report.ranges import ranges_of
from auto_iter.report.units import constant_name
from auto_iter.weakmodes.modes import THRESHOLD

SCHEMA = 1


def report_json(history: History, assessment: Assessment, files: list[str]) -> str:
    """Return the JSON text; `files`: the names of what else the report holds."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "title": history.title,
        "state": history.state,
        "notes": [*history.notes, *assessment.notes],
        "files": files,
        "iterations": [_iteration(each) for each in history.iterations],
        "ranges": [asdict(each) for each in ranges_of(history)],
        "constants": [
            _constant(history, name, assessment.against_truth) for name in history.free_constants
        ],
        "weak_modes": _weak_modes(assessment),
        "pulls": _pulls(history, assessment.against_truth),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _iteration(finished: Finished) -> dict[str, Any]:
    solution = finished.solution
    told = solution.model_dump(mode="json", include=set(SolutionSummary.model_fields))
    told["pede_chi2_ndf"] = told.pop("chi2_ndf")
    del told["hashes"]
    held_out = solution.held_out
    if held_out is not None:
        told["held_out_um"] = {
            number: {"mean": spread.mean_um, "width": spread.width_um}
            for number, spread in ((each, held_out.part(each)) for each in held_out.parts)
        }
    return {
        "iteration": finished.number,
        "within": solution.within,
        **{name: _finite(value) for name, value in told.items()},
        "residual_width_um": {
            number: {"before_cuts": layer.before.width_um, "after_cuts": layer.after.width_um}
            for number, layer in sorted(solution.statistics.layers.items())
        },
    }


def _constant(history: History, name: ConstantName, against: AgainstTruth | None) -> dict[str, Any]:
    key, parameter = name
    values = history.values(name)
    entry: dict[str, Any] = {
        "key": key,
        "parameter": parameter,
        "name": constant_name(*name),
        "values": values,
        "sigma": history.free_constants[name].sigma,
        "change": values[-1] - values[-2],
    }
    if against is not None:
        left = against.constants.get(name)
        entry["truth"] = history.true_value(name)
        entry["difference"] = left.value if left is not None else None
        entry["difference_sigma"] = left.sigma if left is not None else None
        entry["pull"] = against.pulls.get(name)
    return entry


def _weak_modes(assessment: Assessment) -> dict[str, Any] | None:
    modes = assessment.modes
    if modes is None:
        return None
    return {
        "parameters": len(modes.values),
        "weak": int(modes.is_weak.sum()),
        "threshold": THRESHOLD,
        "eigenvalues": [float(f"{value:.6g}") for value in modes.values],
        "named": [
            {
                "name": mode.name,
                "count": mode.count,
                "information": mode.information,
                "labels": {str(label): share for label, share in mode.shares},
            }
            for mode in assessment.weak
        ],
    }


def _pulls(history: History, against: AgainstTruth | None) -> dict[str, Any] | None:
    if against is None or not against.pulls:
        return None
    pulls = np.array(list(against.pulls.values()))
    comparison = against.comparison
    quoted = quoted_pulls(history, against).values()
    return {
        "constants": len(pulls),
        "mean": float(pulls.mean()),
        "width": float(pulls.std()),
        "largest": float(np.abs(pulls).max()),
        "largest_in_quoted_uncertainties": max(map(abs, quoted), default=None),
        "combinations": comparison.dof,
        "combinations_mean": float(comparison.mode_pulls.mean()),
        "combinations_width": comparison.width,
        "chi2": comparison.chi2,
    }


def _finite(value: Any) -> Any:
    """Return a value, or those of a dictionary, with None for what is no number: JSON has none."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
