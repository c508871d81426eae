"""The reconstruction's output: TTree `tree`, branches and units as Calypso writes them.

One entry for each track; the `fitParam_align_…` branches have one element for each hit. uproot
writes jagged arrays as counted branches where Calypso has `vector<double>`.
"""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from auto_iter.detector.geometry import Array, Detector, Index, align_id
from auto_iter.detector.labels import PARAMETERS
from auto_iter.simulation.derivatives import TRACK_COMPONENTS, angles, derive
from auto_iter.simulation.fit import chi2_of, cross
from auto_iter.simulation.pattern import Found


def branches(found: Found, detector: Detector, flipped: str | None = None) -> dict[str, Array]:
    """Return what the tree holds, hit branches flat, keyed by name without `fitParam_`.

    `flipped` names a derivative branch whose sign is turned: a test's way to break the alignment.
    """
    hits, tracks = found.hits, found.tracks
    crossings = cross(tracks, hits, detector)
    residual = hits.position - crossings.u
    columns = _of_tracks(tracks) | {"chi2": chi2_of(residual, hits, len(tracks))}
    derivatives = derive(tracks, hits.track, hits.sensor, crossings, detector)
    columns |= {
        "align_id": align_id(hits.sensor).astype(float),
        "align_local_residual_x": residual,
        "align_local_measured_x": hits.position,
        "align_local_measured_xe": hits.error,
    }
    for index, name in enumerate(PARAMETERS):
        columns[f"align_local_derivation_x_{name}"] = derivatives.local_x[:, index]
        columns[f"align_global_derivation_y_{name}"] = derivatives.global_y[:, index]
    for index, name in enumerate(TRACK_COMPONENTS):
        columns[f"align_local_derivation_x_par_{name}"] = derivatives.track[:, index]
    if flipped is not None:
        columns[flipped] = -columns[flipped]
    return columns


def write_tree(path: Path, columns: dict[str, Array], hits_per_track: Index) -> None:
    """Write `columns` (see `branches`) to the ROOT file `path`, which must not exist."""
    flat = {name: ak.Array(v) for name, v in columns.items() if name.startswith("align_")}
    jagged = {
        name.removeprefix("align_"): ak.unflatten(values, hits_per_track)
        for name, values in flat.items()
    }
    content = {f"fitParam_{n}": v for n, v in columns.items() if not n.startswith("align_")}
    content["fitParam_align"] = ak.zip(jagged)
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as output:
        # plain assignment would make an RNTuple of it
        output.mktree("tree", {name: _branch_type(values) for name, values in content.items()})
        output["tree"].extend(content)


def _branch_type(values: ak.Array | Array) -> str:
    fields = ak.fields(values)
    inner = ", ".join(f"{field}: float64" for field in fields)
    return f"var * {{{inner}}}" if fields else "float64"


def _of_tracks(tracks: Array) -> dict[str, Array]:
    theta, phi = angles(tracks)
    # a muon too straight to tell its charge still has one, and a finite momentum
    qop = np.where(np.abs(tracks[:, 4]) < 1e-9, 1e-9, tracks[:, 4])
    momentum = 1.0 / np.abs(qop)
    return {
        "x": tracks[:, 0],
        "y": tracks[:, 1],
        "px": momentum * np.sin(theta) * np.cos(phi),
        "py": momentum * np.sin(theta) * np.sin(phi),
        "pz": momentum * np.cos(theta),
        "charge": np.sign(qop),
    }
