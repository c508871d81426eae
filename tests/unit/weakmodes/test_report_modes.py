"""Weak modes are found and named; found − truth without them has the errors that it should have."""

from __future__ import annotations

import numpy as np
import pytest

from auto_iter.detector.constants import changes
from auto_iter.detector.labels import Parameter, Place, Scheme, component_of_key, label_of, places
from auto_iter.errors import InputError
from auto_iter.report.constants_text import weak_mode_lines
from auto_iter.weakmodes.label_space import Floats, label_values
from auto_iter.weakmodes.modes import eigenmodes, name_weak_modes, of_sigmas
from auto_iter.weakmodes.truth import Comparison, compare

LAYERS_ONLY = Scheme(modules="off")
Z_MM = {"1": 47.7, "2": 1237.7, "3": 2427.7}
LAYER_KEYS = [f"{station}{layer}" for station in "123" for layer in "012"]


def place_z(key: str) -> float:
    return Z_MM[key[0]] + 31.5 * (int(key[1]) - 1)


def labels_of(scheme: Scheme) -> list[int]:
    return sorted(places((1, 2, 3), scheme))


def presigmas(labels: list[int], scheme: Scheme) -> Floats:
    known = places((1, 2, 3), scheme)
    return np.array([0.05 if known[label].is_shift else 0.005 for label in labels])


def movement(labels: list[int], scheme: Scheme, values: dict[tuple[str, str], float]) -> Floats:
    """Return a vector over labels from (key, parameter) → value."""
    vector = np.zeros(len(labels))
    for (key, parameter), value in values.items():
        label = label_of(Place(component_of_key(key), parameter), scheme)
        vector[labels.index(label)] = value
    return vector


def hessian_without(nulls: list[Floats], presigma: Floats, seed: int = 1) -> Floats:
    """Return a well-conditioned random Hessian that knows nothing of `nulls`."""
    random = np.random.default_rng(seed)
    size = len(presigma)
    free = np.eye(size)
    if nulls:
        basis = np.linalg.qr(np.column_stack([null / presigma for null in nulls]))[0]
        free -= basis @ basis.T
    mixing = free @ random.normal(size=(size, 4 * size))
    return np.asarray(100.0 * mixing @ mixing.T / np.outer(presigma, presigma))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({(key, "x"): 1.0 for key in LAYER_KEYS}, "shift of everything in x"),
        ({(key, "y"): 1.0 for key in LAYER_KEYS}, "shift of everything in y"),
        ({(key, "x"): place_z(key) - 1237.7 for key in LAYER_KEYS}, "shear of x along z"),
        ({(key, "y"): place_z(key) - 1237.7 for key in LAYER_KEYS}, "shear of y along z"),
        ({(key, "rz"): 1.0 for key in LAYER_KEYS}, "rotation of everything about z"),
        ({(key, "rx"): 1.0 for key in LAYER_KEYS}, "common rx of all layers"),
        ({("20", "rx"): 1.0, ("21", "rx"): -0.3}, "other combinations of layer rx"),
    ],
)
def test_a_movement_that_the_data_do_not_see_is_named(
    values: dict[tuple[str, str], float], name: str
) -> None:
    labels = labels_of(LAYERS_ONLY)
    presigma = presigmas(labels, LAYERS_ONLY)
    hessian = hessian_without([movement(labels, LAYERS_ONLY, values)], presigma)
    (weak,) = name_weak_modes(eigenmodes(labels, hessian, of_sigmas(presigma)), LAYERS_ONLY)
    assert (weak.name, weak.count) == (name, 1)
    assert weak.information < 1e-6


def test_a_layer_against_the_sum_of_its_modules_is_named_once_for_each_layer() -> None:
    scheme = Scheme()
    labels = labels_of(scheme)
    presigma = presigmas(labels, scheme)
    nulls = []
    for key in ("10", "22", "31"):
        null = movement(labels, scheme, {(key, "y"): 1.0})
        # labels of sides have five digits, of which the first three tell the layer
        layer = f"{int(key[0]) + 1}{key[1]}"
        sides = [label for label in labels if len(str(label)) == 5 and str(label)[4] == "1"]
        for label in sides:
            null[labels.index(label)] = -1.0 if str(label).startswith(layer) else 0.0
        nulls.append(null)
    weak = name_weak_modes(
        eigenmodes(labels, hessian_without(nulls, presigma), of_sigmas(presigma)), scheme
    )
    assert [(mode.name, mode.count) for mode in weak] == [("layer y against its modules' x", 3)]


