"""What tests share is made once for all of them, also where pytest-xdist runs them in parallel."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the directory `name` of this run of the tests, filled by whoever asks for it first.

    The others wait meanwhile. Where `make` fails, the next one tries with an empty directory.
    """
    base = factory.getbasetemp()
    # the workers of pytest-xdist have a directory each, side by side
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place, number = shared / name, 0
    with (shared / f"{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if found := lock.read():
            return Path(found)
        while place.exists():
            number += 1
            place = shared / f"{name}-{number}"
        place.mkdir()
        make(place)
        lock.write(str(place))
    return place
