"""Limits of chi2 per degree of freedom that belong to 2 and 3 standard deviations, as in pede.

Up to 30 degrees of freedom a table of quantiles (4 digits), then Fisher's approximation (mpnum.f90,
chindl). Pede computes in single precision, and so do we: a record on the limit must fall alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TABLE = {
    2: (
        *(4.0000, 3.0900, 2.6750, 2.4290, 2.2628, 2.1415, 2.0481, 1.9736, 1.9124, 1.8610),
        *(1.8171, 1.7791, 1.7457, 1.7161, 1.6897, 1.6658, 1.6442, 1.6246, 1.6065, 1.5899),
        *(1.5745, 1.5603, 1.5470, 1.5346, 1.5230, 1.5120, 1.5017, 1.4920, 1.4829, 1.4742),
    ),
    3: (
        *(9.0000, 5.9146, 4.7184, 4.0628, 3.6410, 3.3436, 3.1209, 2.9468, 2.8063, 2.6902),
        *(2.5922, 2.5082, 2.4352, 2.3711, 2.3143, 2.2635, 2.2178, 2.1764, 2.1386, 2.1040),
        *(2.0722, 2.0428, 2.0155, 1.9901, 1.9665, 1.9443, 1.9235, 1.9040, 1.8855, 1.8681),
    ),
}
_SHIFT = {2: 1.690140, 3: 2.782170}


def chi2_limit_per_ndf(sigmas: int, ndf: NDArray[np.integer]) -> NDArray[np.float32]:
    """Limit of chi2/ndf for 2 or 3 standard deviations; 0 where ndf < 1. No units.

    `ndf` and the result have any one shape. Raises KeyError for other `sigmas`.
    """
    table = np.array((0.0, *_TABLE[sigmas]), np.float32)
    two = (2 * np.maximum(ndf, 1)).astype(np.float32)
    beyond = (np.float32(_SHIFT[sigmas]) + np.sqrt(two - np.float32(1))) ** 2 / two
    limit: NDArray[np.float32] = np.where(ndf <= 30, table[np.clip(ndf, 0, 30)], beyond)
    return limit.astype(np.float32)
