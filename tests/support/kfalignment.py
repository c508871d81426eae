"""The reconstruction's ROOT files for tests: those of the reference, read, changed, written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from auto_iter.millepede.conversion import kfalignment as kf

REFERENCE = Path(__file__).parents[1] / "data/kfalignment"


def sources(name: str) -> list[Path]:
    """Return the ROOT files of the `clean` or the `dirty` reference."""
    return sorted((REFERENCE / name / "2kfalignment").glob("*.root"))


def branches(path: Path) -> dict[str, Any]:
    """Return all branches of a file."""
    with uproot.open(path) as file:
        record = file["tree"].arrays(library="ak")
    return {name: record[name] for name in record.fields}


def write(path: Path, content: dict[str, Any], **options: Any) -> Path:
    """Write the branches `content`, as uproot does; return `path`."""
    types = {
        name: "f8" if name.startswith("fitParam_") and "align" not in name else "var * float64"
        for name in content
    }
    with uproot.recreate(path, **options) as file:
        file.mktree("tree", types).extend(content)
    return path


def with_degenerate_tracks(
    content: dict[str, Any], chosen: NDArray[np.bool_], seed: int = 1
) -> dict[str, Any]:
    """Make d/d(q/p) of the `chosen` tracks a combination of two others, but for 5e-8 of it.

    That is what single precision leaves of it, and what pede's local fit just takes.
    """
    x, theta, qop = (content[kf.track_derivative(name)] for name in ("x", "theta", "qop"))
    hits = ak.num(x)
    noise = np.random.default_rng(seed).normal(1, 5e-8, int(ak.sum(hits)))
    combination = (37.3 * x - 0.0123 * theta) * ak.unflatten(noise, hits)
    return content | {kf.track_derivative("qop"): ak.where(chosen, combination, qop)}