def test_a_hessian_that_knows_everything_has_no_weak_mode() -> None:
    labels = labels_of(LAYERS_ONLY)
    presigma = presigmas(labels, LAYERS_ONLY)
    modes = eigenmodes(labels, hessian_without([], presigma), of_sigmas(presigma))
    assert name_weak_modes(modes, LAYERS_ONLY) == ()


def gaussian_comparison(seed: int, wrong: dict[int, float] | None = None) -> Comparison:
    """Compare constants with Gaussian errors, and with weak modes far off, with their truth."""
    labels = labels_of(LAYERS_ONLY)
    presigma = presigmas(labels, LAYERS_ONLY)
    nulls = [
        movement(labels, LAYERS_ONLY, {(key, "y"): 1.0 for key in LAYER_KEYS}),
        movement(labels, LAYERS_ONLY, {(key, "x"): place_z(key) for key in LAYER_KEYS}),
    ]
    hessian = hessian_without(nulls, presigma)
    values, vectors = np.linalg.eigh(hessian * np.outer(presigma, presigma))
    random = np.random.default_rng(seed)
    strong = values > 1.0
    errors = vectors[:, strong] @ (random.normal(size=strong.sum()) / np.sqrt(values[strong]))
    truth = random.normal(size=len(labels)) * presigma
    found = truth + presigma * errors + sum(7.0 * null for null in nulls)
    for label, shift in (wrong or {}).items():
        found[labels.index(label)] += shift
    return compare(eigenmodes(labels, hessian, of_sigmas(presigma)), found - truth)


def test_pulls_of_gaussian_errors_have_unit_width_whatever_the_weak_modes_do() -> None:
    comparisons = [gaussian_comparison(seed) for seed in range(60)]
    pulls = np.concatenate([comparison.pulls for comparison in comparisons])
    mode_pulls = np.concatenate([comparison.mode_pulls for comparison in comparisons])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)
    assert np.std(mode_pulls) == pytest.approx(1.0, abs=0.05)
    assert np.mean(mode_pulls) == pytest.approx(0.0, abs=0.05)
    assert {comparison.dof for comparison in comparisons} == {43}


def test_one_wrong_constant_has_the_largest_pull() -> None:
    comparison = gaussian_comparison(3, wrong={315: 0.004})
    largest = int(np.nanargmax(np.abs(comparison.pulls)))
    assert comparison.labels[largest] == 315
    assert abs(comparison.pulls[largest]) > 10
    assert comparison.width > 1.5


def test_a_constant_that_lies_wholly_in_weak_modes_has_no_pull() -> None:
    labels = [211, 212]
    hessian = np.diag([1e8, 0.0])
    modes = eigenmodes(labels, hessian, of_sigmas(np.array([0.05, 0.05])))
    comparison = compare(modes, np.array([1e-4, 3.0]))
    assert comparison.pulls[0] == pytest.approx(1.0)
    assert np.isnan(comparison.pulls[1])
    assert comparison.chi2 == pytest.approx(1.0)


@pytest.mark.parametrize("known", [[400.0, 0.0], [400.0, -1.0], [400.0]])
def test_information_that_is_no_scale_is_refused(known: list[float]) -> None:
    with pytest.raises(InputError):
        eigenmodes([211, 212], np.eye(2), np.diag(known))


def test_label_values_are_what_changes_are_made_of() -> None:
    scheme = Scheme()
    constants = {
        "10": (0.01, -0.02, 0.0, 1e-3, 2e-3, -3e-3),
        "103": (0.05, 0.4, 0.0, 0.0, 0.0, 1e-3),
        "105": (-0.03, 0.2, 0.0, 0.0, 0.0, 0.0),
    }
    labels = [label for label in labels_of(scheme) if str(label).startswith("20")]
    values = label_values(constants, labels, scheme)
    moved = changes(map(Parameter, labels, values.tolist()), scheme)
    found = {(change.key, change.parameter): change.value for change in moved}
    for key, numbers in constants.items():
        for parameter, number in zip(("x", "y", "z", "rx", "ry", "rz"), numbers, strict=True):
            assert found.get((key, parameter), 0.0) == pytest.approx(number, abs=1e-12)


def test_a_line_tells_how_many_combinations_have_a_name() -> None:
    labels = labels_of(LAYERS_ONLY)
    presigma = presigmas(labels, LAYERS_ONLY)
    null = movement(labels, LAYERS_ONLY, {("12", "ry"): 1.0})
    modes = eigenmodes(labels, hessian_without([null], presigma), of_sigmas(presigma))
    assert weak_mode_lines(name_weak_modes(modes, LAYERS_ONLY)) == [
        "   1  other combinations of layer ry"
    ]
