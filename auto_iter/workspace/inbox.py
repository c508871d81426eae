"""Requests as small files in a workspace, kept until the checkpoint knows of them."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from auto_iter.alignment.requests import Request
from auto_iter.files import sync_directory, write_atomically
from auto_iter.log.setup import get_logger
from auto_iter.workspace.paths import Workspace

LARGEST_BYTES = 1_000_000
"""A request that names 99 999 raw files has less."""


class FileInbox:
    """An `Inbox`: a directory of a workspace, a file for each request."""

    def __init__(self, workspace: Workspace) -> None:
        self._root = workspace.root
        self._directory = workspace.requests

    def post(self, request: Request) -> Path:
        """Put a request in durably; return its file, which is gone once it was taken in."""
        if not self._directory.is_dir():
            self._directory.mkdir(exist_ok=True)
            sync_directory(self._root)
        path, content = self._path(request), request.model_dump_json()
        try:
            write_atomically(path, content)
        except FileNotFoundError:
            # A daemon that starts just now removes the temporary files it finds; it does so once.
            write_atomically(path, content)
        return path

    def pending(self) -> tuple[Request, ...]:
        """Return all that lie there, the oldest first; what is none is set aside as `*.bad`."""
        read = [self._read(path) for path in sorted(self._directory.glob("*.json"))]
        return tuple(each for each in read if each is not None)

    def ids(self) -> frozenset[str]:
        """Return the ids of what lies there."""
        return frozenset(path.stem for path in self._directory.glob("*.json"))

    def drop(self, requests: tuple[Request, ...]) -> None:
        """Remove requests that the checkpoint knows of. Raises OSError; may be repeated.

        For good: the checkpoint forgets them for those that come next, and one that a power cut
        brought back would be done again.
        """
        for each in requests:
            self._path(each).unlink(missing_ok=True)
        if requests:
            sync_directory(self._directory)

    def _path(self, request: Request) -> Path:
        return self._directory / f"{request.id}.json"

    def _read(self, path: Path) -> Request | None:
        try:
            with path.open("rb") as file:
                request = Request.model_validate_json(file.read(LARGEST_BYTES))
        except FileNotFoundError:
            return None
        except (ValidationError, IsADirectoryError, PermissionError):
            request = None
        if request is not None and request.id == path.stem:
            return request
        get_logger().warning("not a request; set aside as *.bad", file=str(path))
        with suppress(OSError):
            path.replace(path.with_suffix(".bad"))
        return None


def new_id(now: float) -> str:
    """Return a name for a request: in order of time, and never the same twice."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{stamp}-{int(now % 1 * 1e6):06d}-{secrets.token_hex(4)}"
