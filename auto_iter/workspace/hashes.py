"""What stands for the content of files and records, so that damage and mix-ups are noticed.

Files are hashed where they are written or read anyway; records (JSON) carry the hash of themselves.
A hash that is not there (older versions wrote none) says nothing, and is no complaint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel

from auto_iter.files import checksum, digest, naming

CHECKSUM = "checksum"
"""The field of a record that stands for all its others."""

_BYTES = 20


def new_hash() -> hashlib.blake2b:
    """Return the hash for whole files, read piece by piece; it keeps up with disks."""
    return hashlib.blake2b(digest_size=_BYTES)


def hash_of_file(path: Path) -> str:
    """Return the hash of a file's content. Raises OSError that names it."""
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, new_hash).hexdigest()


def digests_below(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of files by their path in `root`, sorted. Raises OSError."""
    found = {}
    for path in sorted(paths):
        with naming(path):
            found[str(path.relative_to(root))] = digest(path.read_bytes())
    return found


def hash_of_all(parts: Iterable[object]) -> str:
    """Return one hash for several values that JSON knows, in their order."""
    return digest(json.dumps(list(parts), sort_keys=True).encode())


Key = TypeVar("Key")


def copies(hashes: Mapping[Key, str]) -> list[list[Key]]:
    """Return the groups of keys that have the same hash; an empty hash says nothing."""
    groups: dict[str, list[Key]] = {}
    for key, each in hashes.items():
        if each:
            groups.setdefault(each, []).append(key)
    return [group for group in groups.values() if len(group) > 1]


class HashingSink:
    """A binary file that is written to, and the hash and size of what was."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self._hash = sink, new_hash()
        self.size = 0

    def write(self, content: memoryview | bytes) -> None:
        """Write `content`."""
        self._hash.update(content)
        self.size += memoryview(content).nbytes
        self._sink.write(content)

    @property
    def digest(self) -> str:
        """The hash of everything written so far."""
        return self._hash.hexdigest()


def fault_of(path: Path, expected: str, *, or_empty: bool = False) -> str:
    """Return what is wrong with constants; empty when nothing is."""
    try:
        with naming(path):
            content = path.read_bytes()
    except FileNotFoundError:
        return "no such file"
    if not content.strip() and not or_empty:
        return "empty, although an iteration has found constants"
    if not expected or digest(content) == expected:
        return ""
    return "does not match its checksum"


def differs(path: Path, expected: str) -> bool:
    """Tell whether the constants at `path` are not, or not any more, those with that hash."""
    return bool(fault_of(path, expected, or_empty=True))


Record = TypeVar("Record", bound=BaseModel)


def sealed(record: Record) -> Record:
    """Return a record with the checksum of its other fields."""
    content = json.loads(record.model_dump_json(exclude={CHECKSUM}))
    return record.model_copy(update={CHECKSUM: checksum(content)})


def is_intact(content: Mapping[str, Any]) -> bool:
    """Tell whether a record, as it was read, is the one that was written; older ones do not say."""
    told = content.get(CHECKSUM)
    rest = {key: value for key, value in content.items() if key != CHECKSUM}
    return not told or told == checksum(rest)
