"""Records what makes an alignment's files durable, in the order in which it happens.

In a recorded process `fsync`, `rename`, `replace` and `unlink` write a line into a log that all
processes share, under a lock, so there is one order. `fsync` keeps what it made durable: the
content of a file, the entries of a directory. It does not sync in fact; the disk is a model.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

VARIABLE = "CRASH_RECORD"
"""Environment variable: `RECORD:ROOT`, where the record goes and which tree is recorded."""


REFUSE = "CRASH_REFUSE"
"""Environment variable: `ERRNO:N:PLACE`, the error that the nth side effect of a place meets."""

REFUSED = "refused"
"""The file in the record that tells that it was."""

_DEPTH = 4  # how many functions tell one place of the program from another


@dataclass(frozen=True)
class RefusedEffect:
    """Which side effect meets an error in place of being done: the nth (from 1) of a place."""

    error: int
    nth: int
    place: str

    def as_text(self) -> str:
        """Return what the environment says of it."""
        return f"{self.error}:{self.nth}:{self.place}"

    @classmethod
    def parse(cls, text: str) -> RefusedEffect | None:
        """Return what `as_text` made; None for nothing."""
        error, _, rest = text.partition(":")
        nth, _, place = rest.partition(":")
        return cls(int(error), int(nth), place) if place else None


class Recorder:
    """Stands in front of the system's calls, for files below `root`."""

    def __init__(self, record: Path, root: Path, refuse: RefusedEffect | None = None) -> None:
        self._record, self._root = record, os.path.realpath(root)
        self._refuse = refuse
        (record / "blobs").mkdir(parents=True, exist_ok=True)
        self._real: dict[str, Callable[..., None]] = {}

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Record until the block ends."""
        self.start()
        try:
            yield
        finally:
            for name, real in self._real.items():
                setattr(os, name, real)

    def start(self) -> None:
        """Record from now on."""
        ours = {
            "fsync": self._fsync, "rename": self._rename, "replace": self._replace,
            "unlink": self._unlink, "remove": self._remove,
        }  # fmt: skip
        for name, call in ours.items():
            self._real[name] = getattr(os, name)
            setattr(os, name, call)

    def _fsync(self, file: Any) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not self._is_ours(path):
            return self._real["fsync"](descriptor)
        with self._in_order("fsync") as note:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                note({"op": "directory", "path": self._steps(path), "entries": _entries(path)})
                return None
            content = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            blob = hashlib.sha256(content).hexdigest()
            (self._record / "blobs" / blob).write_bytes(content)
            kept = [blob, stat.S_IMODE(status.st_mode), status.st_mtime_ns]
            note({"op": "file", "path": self._steps(path), "kept": kept})
            return None

    def _steps(self, path: str) -> list[tuple[str, int]]:
        """Return the names from the root to `path`, each with its inode."""
        at, steps = self._root, [("", os.stat(self._root).st_ino)]
        for name in Path(path).relative_to(self._root).parts:
            at = os.path.join(at, name)
            steps.append((name, os.lstat(at).st_ino))
        return steps

    def _rename(self, source: Any, target: Any, **more: Any) -> None:
        self._moved("rename", source, target, more)

    def _replace(self, source: Any, target: Any, **more: Any) -> None:
        self._moved("replace", source, target, more)

    def _moved(self, name: str, source: Any, target: Any, more: dict[str, Any]) -> None:
        path = os.path.abspath(os.fsdecode(target))
        if not self._is_ours(path):
            self._real[name](source, target, **more)
            return
        names = (os.fsdecode(source), os.fsdecode(target))
        with self._in_order("rename", *names) as note:
            gone = _lost(path)
            self._real[name](source, target, **more)
            folder = os.stat(os.path.dirname(path)).st_ino
            entry = {"directory": folder, "name": os.path.basename(path), "gone": gone}
            note({"op": "rename", **entry})

    def _unlink(self, path: Any, **more: Any) -> None:
        self._removed("unlink", path, more)

    def _remove(self, path: Any, **more: Any) -> None:
        self._removed("remove", path, more)

    def _removed(self, name: str, path: Any, more: dict[str, Any]) -> None:
        where = _resolved(path, more.get("dir_fd"))
        if not self._is_ours(where):
            self._real[name](path, **more)
            return
        with self._in_order("unlink", os.fsdecode(path)) as note:
            gone = _lost(where)
            self._real[name](path, **more)
            note({"op": "unlink", "gone": gone})

    def _is_ours(self, path: str) -> bool:
        return os.path.realpath(os.path.dirname(path)).startswith(self._root) or (
            path == self._root
        )

    @contextlib.contextmanager
    def _in_order(self, what: str, *names: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Keep all other recorded processes waiting, and give what writes a line."""
        place = f"{what} {_callers()}"
        with (self._record / "log").open("a+") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            if self._refuse is not None and self._refuse.place == place:
                self._refuse_once(log, self._refuse, names)

            def note(line: Mapping[str, Any]) -> None:
                log.write(json.dumps({**line, "place": place}) + "\n")
                log.flush()

            yield note

    def _refuse_once(self, log: TextIO, refusal: RefusedEffect, names: tuple[str, ...]) -> None:
        """Raise the error as the disk would: it names the paths that the call was given."""
        refused = self._record / REFUSED
        log.seek(0)
        done = sum(json.loads(line)["place"] == refusal.place for line in log)
        if refused.exists() or done + 1 < refusal.nth:
            return
        refused.touch()
        source, target = (*names, None, None)[:2]
        raise OSError(refusal.error, os.strerror(refusal.error), source, None, target)


def _callers() -> str:
    """Return the innermost functions of the program that lead here."""
    frame, names = sys._getframe(), list[str]()  # noqa: SLF001
    while frame.f_back is not None and len(names) < _DEPTH:
        frame = frame.f_back
        if "/auto_iter/" in frame.f_code.co_filename:
            names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
        if frame.f_code.co_name == "<module>":
            break  # what is below belongs to the program that this one was forked from
    return " < ".join(names)


def _resolved(path: Any, directory: int | None) -> str:
    name = os.fsdecode(path)
    if directory is not None:
        name = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), name)
    return os.path.abspath(name)


def _lost(path: str) -> int | None:
    """Return the inode that goes with this name, and may soon be another file's."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino if status.st_nlink == 1 else None


def _entries(directory: str) -> dict[str, tuple[str, int, str]]:
    """Return name → (kind, inode, where a link points to)."""
    found = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            kind = "directory" if entry.is_dir(follow_symlinks=False) else "file"
            target = ""
            if entry.is_symlink():
                kind, target = "link", os.readlink(entry.path)
            found[entry.name] = (kind, entry.inode(), target)
    return found


def start_if_asked(environment: Mapping[str, str]) -> None:
    """Record this process if its environment says so."""
    record, _, root = environment.get(VARIABLE, "").partition(":")
    if root:
        refuse = RefusedEffect.parse(environment.get(REFUSE, ""))
        Recorder(Path(record), Path(root), refuse).start()
