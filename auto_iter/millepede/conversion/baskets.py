"""The raw content of ROOT branches, basket by basket: bytes and offsets, nothing interpreted.

uproot opens the file and knows where the baskets are; their payload is decompressed here, because
going through its arrays costs more than everything that is done with the numbers afterwards.
Format: ROOT's TKey, TBasket and compression headers (io/doc/TFile in ROOT's repository).
"""

from __future__ import annotations

import functools
import importlib
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import uproot
import uproot.compression

_KEY = struct.Struct(">ihiIhh")
_BASKET_END = struct.Struct(">Hiiiib")
_BLOCK_HEADER = 9

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Buffer = bytes | memoryview


class BrokenBranchError(Exception):
    """A basket that is not what its header says; the reader names file and branch."""


@dataclass(frozen=True)
class Basket:
    """Entries `start` … `stop`−1: their bytes, and where each begins (one more for the end)."""

    start: int
    stop: int
    content: Bytes
    offsets: Offsets | None

    def part(self, start: int, stop: int, width: int) -> tuple[Bytes, Offsets | None]:
        """Return bytes and offsets (from 0) of entries start … stop; `width`: without offsets."""
        first, last = start - self.start, stop - self.start
        if self.offsets is None:
            return self.content[first * width : last * width], None
        offsets = self.offsets[first : last + 1]
        if offsets[0] == 0:
            return self.content[: offsets[-1]], offsets
        return self.content[offsets[0] : offsets[-1]], offsets - offsets[0]


class BranchReader:
    """Reads one branch front to back. Holds one basket at a time, however large the branch.

    `source` is the file's descriptor: a memory map would end the process by SIGBUS when the file
    system fails, and count the whole file as our memory.
    """

    def __init__(self, branch: Any, source: int, *, is_jagged: bool) -> None:
        self.name: str = branch.name
        self._branch = branch
        self._source = source
        self._is_jagged = is_jagged
        self.edges: list[int] = [int(edge) for edge in branch.entry_offsets]
        """The entries at which baskets begin, and the end."""
        self._seeks = branch.member("fBasketSeek")
        self._sizes = branch.member("fBasketBytes")
        self._stored = int(branch.member("fWriteBasket"))
        self._next = 0
        self._current: Basket | None = None

    def read(self, start: int, stop: int) -> tuple[Bytes, Offsets]:
        """Return the joined bytes of entries start … stop−1 and the offsets within (from 0).

        Calls must go forward. For a branch of plain numbers the offsets are empty.
        """
        contents: list[Bytes] = []
        offsets: list[Offsets] = []
        end = 0
        while start < stop:
            basket = self._basket_of(start)
            content, relative = basket.part(start, min(stop, basket.stop), 8)
            contents.append(content)
            if relative is not None:
                offsets.append(relative[:-1] + end if end else relative[:-1])
            end += len(content)
            start = min(stop, basket.stop)
        offsets.append(np.array([end], dtype=np.int64))
        joined = contents[0] if len(contents) == 1 else np.concatenate(contents)
        return joined, np.concatenate(offsets)

    def _basket_of(self, entry: int) -> Basket:
        while self._current is None or entry >= self._current.stop:
            self._current = self._load(self._next)
            self._next += 1
        return self._current

    def _load(self, number: int) -> Basket:
        start, stop = self.edges[number], self.edges[number + 1]
        if number >= self._stored:
            return self._embedded(number, start, stop)
        seek, size = int(self._seeks[number]), int(self._sizes[number])
        key = os.pread(self._source, size, seek)
        if len(key) < size or size < _KEY.size + _BASKET_END.size:
            raise BrokenBranchError(f"entries {start}-{stop - 1} are cut off")
        length, _, object_length, _, key_length, _ = _KEY.unpack_from(key)
        if length != size or not _KEY.size + _BASKET_END.size <= key_length <= size:
            raise BrokenBranchError(f"entries {start}-{stop - 1} are overwritten")
        _, _, _, entries, last, _ = _BASKET_END.unpack_from(key, key_length - _BASKET_END.size)
        payload = memoryview(key)[key_length:]
        if len(payload) != object_length:
            payload = memoryview(_decompress(payload, object_length))
        content: Bytes = np.frombuffer(payload, dtype=np.uint8)
        border = last - key_length
        if entries != stop - start or not 0 <= border <= len(content):
            raise BrokenBranchError(f"entries {start}-{stop - 1} have another length than told")
        if not self._is_jagged:
            return Basket(start, stop, content[:border], None)
        if len(content) - border != 4 * (entries + 2):
            raise BrokenBranchError(f"entries {start}-{stop - 1} have no offsets")
        offsets = np.empty(entries + 1, dtype=np.int64)
        np.subtract(content[border + 4 : -4].view(">i4"), key_length, out=offsets[:-1])
        offsets[-1] = border
        return Basket(start, stop, content[:border], offsets)

    def _embedded(self, number: int, start: int, stop: int) -> Basket:
        """Return a basket that was never flushed: it lies within the tree's own header."""
        basket = self._branch.basket(number)
        content: Bytes = np.asarray(basket.data).view(np.uint8)
        if not self._is_jagged:
            return Basket(start, stop, content, None)
        if basket.byte_offsets is None:
            raise BrokenBranchError(f"entries {start}-{stop - 1} have no offsets")
        return Basket(start, stop, content, np.asarray(basket.byte_offsets, dtype=np.int64))


def _decompress(payload: memoryview, expected: int) -> Buffer:
    blocks: list[Buffer] = []
    position = 0
    while position < len(payload):
        header = bytes(payload[position : position + _BLOCK_HEADER])
        packed = int.from_bytes(header[3:6], "little")
        unpacked = int.from_bytes(header[6:9], "little")
        position += _BLOCK_HEADER
        block = payload[position : position + packed]
        position += packed
        if len(block) < packed:
            raise BrokenBranchError("a compressed block is cut off")
        try:
            blocks.append(_codec(header[:2])(block, unpacked))
        except Exception as error:  # every codec has its own
            raise BrokenBranchError(f"a compressed block is damaged ({error})") from error
    content = blocks[0] if len(blocks) == 1 else b"".join(blocks)
    if len(content) != expected:
        raise BrokenBranchError(f"a basket has {len(content)} bytes, not {expected}")
    return content


def _codec(name: bytes) -> Callable[[memoryview, int], Buffer]:
    if name == b"ZL":
        return _zlib_codec()
    codecs = {
        b"XZ": uproot.compression.LZMA,
        b"L4": uproot.compression.LZ4,
        b"ZS": uproot.compression.ZSTD,
    }
    if name not in codecs:
        raise BrokenBranchError(f"unknown compression {name!r}")
    codec = codecs[name](1)
    # LZ4 blocks begin with a checksum of 8 bytes
    skip = 8 if name == b"L4" else 0
    return lambda block, unpacked: memoryview(codec.decompress(bytes(block[skip:]), unpacked))


@functools.cache
def _zlib_codec() -> Callable[[memoryview, int], Buffer]:
    """Return the fastest zlib there is: libdeflate takes half the time of Python's own.

    Decompression is half of a conversion, so this is worth a dependency.
    """
    try:
        decompress = importlib.import_module("deflate").zlib_decompress
    except ImportError:
        return lambda block, unpacked: zlib.decompress(block, bufsize=unpacked)
    return lambda block, unpacked: memoryview(decompress(block, unpacked))
