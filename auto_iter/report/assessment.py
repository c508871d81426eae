"""What the numbers of an alignment amount to: weak modes, and found constants against the truth."""

from __future__ import annotations

from dataclasses import dataclass

from auto_iter.detector.constants import Change, Constants
from auto_iter.errors import InputError
from auto_iter.report.history import ConstantName, History
from auto_iter.weakmodes.beforehand import modes_of
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.label_space import label_values
from auto_iter.weakmodes.modes import Eigenmodes, WeakMode, name_weak_modes
from auto_iter.weakmodes.truth import Comparison, by_constant, compare


@dataclass(frozen=True)
class AgainstTruth:
    """Found − truth without weak modes, after the last iteration.

    `constants`: by constant, mm or rad; those that the data do not determine are absent. `paths`:
    by constant, the same at the start and after each iteration.
    """

    comparison: Comparison
    constants: dict[ConstantName, Change]
    paths: dict[ConstantName, list[float]]

    @property
    def pulls(self) -> dict[ConstantName, float]:
        """(found − truth) / uncertainty of each constant."""
        return {
            name: change.value / change.sigma
            for name, change in self.constants.items()
            if change.sigma
        }


@dataclass(frozen=True)
class Assessment:
    """All that is made of a history. `modes` is None when no Mille binary could be read."""

    modes: Eigenmodes | None = None
    weak: tuple[WeakMode, ...] = ()
    against_truth: AgainstTruth | None = None
    notes: tuple[str, ...] = ()


def assess(history: History) -> Assessment:
    """Return the assessment of the last finished iteration; what is impossible is in `notes`."""
    if not history.iterations:
        return Assessment()
    free = history.free_labels
    if not free:
        return Assessment(notes=("weak modes are not known: no parameter is free",))
    try:
        places = [iteration.paths.millepede for iteration in history.iterations]
        modes = modes_of(
            free,
            data_hessian(history.last.binaries, list(free), history.last.solution.weights),
            places,
        )
    except InputError as error:
        return Assessment(notes=(f"weak modes and pulls are not known: {error}",))
    scheme = history.strategy.labels
    weak = name_weak_modes(modes, scheme)
    against = None
    if history.truth is not None:
        against = _against_truth(history, history.truth, modes)
    return Assessment(modes, weak, against)


def _against_truth(history: History, truth: Constants, modes: Eigenmodes) -> AgainstTruth:
    scheme = history.strategy.labels
    true = label_values(truth, modes.labels, scheme)

    def residual(constants: Constants) -> Comparison:
        return compare(modes, label_values(constants, modes.labels, scheme) - true)

    last = residual(history.last.constants)
    states = [history.start, *(iteration.constants for iteration in history.iterations)]
    steps = [by_constant(residual(state), scheme) for state in states]
    paths = {name: [step[name].value for step in steps] for name in steps[-1]}
    return AgainstTruth(last, steps[-1], paths)
