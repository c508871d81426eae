"""Durable files: written whole or not at all, whatever happens to the machine in between."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

LEAST_FREE_BYTES = 10_000_000
"""A disk with less counts as full: scripts, logs and checkpoints need so much in any case."""

_PROBE_BYTES = 4096


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


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `content`: temporary file beside it, fsync, rename, fsync of the directory.

    Raises OSError that names `path`, which then is as it was; no temporary file is left.
    """
    encoded = content.encode() if isinstance(content, str) else content
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:  # nobody asked for the temporary file
        raise OSError(error.errno, f"cannot be written ({error.strerror})", str(path)) from error
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(encoded)
            temporary.flush()
            os.fchmod(temporary.fileno(), mode)
            os.fsync(temporary.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
