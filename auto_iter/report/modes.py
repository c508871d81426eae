"""What the data fix and what they do not: eigenmodes of the data-only Hessian, weak ones by name.

With each parameter in units of its presigma the Hessian has no dimension, and an eigenvalue is the
data's information about a combination relative to the presigmas'. Below 1 the presigmas know more
than the data: such a combination ends wherever it started, and its mode is called weak. Above 1 an
iteration takes away at least half of what is left, so that some iterations leave nothing of note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_iter.errors import InputError
from auto_iter.millepede.labels import Scheme
from auto_iter.report.known_modes import Family, families
from auto_iter.report.label_space import Floats, label_values, place

THRESHOLD = 1.0
MIN_OVERLAP = 0.7
"""A movement counts as weak when that much of it (squared) lies among the weak modes."""
MIN_NEW = 0.3
"""… and as another one than those named before when that much of it is not among them."""
DOMINANT = 0.6


@dataclass(frozen=True)
class Eigenmodes:
    """Eigenvalues (no dimension, ascending), eigenvectors (columns) in units of the presigmas."""

    labels: tuple[int, ...]
    presigma: Floats
    values: Floats
    vectors: Floats
    threshold: float

    @property
    def is_weak(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which modes the data know less about than the presigmas."""
        return self.values < self.threshold

    @property
    def weak(self) -> Floats:
        """The weak eigenvectors, as columns."""
        return np.asarray(self.vectors[:, self.is_weak])

    @property
    def strong(self) -> Floats:
        """The other eigenvectors, as columns."""
        return np.asarray(self.vectors[:, ~self.is_weak])


@dataclass(frozen=True)
class WeakMode:
    """`count` weak combinations that have one name.

    `information`: the largest of their eigenvalues, data relative to presigma. `shares`: the
    parameters that make up the first of them most, with their part (in units of presigma).
    """

    name: str
    count: int
    information: float
    shares: tuple[tuple[int, float], ...]


def eigenmodes(
    labels: Sequence[int],
    hessian: Floats,
    presigma: Floats,
    threshold: float = THRESHOLD,
    constraints: Floats | None = None,
) -> Eigenmodes:
    """Return the modes of a data-only Hessian (1/mm², 1/rad²) for positive presigmas (mm, rad).

    With `constraints` (rows of factors over `labels`) there are only modes that obey them: what
    the constraints fix is neither weak nor compared with anything. Raises InputError when the
    shapes do not agree or a presigma is not positive.
    """
    size = len(labels)
    if hessian.shape != (size, size) or presigma.shape != (size,):
        raise InputError(f"{size} labels, but a matrix of {hessian.shape} and {presigma.shape}")
    if not (presigma > 0).all():
        raise InputError("a parameter without a positive presigma has no scale to compare with")
    scaled = hessian * np.outer(presigma, presigma)
    basis = _obeying(constraints, presigma)
    inner = basis.T @ (0.5 * (scaled + scaled.T)) @ basis
    values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
    vectors = basis @ vectors
    # the sign of an eigenvector is arbitrary: make its largest component positive
    rows = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[rows, np.arange(vectors.shape[1])])
    return Eigenmodes(tuple(map(int, labels)), presigma, values, vectors, threshold)


def _obeying(constraints: Floats | None, presigma: Floats) -> Floats:
    """Return an orthonormal basis, in units of the presigmas, of what the constraints allow."""
    if constraints is None or not len(constraints):
        return np.eye(len(presigma))
    _, sizes, rows = np.linalg.svd(constraints * presigma, full_matrices=True)
    rank = int((sizes > sizes[0] * 1e-10).sum())
    return np.asarray(rows[rank:].T)


def name_weak_modes(modes: Eigenmodes, scheme: Scheme) -> tuple[WeakMode, ...]:
    """Return the weak modes by name: known movements first, then by what dominates them."""
    weak = modes.weak
    named: list[WeakMode] = []
    known = np.empty((weak.shape[1], 0))
    for family in families(_stations(modes.labels, scheme)):
        new = _new_directions(_overlaps(family, modes, scheme), known)
        if new.shape[1]:
            known = np.column_stack([known, new])
            named.append(_described(family.name, new, modes))
    return (*named, *_unknown(known, modes, scheme))


def _stations(labels: Sequence[int], scheme: Scheme) -> list[int]:
    return sorted({place(label, scheme).component.station for label in labels})


def _overlaps(family: Family, modes: Eigenmodes, scheme: Scheme) -> Floats:
    """Return, as columns, the weak part of each member that is weak; members of length 1."""
    columns = [np.empty((modes.weak.shape[1], 0))]
    free = {place(label, scheme).component.key for label in modes.labels}
    for member in family.members:
        if not free.issuperset(member):
            continue
        movement = label_values(member, modes.labels, scheme) / modes.presigma
        length = float(np.linalg.norm(movement))
        if length == 0:
            continue
        part = modes.weak.T @ (movement / length)
        if part @ part >= MIN_OVERLAP:
            columns.append(part[:, None])
    return np.column_stack(columns)


def _new_directions(parts: Floats, known: Floats) -> Floats:
    """Return an orthonormal basis of what `parts` add to the orthonormal `known`."""
    if not parts.shape[1]:
        return parts
    rest = parts - known @ (known.T @ parts)
    left, sizes, _ = np.linalg.svd(rest, full_matrices=False)
    return np.asarray(left[:, sizes**2 > MIN_NEW])


def _described(name: str, directions: Floats, modes: Eigenmodes) -> WeakMode:
    information = np.einsum("id,i,id->d", directions, modes.values[modes.is_weak], directions)
    vector = modes.weak @ directions[:, 0]
    return WeakMode(
        name,
        directions.shape[1],
        max(float(information.max()), 0.0),
        largest_shares(vector, modes.labels),
    )


def largest_shares(
    vector: Floats, labels: Sequence[int], count: int = 6
) -> tuple[tuple[int, float], ...]:
    """Return the labels that make up `vector` most, with their components."""
    order = np.argsort(-np.abs(vector), kind="stable")[:count]
    return tuple((int(labels[i]), float(vector[i])) for i in order)


def _unknown(known: Floats, modes: Eigenmodes, scheme: Scheme) -> list[WeakMode]:
    """Return what no known movement explains, by the kind of parameter that dominates."""
    size = known.shape[0]
    left = size - known.shape[1]
    if not left:
        return []
    basis = np.linalg.svd(known, full_matrices=True)[0][:, known.shape[1] :]
    inner = basis.T @ (modes.values[modes.is_weak][:, None] * basis)
    directions = basis @ np.linalg.eigh(inner)[1]
    groups: dict[str, list[int]] = {}
    for number in range(left):
        name = _dominant(modes.weak @ directions[:, number], modes.labels, scheme)
        groups.setdefault(name, []).append(number)
    return [_described(name, directions[:, members], modes) for name, members in groups.items()]


def _dominant(vector: Floats, labels: Sequence[int], scheme: Scheme) -> str:
    shares: dict[str, float] = {}
    for label, component in zip(labels, vector, strict=True):
        where = place(label, scheme)
        kind = f"{where.component.depth} {where.parameter}"
        shares[kind] = shares.get(kind, 0.0) + float(component**2)
    ordered = sorted(shares, key=lambda kind: (-shares[kind], kind))
    if shares[ordered[0]] >= DOMINANT:
        return f"other combinations of {ordered[0]}"
    return f"other combinations of {' and '.join(sorted(ordered[:2]))}"
