"""Fitted tracks as the reconstruction leaves them: the `kfalignment` ROOT file.

TTree `tree`, one entry per track; vectors with one element per hit. ROOT itself writes true
`vector<double>` branches, uproot counted arrays: both are read, chunk by chunk, front to back.

Residuals are measured - fitted (mm). The "derivations" are of the fitted position, so they are what
Mille wants: a change Δ of a parameter moves the residual by minus derivative times Δ.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import uproot

from auto_iter.errors import InputError, raise_what_passes
from auto_iter.files import naming
from auto_iter.millepede.conversion.baskets import BranchReader, BrokenBranchError, Bytes, Offsets
from auto_iter.millepede.mille.records import Bools, Floats, edges_of

TREE = "tree"
CHI2 = "fitParam_chi2"
PZ = "fitParam_pz"
CHARGE = "fitParam_charge"
"""Read where it is asked for and there: nothing that pede gets depends on it."""
ALIGN_ID = "fitParam_align_id"
RESIDUAL = "fitParam_align_local_residual_x"
UNCERTAINTY = "fitParam_align_local_measured_xe"
CHUNK_TRACKS = 1000
"""Small enough that what a chunk becomes stays in the processor's cache."""


def local_derivative(parameter: str) -> str:
    """Return the branch of d fitted x / d module parameter (`x` … `rz`): mm/mm or mm/rad."""
    return f"fitParam_align_local_derivation_x_{parameter}"


def global_derivative(parameter: str) -> str:
    """Return the branch of d fitted x / d layer or station parameter (`x` … `rz`, global axes)."""
    return f"fitParam_align_global_derivation_y_{parameter}"


def track_derivative(parameter: str) -> str:
    """Return the branch of d fitted x / d track parameter (mm, rad, 1/GeV for `qop`)."""
    return f"fitParam_align_local_derivation_x_par_{parameter}"


TRACK_PARAMETERS = ("x", "y", "theta", "phi", "qop")
TRACK_DERIVATIVES = tuple(track_derivative(name) for name in TRACK_PARAMETERS)


