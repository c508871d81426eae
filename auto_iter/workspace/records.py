"""What conversions and solutions left on the disk, and whether it is still so.

Whatever is asked here is cheap: names, sizes, small files. What takes reading Mille binaries or
ROOT files is done where those are read anyway, in the children.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from auto_iter.alignment.attempt import Record
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.files import naming
from auto_iter.workspace.hashes import differs, is_intact
from auto_iter.workspace.paths import Iteration


class FileVersion(Record):
    """What tells a file from the one that replaced it, without reading either."""

    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """Return what lies at `path` now; None where nothing does."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        return cls(size=status.st_size, mtime_ns=status.st_mtime_ns)

    def is_same(self, other: FileVersion) -> bool:
        """Tell whether `other` is this very version, whatever else is known of either."""
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


@dataclass(frozen=True)
class Converted:
    """The record of a conversion, and what is wrong with it or its binary; empty when nothing."""

    record: Mapping[str, Any]
    damage: str = ""

    @property
    def source(self) -> FileVersion:
        """Which ROOT file it was made from."""
        told = self.record["source"]
        return FileVersion(size=told["size"], mtime_ns=told["mtime_ns"])

    @property
    def error(self) -> str | None:
        """Why the ROOT file is bad; None when it is not."""
        told: str | None = self.record["error"]
        return told

    @property
    def tracks(self) -> str:
        """What stands for the tracks in that file; empty where an older version converted it."""
        told: str = self.record["source"].get("tracks", "")
        return told


def read_conversion(paths: Iteration, number: int) -> Converted | None:
    """Return what is known of a raw file's conversion; None where there is no record.

    A record that cannot be read counts as damaged, and so does a binary of another size.
    """
    path = paths.mille_statistics(number)
    record = read_json(path)
    if record is None:
        return Converted({}, f"{path.name} cannot be read") if path.exists() else None
    if not is_intact(record) or not record.keys() >= {"source", "error"}:
        return Converted(record, f"{path.name} does not match its checksum")
    name = paths.output_name(number)
    if (record.get("number", number), record.get("root", name)) != (number, name):
        return Converted(record, f"{path.name} is of another raw file")
    if record["error"] is not None:
        return Converted(record)
    binary = paths.mille_binary(number)
    found, told = FileVersion.at(binary), record.get("binary")
    if found is None:
        return Converted(record, f"{binary.name} is not there")
    if told is None:  # all that an older version lets us know
        is_whole = found.size > 0 or not record.get("statistics", {}).get("records")
    else:
        is_whole = found.size == told["size"]
    return Converted(record, "" if is_whole else f"{binary.name} does not match its checksum")


def fingerprint(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Return a digest of all that a solution is made of: settings, and the content of `files`.

    A solution with another one is not this iteration's: made by hand, or with settings that were
    changed since. `files`: strategy, constants, and the records of conversions, which stand for
    ROOT files and Mille binaries: they hold their hashes.
    """
    whole = hashlib.sha256()
    whole.update(json.dumps(settings, sort_keys=True).encode())
    for path in files:
        try:
            with naming(path):
                whole.update(hashlib.sha256(path.read_bytes()).digest())
        except FileNotFoundError:
            whole.update(b"none")
    return whole.hexdigest()


def read_solution(path: Path) -> SolutionSummary | None:
    """Return the numbers that travel of a `solution.json`; None when there is none, or a damaged.

    Nor is there one where the constants beside it are not those that it tells of.
    """
    record = read_json(path)
    if record is None or not is_intact(record):
        return None
    told = record.get("hashes", {}).get("constants")
    if told and differs(path.with_name("inputforalign.txt"), told):
        return None
    return SolutionSummary.model_validate(
        {name: record[name] for name in SolutionSummary.model_fields if name in record}
    )


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a record; None where there is none, or what is there is none."""
    try:
        with naming(path):
            content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return content if isinstance(content, dict) else None
