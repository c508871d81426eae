"""What the data fix and what they do not: eigenmodes of the data-only Hessian, weak ones by name.

An eigenvalue is the data's information about a combination relative to what is known without them:
by the priors, or, where there are none, by the presigmas. With K that information (1/mm², 1/rad²)
and S Sᵀ = K⁻¹ the matrix Sᵀ H S has no dimension, and its eigenvalues are those ratios. Below 1 the
data know less: such a combination ends wherever it started, and its mode is called weak.

n labels, k weak modes. The formula is that of generalised eigenvalues, H v = λ K v, by way of K's
Cholesky factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from auto_iter.detector.labels import Scheme, place_of
from auto_iter.errors import InputError
from auto_iter.millepede.solver.spectrum import largest_shares, turned
from auto_iter.weakmodes.known_modes import Family, families
from auto_iter.weakmodes.label_space import Floats, label_values

THRESHOLD = 1.0
"""A mode with a smaller eigenvalue is weak: the data know less of it than what was known before."""
MIN_OVERLAP = 0.7
"""A movement counts as weak when that much of it (squared) lies among the weak modes."""
MIN_NEW = 0.3
"""… and as another one than those named before when that much of it is not among them."""
DOMINANT = 0.6


@dataclass(frozen=True)
class Eigenmodes:
    """Eigenvalues (no dimension, ascending) and eigenvectors (columns) in units of what is known.

    `scale` S (n, n): an amplitude u of vectors v is the displacement S·v·u of the labels (mm, rad).
    With constraints there are fewer than n `values` and columns of `vectors` (n, …).
    """

    labels: tuple[int, ...]
    scale: Floats
    values: Floats
    vectors: Floats

    @property
    def is_weak(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which modes the data know less about than what was known before."""
        return self.values < THRESHOLD

    @property
    def weak(self) -> Floats:
        """The weak eigenvectors, as columns."""
        return np.asarray(self.vectors[:, self.is_weak])

    @property
    def strong(self) -> Floats:
        """The other eigenvectors, as columns."""
        return np.asarray(self.vectors[:, ~self.is_weak])

    def in_units(self, displacement: Floats) -> Floats:
        """Return displacements of the labels (n; mm, rad) in units of what is known: S⁻¹ of them.

        One displacement (n), or several as columns (n, any).
        """
        return np.asarray(np.linalg.solve(self.scale, displacement))


@dataclass(frozen=True)
class WeakMode:
    """`count` weak combinations that have one name.

    `information`: the largest of their eigenvalues, data relative to what is known. `shares`:
    the parameters that make up the first of them most, with their part (in those units).
    `directions`: the combinations, as orthonormal columns over the weak modes.
    """

    name: str
    count: int
    information: float
    shares: tuple[tuple[int, float], ...]
    directions: Floats = field(compare=False, repr=False)


def eigenmodes(
    labels: Sequence[int],
    hessian: Floats,
    known: Floats,
    constraints: Floats | None = None,
) -> Eigenmodes:
    """Return the modes of a data-only Hessian (1/mm², 1/rad²) relative to the information `known`.

    With `constraints` (rows of factors over `labels`) there are only modes that obey them: what
    the constraints fix is neither weak nor compared with anything. Shapes: `hessian` and `known`
    (n, n), symmetric; `constraints` (any, n). Raises InputError when the shapes do not agree or
    nothing is known of a combination.
    """
    size = len(labels)
    if hessian.shape != (size, size) or known.shape != (size, size):
        raise InputError(f"{size} labels, but matrices of {hessian.shape} and {known.shape}")
    try:
        scale = np.linalg.inv(np.linalg.cholesky(known)).T
    except np.linalg.LinAlgError:
        raise InputError(
            "a parameter without presigma and prior has no scale to compare with"
        ) from None
    scaled = scale.T @ hessian @ scale
    basis = _obeying(constraints, scale)
    inner = basis.T @ (0.5 * (scaled + scaled.T)) @ basis
    values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
    return Eigenmodes(tuple(map(int, labels)), scale, values, turned(basis @ vectors))


def of_sigmas(sigmas: Floats) -> Floats:
    """Return the information (n, n) of independent uncertainties (n; mm, rad): 1/σ² diagonal."""
    return np.diag(sigmas**-2.0)


def _obeying(constraints: Floats | None, scale: Floats) -> Floats:
    """Return an orthonormal basis, in units of what is known, of what the constraints allow."""
    if constraints is None or not len(constraints):
        return np.eye(len(scale))
    _, sizes, rows = np.linalg.svd(constraints @ scale, full_matrices=True)
    rank = int((sizes > sizes[0] * 1e-10).sum())
    return np.asarray(rows[rank:].T)


def name_weak_modes(modes: Eigenmodes, scheme: Scheme) -> tuple[WeakMode, ...]:
    """Return the weak modes by name: known movements first, then by what dominates them.

    Each weak dimension is named once: the names' `directions` together are a basis of the weak
    space. Raises InputError for a label that `scheme` does not know.
    """
    weak = modes.weak
    named: list[WeakMode] = []
    known = np.empty((weak.shape[1], 0))
    stations = sorted({place_of(label, scheme).component.station for label in modes.labels})
    for family in families(stations):
        new = _new_directions(_overlaps(family, modes, scheme), known)
        if new.shape[1]:
            known = np.column_stack([known, new])
            named.append(_described(family.name, new, modes))
    return (*named, *_unknown(known, modes, scheme))


def _overlaps(family: Family, modes: Eigenmodes, scheme: Scheme) -> Floats:
    """Return, as columns, the weak part of each member that is weak; members of length 1."""
    free = {place_of(label, scheme).component.key for label in modes.labels}
    members = [member for member in family.members if free.issuperset(member)]
    if not members:
        return np.empty((modes.weak.shape[1], 0))
    moved = [label_values(member, modes.labels, scheme) for member in members]
    movements = modes.in_units(np.column_stack(moved))
    lengths = np.linalg.norm(movements, axis=0)
    # eigenvectors of like eigenvalues mix at will: compared is with the space of all weak ones
    parts = modes.weak.T @ (movements[:, lengths > 0] / lengths[lengths > 0])
    return np.asarray(parts[:, (parts**2).sum(axis=0) >= MIN_OVERLAP])


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
        directions,
    )


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
        kind = place_of(label, scheme).kind
        shares[kind] = shares.get(kind, 0.0) + float(component**2)
    ordered = sorted(shares, key=lambda kind: (-shares[kind], kind))
    if shares[ordered[0]] >= DOMINANT:
        return f"other combinations of {ordered[0]}"
    return f"other combinations of {' and '.join(sorted(ordered[:2]))}"