@dataclass(frozen=True)
class Chunk:
    """Some consecutive tracks. `ends[i]` is the first hit of track i, `ends[i+1]` its end.

    `tracks`: branch to one number a track,
    `hits`: branch to one number a hit, track after track. All finite.
    """

    tracks: Mapping[str, Floats]
    hits: Mapping[str, Floats]
    ends: Offsets

    @cached_property
    def sizes(self) -> Offsets:
        """How many hits each track has."""
        return np.diff(self.ends)

    @cached_property
    def track(self) -> Offsets:
        """Which track (from 0) each hit is on."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


class TrackFile:
    """A `kfalignment` file, opened and checked. Between chunks nothing of it is open.

    `with_charge`: chunks have CHARGE, too, where the file has it. Raises InputError, naming file
    and branch, when it is not a ROOT file, is truncated, has no tree, no tracks, lacks a branch, or
    holds a number that is none, in a branch that is read.
    """

    def __init__(
        self, path: Path, hit_branches: Sequence[str], *, with_charge: bool = False
    ) -> None:
        self.path = path
        try:
            # No memory map, which would end the process where the file system fails; no threads,
            # as processes are forked off.
            file = uproot.open(
                path, handler=uproot.MultithreadedFileSource, use_threads=False, num_workers=1
            )
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file") from error
        except Exception as error:  # uproot raises whatever the bytes lead it to
            raise_what_passes(error, path)
            raise InputError(f"{path}: not a ROOT file, or truncated") from error
        with file:
            self._tree = _tree(file, path)
        self.size: int = int(self._tree.num_entries)
        if self.size == 0:
            raise InputError(f"{path}: no tracks in {TREE!r}")
        has_charge = with_charge and self._tells_charge()
        self._of_tracks = (CHI2, PZ, CHARGE) if has_charge else (CHI2, PZ)
        names = dict.fromkeys((*self._of_tracks, ALIGN_ID, *hit_branches))
        self._branches = {name: self._branch(name) for name in names}

    def _tells_charge(self) -> bool:
        branch = self._tree.get(CHARGE)
        told = None if branch is None else getattr(branch.interpretation, "from_dtype", None)
        return told == np.dtype(">f8")

    def _branch(self, name: str) -> Any:
        branch = self._tree.get(name)
        if branch is None:
            raise InputError(f"{self.path}: no branch {name!r} in {TREE!r}")
        if int(branch.num_entries) != self.size:
            raise InputError(
                f"{self.path}: branch {name!r} has {branch.num_entries} entries for "
                f"{self.size} tracks"
            )
        return branch

    def chunks(self, tracks: int = CHUNK_TRACKS) -> Iterator[Chunk]:
        """Yield all tracks in order, about `tracks` at a time, every number checked finite."""
        with self.path.open("rb") as file:
            readers = [self._reader(name, file.fileno()) for name in self._branches]
            start = 0
            for stop in _chunk_edges(readers[len(self._of_tracks)].edges, tracks):
                yield self._chunk(readers, start, stop)
                start = stop

    def _reader(self, name: str, source: int) -> _CheckedReader:
        interpretation = self._branches[name].interpretation
        jagged = name not in self._of_tracks
        content = interpretation.content if hasattr(interpretation, "content") else interpretation
        header = int(getattr(interpretation, "header_bytes", 0))
        dtype = getattr(content, "from_dtype", None)
        is_expected = isinstance(interpretation, uproot.AsJagged) == jagged
        if not is_expected or dtype != np.dtype(">f8") or header not in (0, 10):
            kind = "vector<double>" if jagged else "double"
            raise InputError(f"{self.path}: branch {name!r} is no {kind}")
        reader = BranchReader(self._branches[name], source, is_jagged=jagged)
        return _CheckedReader(self.path, reader, header)

    def _chunk(self, readers: Sequence[_CheckedReader], start: int, stop: int) -> Chunk:
        count = len(self._of_tracks)
        tracks = {reader.name: reader.numbers(start, stop) for reader in readers[:count]}
        layout = readers[count].layout(start, stop)
        hits = {reader.name: reader.hits(start, stop, layout) for reader in readers[count:]}
        return Chunk(tracks, hits, layout.ends)


@dataclass(frozen=True)
class _Layout:
    """Where the numbers of a chunk lie in its bytes: the same for each branch of a file."""

    offsets: Offsets
    ends: Offsets
    payload: Bools | None


class _CheckedReader:
    """One branch's numbers, with errors that name file and branch."""

    def __init__(self, path: Path, reader: BranchReader, header_bytes: int) -> None:
        self.name = reader.name
        self.edges = reader.edges
        self._path = path
        self._reader = reader
        self._header = header_bytes
        self._kept: tuple[int, Bytes, Offsets] | None = None

    def numbers(self, start: int, stop: int) -> Floats:
        """Return one number per track."""
        content, _ = self._read(start, stop)
        return self._checked(content, stop - start)

    def layout(self, start: int, stop: int) -> _Layout:
        """Return how this branch's hits are laid out."""
        content, offsets = self._read(start, stop)
        self._kept = (start, content, offsets)
        lengths = np.diff(offsets) - self._header
        if lengths.min() < 0 or (lengths % 8).any():
            raise self._broken("has entries of impossible length")
        return _Layout(offsets, edges_of(lengths // 8), _payload(offsets, self._header))

    def hits(self, start: int, stop: int, layout: _Layout) -> Floats:
        """Return one number per hit; the layout must be the same as in the other branches."""
        if self._kept and self._kept[0] == start:
            _, content, offsets = self._kept
        else:
            content, offsets = self._read(start, stop)
        if not np.array_equal(offsets, layout.offsets):
            raise self._broken(f"has other numbers of hits than {ALIGN_ID!r}")
        if layout.payload is not None:
            content = content.view(np.uint16)[layout.payload].view(np.uint8)
        return self._checked(content, int(layout.ends[-1]))

    def _read(self, start: int, stop: int) -> tuple[Bytes, Offsets]:
        try:
            with naming(self._path):
                return self._reader.read(start, stop)
        except BrokenBranchError as error:
            raise self._broken(f"cannot be read: {error}") from error

    def _checked(self, content: Bytes, count: int) -> Floats:
        if len(content) != 8 * count:
            raise self._broken("has another length than told")
        numbers: Floats = content.view(">f8").astype(np.float64)
        if not np.isfinite(numbers.sum()) and not np.isfinite(numbers).all():
            raise self._broken("holds NaN or infinite numbers")
        return numbers

    def _broken(self, what: str) -> InputError:
        return InputError(f"{self._path}: branch {self.name!r} {what}")


def _payload(offsets: Offsets, header_bytes: int) -> Bools | None:
    """Return which 16-bit words are numbers, not headers; None when there are no headers."""
    if not header_bytes:
        return None
    payload = np.ones(int(offsets[-1]) // 2, dtype=np.bool_)
    words = np.arange(header_bytes // 2)
    payload[(offsets[:-1, np.newaxis] // 2 + words).ravel()] = False
    return payload


def _chunk_edges(basket_edges: Sequence[int], tracks: int) -> Iterator[int]:
    """Yield ends of chunks: where baskets end, if that gives a good size.

    A chunk across the end of a basket costs a copy of what is joined.
    """
    start = 0
    for previous, edge in itertools.pairwise(basket_edges):
        if edge - start > tracks and previous > start:
            yield previous
            start = previous
        while edge - start > 2 * tracks:
            start += tracks
            yield start
    if basket_edges[-1] > start:
        yield basket_edges[-1]


def _tree(file: Any, path: Path) -> Any:
    try:
        tree = file.get(TREE)
    except Exception as error:
        raise_what_passes(error, path)
        raise InputError(f"{path}: tree {TREE!r} cannot be read; the file is damaged") from error
    if tree is None:
        raise InputError(f"{path}: no tree {TREE!r}; the reconstruction did not finish")
    if not isinstance(tree, uproot.TTree):
        raise InputError(f"{path}: {TREE!r} is no TTree")
    return tree
