"""Small detectors for tests: tracks through planes, and fits plain enough to trust."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.mille.file import Flavour
from auto_iter.millepede.mille.records import Measurements, select_records
from auto_iter.millepede.solver.builtin import SolverResult, solve
from auto_iter.millepede.solver.data_loop import LoopRequest
from tests.support.mille_writer import write_file

Floats = NDArray[np.float64]
PLANES = 8
SIGMA = 0.01


def tracks(
    count: int, seed: int, *, shift: float = 0.0, outliers: float = 0.0, quadratic: bool = False
) -> Measurements:
    """Straight tracks (every third a parabola if asked) through planes labelled 1 to 8.

    Plane k sits off by a value of its own plus `shift`; labels 11 to 18 scale with the position.
    """
    rng = np.random.default_rng(seed)
    offsets = np.random.default_rng(1).normal(0, 0.05, PLANES) + shift
    rows: list[tuple[float, list[float], int, float]] = []
    per_record = []
    for record in range(count):
        slope, start = rng.normal(0, 0.3), rng.normal(0, 1)
        curved = quadratic and record % 3 == 0
        planes = [k for k in range(PLANES) if rng.random() < 0.9]
        for plane in planes:
            z = plane - 3.5
            local = [1.0, z, z * z] if curved else [1.0, z]
            truth = start + slope * z + (0.02 * z * z if curved else 0)
            value = truth + offsets[plane] + 0.02 * truth + rng.normal(0, SIGMA)
            if rng.random() < outliers:
                value += rng.normal(0, 0.3)
            rows.append((value, local, plane + 1, truth))
        per_record.append(len(planes))
    locals_ = [len(row[1]) for row in rows]
    return Measurements(
        np.concatenate(([0], np.cumsum(per_record))),
        _single([row[0] for row in rows]),
        np.full(len(rows), float(np.float32(SIGMA))),
        np.concatenate(([0], np.cumsum(locals_))),
        np.concatenate([np.arange(1, n + 1) for n in locals_]).astype(np.int32),
        _single(np.concatenate([row[1] for row in rows])),
        np.arange(len(rows) + 1) * 2,
        np.array([[row[2], row[2] + 10] for row in rows], np.int32).ravel(),
        _single([[1.0, row[3]] for row in rows]).ravel(),
    )


def _single(values: ArrayLike) -> Floats:
    """Round to what a binary of floats can hold."""
    return np.asarray(values, np.float32).astype(np.float64)


CONSTRAINTS = "".join(
    "Constraint 0.0\n" + "".join(f" {first + k} {factor(k)}\n" for k in range(PLANES))
    for first, factor in ((1, lambda _k: 1.0), (1, lambda k: k - 3.5), (11, lambda _k: 1.0))
)


def write_case(
    directory: Path,
    parts: list[Measurements],
    options: str,
    *,
    text: str = CONSTRAINTS,
    flavour: Flavour | None = None,
    compress: bool = False,
) -> Path:
    """Write binaries, a text file and the steering file `steer.txt`; return its name."""
    flavour = flavour or Flavour(double=True)
    names = [f"part{number}.bin" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        write_file(directory / name, part, flavour, compress=compress)
    (directory / "con.txt").write_text(text)
    switch = "Fortranfiles" if flavour.fortran else "Cfiles"
    lines = ["con.txt", switch, *names, options, "end", ""]
    (directory / "steer.txt").write_text("\n".join(lines))
    return Path("steer.txt")


LABELS = [*range(1, PLANES + 1), *range(11, PLANES + 11)]
RENAMINGS = {
    "one beyond": {label: 5000 + label for label in LABELS} | {18: 5_000_000},
    "one beyond, the first": {label: 5000 + label for label in LABELS} | {1: 5_000_000},
    "all beyond": {label: 4_194_303 + label for label in LABELS},
    "far apart": {label: label * 113_000_000 for label in LABELS},
}
TEXTS = {
    "no text": "",
    "texts": "Constraint 0.0\n {1} 1.0\n {8} 1.0\nParameter\n {18} 0.001 0.1\n {5} 0.002 0.2\n"
    "Measurement 0.01 0.1\n {2} 1.0\n {11} -1.0\n",
}


def write_renamed(directory: Path, renaming: dict[int, int], text: str) -> Path:
    """Write a case of all tracks and of those that miss plane 1 or 8, its labels renamed."""
    m = tracks(600, 12)
    names = np.zeros(PLANES + 11, np.int32)
    names[list(renaming)] = list(renaming.values())
    parts = [_without(m, 8), _without(m, 1), m, _without(m, 8)]
    return write_case(
        directory,
        [replace(part, global_label=names[part.global_label]) for part in parts],
        "presigma 0.1\nregularisation 1\nmethod inversion 3 0.001",
        text=TEXTS[text].format(*(renaming.get(label, 0) for label in range(PLANES + 11))),
    )


def _without(m: Measurements, label: int) -> Measurements:
    """Return the records that have no derivative for `label`."""
    record = np.repeat(np.arange(m.records), np.diff(m.global_first[m.record_first]))
    has_it = np.bincount(record[m.global_label == label], minlength=m.records) > 0
    return select_records(m, np.flatnonzero(~has_it))


@dataclass
class NaiveSums:
    """What one loop over the records gives, as in data_loop.Sums."""

    matrix: Floats
    gradient: Floats
    chi2: float = 0.0
    ndf: int = 0
    rejects: int = 0


def naive_loop(m: Measurements, request: LoopRequest, limit_per_ndf: dict[int, float]) -> NaiveSums:
    """Pede's loop record by record, written down from the manual; labels are the indices."""
    size = len(request.parameters)
    sums = NaiveSums(np.zeros((size, size)), np.zeros(size))
    for record in range(m.records):
        rows = range(int(m.record_first[record]), int(m.record_first[record + 1]))
        _naive_record(m, list(rows), request, limit_per_ndf, sums)
    return sums


