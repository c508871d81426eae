"""A look at a new solution: what the data determine of its change, and whether constants walk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auto_iter.alignment.solution import GroupChange
from auto_iter.detector.constants import Constants, read_constants
from auto_iter.errors import InputError
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.steps import Steps
from auto_iter.millepede.workflow import Review
from auto_iter.weakmodes.beforehand import modes_of, prior_of
from auto_iter.weakmodes.drift import PRIOR_HOLDS, STEPS, walks
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.modes import Eigenmodes
from auto_iter.weakmodes.movement import group_changes, step_between


def review(request: SolveRequest, directory: Path, steps: Steps, found: Constants) -> Review:
    """Return what there is to say of a new solution, `found`: changes by group, walks.

    What cannot be told costs a warning, never the solution.
    """
    free = {each.label: each.presigma for each in steps.merged.values() if each.is_free}
    try:
        hessian = data_hessian(request.binaries, list(free), request.weights)
        modes = modes_of(free, hessian, [directory])
        earlier = [read_constants(path) for path in request.earlier[-STEPS:]]
        least = PRIOR_HOLDS if prior_of([directory]) else 0.0
        return Review(
            groups=_groups(steps, modes, earlier),
            weak_modes=int(modes.is_weak.sum()),
            warnings=tuple(map(str, walks([*earlier, found], modes, steps.scheme, least))),
        )
    except InputError as error:
        return Review(warnings=(f"what the data determine of the change is not known: {error}",))


def _groups(steps: Steps, modes: Eigenmodes, earlier: list[Constants]) -> tuple[GroupChange, ...]:
    change = np.array([steps.merged[label].value for label in modes.labels])
    before = None
    if len(earlier) > 1:
        before = step_between(earlier[-2], earlier[-1], modes.labels, steps.scheme)
    return group_changes(modes, change, before, steps.scheme)
