"""The data-only Hessian of all labels together, from an iteration's Mille binaries.

pede's own matrix will not do: each step holds other parameters fixed, and a matrix over its free
ones says nothing about how they go together with the rest. (And pede itself keeps no matrix.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from auto_iter.errors import InputError
from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.solver.data_loop import LoopRequest
from auto_iter.millepede.solver.data_source import DataSource
from auto_iter.millepede.steering.reader import Binary
from auto_iter.weakmodes.label_space import Floats

NO_CUT = np.float32(-1)
MOST_BYTES = 150_000_000
"""So much Mille is read, a matter of seconds; the rest counts as being like it."""


def data_hessian(
    binaries: Sequence[Path],
    labels: Sequence[int],
    weights: Mapping[str, float],
    most_bytes: int = MOST_BYTES,
) -> Floats:
    """Return the Hessian (1/mm², 1/rad²) of χ²/2 by `labels`, local parameters eliminated.

    Shape (labels, labels), in their order; labels without a measurement have zeros. No record is
    cut on chi2. `weights`: of binaries by name, where not 1. Where binaries hold more than
    `most_bytes`, the first are scaled up. Formula: `millepede.data_loop`. Raises InputError when
    the binaries cannot be read.
    """
    chosen, scale = _some_of(Binary.weighted(binaries, weights), most_bytes)
    source = DataSource(chosen)
    positions = source.table.indices(np.array(labels, dtype=np.int32))
    try:
        sums, _ = source.loop(
            lambda: LoopRequest(np.zeros(len(source.table)), True, NO_CUT, NO_CUT, 0, NO_CUT)
        )
    except PedeAbortError as error:
        raise InputError(f"Mille binaries: {error}") from error
    assert sums.matrix is not None  # noqa: S101 - it was asked for
    return np.asarray(scale * sums.matrix[np.ix_(positions, positions)])


def _some_of(binaries: Sequence[Binary], most_bytes: int) -> tuple[list[Binary], float]:
    """Return the first binaries up to `most_bytes` (one at least), and all bytes over theirs.

    Bytes count with their weight there.
    """
    try:
        sizes = {binary: binary.path.stat().st_size for binary in binaries}
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    chosen: list[Binary] = []
    used = 0
    for binary, size in sizes.items():
        if size and (not chosen or used + size <= most_bytes):
            chosen.append(binary)
            used += size
    if not chosen:
        raise InputError("no Mille binary with records is left")
    whole = sum(binary.weight * size for binary, size in sizes.items())
    return chosen, whole / sum(binary.weight * sizes[binary] for binary in chosen)