def _dense(m: Measurements, rows: list[int], size: int) -> tuple[Floats, Floats]:
    width = max(int(m.local_index[m.local_first[r] : m.local_first[r + 1]].max()) for r in rows)
    local, derivatives = np.zeros((len(rows), width)), np.zeros((len(rows), size))
    for at, r in enumerate(rows):
        for word in range(int(m.local_first[r]), int(m.local_first[r + 1])):
            local[at, m.local_index[word] - 1] += m.local_value[word]
        for word in range(int(m.global_first[r]), int(m.global_first[r + 1])):
            derivatives[at, m.global_label[word]] += m.global_value[word]
    return local, derivatives


@dataclass
class Minimum:
    """A constrained minimum: labels 1-8 and 11-18, values, uncertainties."""

    labels: list[int]
    values: Floats
    uncertainties: Floats


def dense_minimum(
    parts: list[tuple[Measurements, float]],
    constraints: tuple[float, ...],
    weights: dict[int, float] | None = None,
    pulls: dict[int, float] | None = None,
) -> Minimum:
    """Fit all tracks (with the weights of their files) and all planes at once, by brute force.

    One least-squares problem whose unknowns are the 16 labels and every track's parameters, under
    CONSTRAINTS with the given values. `weights` pull a label towards `pulls` (default: 0).
    """
    labels = [*range(1, PLANES + 1), *range(11, PLANES + 11)]
    rows, values = _all_rows(parts, labels)
    for label, weight in (weights or {}).items():
        row = np.zeros(rows.shape[1])
        row[labels.index(label)] = np.sqrt(weight)
        rows = np.vstack((rows, row))
        values = np.append(values, np.sqrt(weight) * (pulls or {}).get(label, 0.0))
    bound = np.zeros((3, rows.shape[1]))
    bound[0, :PLANES] = bound[2, PLANES : 2 * PLANES] = 1.0
    bound[1, :PLANES] = np.arange(PLANES) - 3.5
    bordered = np.block([[rows.T @ rows, bound.T], [bound, np.zeros((3, 3))]])
    inverse = np.linalg.inv(bordered)
    solution = inverse @ np.append(rows.T @ values, constraints)
    size = len(labels)
    return Minimum(labels, solution[:size], np.sqrt(np.diag(inverse)[:size]))


def _all_rows(parts: list[tuple[Measurements, float]], labels: list[int]) -> tuple[Floats, Floats]:
    unknowns = sum(m.records * int(m.local_index.max()) for m, _ in parts)
    rows, values, at = [], [], len(labels)
    for m, weight in parts:
        for record in range(m.records):
            inside = list(range(int(m.record_first[record]), int(m.record_first[record + 1])))
            local, derivatives = _dense(m, inside, 19)
            block = np.zeros((len(inside), len(labels) + unknowns))
            block[:, : len(labels)] = derivatives[:, labels]
            block[:, at : at + local.shape[1]] = local
            at += local.shape[1]
            scale = np.sqrt(weight) / m.sigma[inside]
            rows.append(block * scale[:, None])
            values.append(m.value[inside] * scale)
    return np.vstack(rows)[:, :at], np.concatenate(values)


