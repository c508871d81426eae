"""Durable files: written whole or not at all, whatever happens to the machine in between."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY = ".tmp"
"""How the hidden names end of what is not needed once its writer is gone."""

_LEFTOVERS = (f".*{TEMPORARY}", ".*.partial")

LEAST_FREE_BYTES = 10_000_000
"""A disk with less counts as full: scripts, logs and checkpoints need so much in any case."""

_PROBE_BYTES = 4096


def expanded(path: str | Path) -> Path:
    """Return `path` with its `~` or `~user` replaced; one who does not exist stays as written.

    There is no such place then, as whoever looks there will say.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def refuse_full_disk(directory: Path) -> None:
    """Raise OSError when files cannot be written into `directory`: no room, quota, read-only."""
    disk = shutil.disk_usage(directory)
    if disk.total and disk.free < LEAST_FREE_BYTES:  # some file systems tell no sizes
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(bytes(_PROBE_BYTES))  # nothing else tells a quota
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(directory)) from error


def write_atomically(
    path: Path, content: str | bytes, *, mode: int = 0o644, check: Callable[[], None] = lambda: None
) -> None:
    """Replace `path` by `content`: temporary file beside it, fsync, rename, fsync of the directory.

    Raises OSError that names `path`, which then is as it was, or, where only the last step failed,
    new and perhaps not durable; no temporary file is left.
    """
    with write_whole(path, mode=mode, check=check) as sink:
        sink.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def write_whole(
    path: Path, *, mode: int = 0o644, check: Callable[[], None] = lambda: None
) -> Iterator[BinaryIO]:
    """Give a file to write to that becomes `path` in the end, durably, and vanishes on any error.

    `check` is called last before the rename, and forbids it by raising. Who takes the place of this
    process removes the temporary file, so that a pause between the two does no harm.

    A symbolic link stays one: what it points to is replaced. Errors of the disk name `path`.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory, not a file", str(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "is a device or a pipe, not a file", str(path))
    temporary = ""
    try:
        # A name of its own: whoever still writes for a daemon that is gone does not write here.
        descriptor, temporary = tempfile.mkstemp(TEMPORARY, f".{target.name}.", target.parent)
        with os.fdopen(descriptor, "wb") as sink:
            yield sink
            sink.flush()
            os.fchmod(sink.fileno(), mode)
            os.fsync(sink.fileno())
        check()
        Path(temporary).replace(target)
        sync_directory(target.parent)
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(_stem(target)):
            reason = f"cannot be written ({error.strerror})"
            raise OSError(error.errno, reason, str(path)) from error
        raise
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _stem(target: Path) -> str:
    """Return how the names of the temporary files for `target` begin: nobody asked for those."""
    return str(target.with_name(f".{target.name}."))


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an OSError that names no file name `path`: reading and syncing fail without a name."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def digest(content: bytes) -> str:
    """Return what stands for `content`, to notice that it is another one."""
    return hashlib.sha256(content).hexdigest()


def checksum(values: Mapping[str, Any]) -> str:
    """Return the digest of values as canonical JSON: the layout of their file does not matter."""
    return digest(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())


def free_name(path: Path, first: int = 1) -> Path:
    """Return `path` with a number behind it, from `first` on, that nothing has yet."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(first))
    return next(each for each in numbered if not each.exists())


def move_whole(source: Path, target: Path, tag: str = "partial") -> None:
    """Move a file whole, onto another file system if need be; durable but for its name.

    To be followed by `sync_directory`, once for however many files. Raises OSError, and then leaves
    no part of it at `target`. `tag`: how the name of a copy ends until it is whole. A daemon that
    starts removes what is called `partial`; who moves while one may start says something else.
    """
    partial = target.with_name(f".{target.name}.{tag}")
    try:
        _sync(source)
        try:
            source.replace(target)
        except OSError:
            shutil.copyfile(source, partial)
            _sync(partial)
            partial.replace(target)
            source.unlink()
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def made_whole(place: Path) -> Iterator[Path]:
    """Give a directory to fill that becomes `place` in the end: durably, as a whole or not at all.

    Whoever is killed leaves a hidden one beside it. Raises OSError where `place` is there, or the
    directory for it is not.
    """
    if not place.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place.parent))
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as scratch:
        made = Path(scratch) / place.name
        made.mkdir()
        yield made
        for path in (*made.rglob("*"), made):
            if not path.is_symlink():
                _sync(path)
        if place.exists():  # an empty directory would be replaced without a word
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
        made.rename(place)
        sync_directory(place.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` survive a power cut."""
    _sync(directory, os.O_DIRECTORY)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(directories: Iterable[Path]) -> int:
    """Remove what killed writers left in `directories`, and return how much that was.

    Only for who knows that nobody writes there now.
    """
    removed = 0
    for directory in directories:
        for pattern in _LEFTOVERS:
            for path in directory.glob(pattern):
                with contextlib.suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    removed += 1
    return removed
