"""Constants as values of labels, so that they meet pede's matrix on equal terms.

Alignment data know labels: x of each side where the constants have x and y of a module. With the
stereo angle ±20 mrad of the two sides, side x = module x ± 20 mrad · module y, the sign by side and
by the module's orientation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from auto_iter.detector.constants import Values, value_of
from auto_iter.detector.labels import HALF_STEREO_RAD, Place, Scheme, place_of

Floats = npt.NDArray[np.float64]


def label_values(constants: Mapping[str, Values], labels: Iterable[int], scheme: Scheme) -> Floats:
    """Return the value (mm, rad) that each of `labels` has under `constants`, in their order.

    The inverse of what `millepede.constants.changes` does; absent keys count as zeros. Raises
    InputError for a label that the scheme does not know.
    """
    return np.array(
        [_value(constants, place_of(int(label), scheme), scheme) for label in labels], dtype=float
    )


def _value(constants: Mapping[str, Values], where: Place, scheme: Scheme) -> float:
    key = where.component.key
    value = value_of(constants, key, where.parameter)
    if where.component.depth != "side" or scheme.modules != "x_rz":
        return value
    return value + where.component.stereo * HALF_STEREO_RAD * value_of(constants, key, "y")
