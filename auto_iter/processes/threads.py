"""Linear algebra in one thread: the same sums whatever the machine, and cores left to the jobs."""

from __future__ import annotations

import os

_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def use_one_thread() -> None:
    """Tell numerics so. They read it when they are imported: call this before.

    Threads would change the order of sums, and the last digits.
    """
    os.environ.update(dict.fromkeys(_SETTINGS, "1"))