def _naive_record(
    m: Measurements,
    rows: list[int],
    request: LoopRequest,
    limit_per_ndf: dict[int, float],
    sums: NaiveSums,
) -> None:
    local, derivatives = _dense(m, rows, len(request.parameters))
    sigma = m.sigma[rows]
    value = m.value[rows] - derivatives @ request.parameters
    fitted = np.zeros(len(rows))
    factor = np.ones(len(rows))
    for iteration in range(1, max(request.down_weighting, 1) + 1):
        if iteration > 1:
            factor = _weight_factor((value - fitted) / sigma, iteration)
        gamma = local.T @ (local * (factor / sigma**2)[:, None])
        fitted = local @ np.linalg.solve(gamma, local.T @ (factor / sigma**2 * value))
    pull = (value - fitted) / sigma
    last = max(request.down_weighting, 1)
    loss = _loss(pull, last) if last > 1 else pull**2
    ndf = len(rows) - local.shape[1]
    if ndf <= 0:
        sums.rejects += 1
        return
    sums.ndf += ndf
    limit = ndf * limit_per_ndf[ndf]
    if loss.sum() > float(request.huge_cut) * limit:
        sums.rejects += 1
        return
    if request.chi2_cut > 0 and loss.sum() > float(request.chi2_cut) * limit:
        sums.rejects += 1
        sums.chi2 += float(request.chi2_cut) * limit
        return
    weight = 1 / sigma**2
    if last > 1:
        weight = weight * _weight_factor(pull, 2)
        loss = _loss(pull, 2)
    sums.chi2 += float(loss.sum())
    sums.gradient += derivatives.T @ (weight * (value - fitted))
    mixed = local.T @ (derivatives * weight[:, None])
    sums.matrix += derivatives.T @ (derivatives * weight[:, None])
    sums.matrix -= mixed.T @ np.linalg.inv(gamma) @ mixed


def _weight_factor(pull: Floats, iteration: int) -> Floats:
    if iteration <= 3:
        return np.minimum(1.0, 1.345 / np.maximum(np.abs(pull), 1e-300))
    return 1 / (1 + (pull / 2.3849) ** 2)


def _loss(pull: Floats, iteration: int) -> Floats:
    if iteration <= 3:
        size = np.abs(pull)
        return np.where(size > 1.345, 2 * 1.345 * (size - 1.345 / 2), pull**2)
    return np.log(1 + (pull / 2.3849) ** 2) * 2.3849**2


def broken_lines(count: int, seed: int) -> Measurements:
    """Tracks with a kink at each inner plane and a local offset at each: 16 local parameters.

    Kinks and offsets are also measured directly (as about zero), without global derivatives.
    """
    rng = np.random.default_rng(seed)
    offsets = np.random.default_rng(1).normal(0, 0.05, PLANES)
    values, sigmas, locals_, globals_ = [], [], [], []
    for _ in range(count):
        kinks = rng.normal(0, 0.01, PLANES)
        kinks[[0, -1]] = 0.0
        slope, start = rng.normal(0, 0.3), rng.normal(0, 1)
        for plane in range(PLANES):
            z = plane - 3.5
            lever = [max(0.0, float(plane - other)) for other in range(1, PLANES - 1)]
            truth = start + slope * z + float(np.dot(lever, kinks[1:-1]))
            values.append(truth + offsets[plane] + 0.02 * truth + rng.normal(0, SIGMA))
            sigmas.append(SIGMA)
            derivatives = [(1, 1.0), (2, z), (9 + plane, 1.0)]
            derivatives += [(3 + k, arm) for k, arm in enumerate(lever) if arm]
            locals_.append(derivatives)
            globals_.append([(plane + 1, 1.0), (plane + 11, truth)])
        for index in range(3, PLANES + 1):
            values.append(rng.normal(0, 0.001))
            sigmas.append(0.01)
            locals_.append([(index, 1.0)])
            globals_.append([])
        for plane in range(PLANES):
            values.append(rng.normal(0, 0.001))
            sigmas.append(0.005)
            locals_.append([(9 + plane, 1.0)])
            globals_.append([])
    per_record = PLANES + (PLANES - 2) + PLANES
    return Measurements(
        np.arange(count + 1) * per_record,
        _single(values),
        _single(sigmas),
        np.concatenate(([0], np.cumsum([len(each) for each in locals_]))),
        np.array([index for each in locals_ for index, _ in each], np.int32),
        _single([value for each in locals_ for _, value in each]),
        np.concatenate(([0], np.cumsum([len(each) for each in globals_]))),
        np.array([label for each in globals_ for label, _ in each], np.int32),
        _single([value for each in globals_ for _, value in each]),
    )


def ending(
    steering: Path, directory: Path, *, old_defects: bool = False
) -> tuple[int, SolverResult | PedeAbortError]:
    """Solve; return pede's exit code with the result, or with why there is none."""
    try:
        result = solve(steering, directory=directory, old_defects=old_defects)
    except PedeAbortError as abort:
        return abort.pede_code, abort
    return result.exit_code, result
