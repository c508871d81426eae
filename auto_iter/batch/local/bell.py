"""How the processes of a workspace wake each other: datagrams to abstract sockets (unix(7)).

No file system is involved, so it works on all of them, and nothing is left behind. It only saves
time: where nothing is heard (another host, a container with a network of its own) everybody looks
at the records once a second anyway.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from pathlib import Path

DAEMON, SUPERVISOR = "daemon", "supervisor"


class Bell:
    """What one process hears; another one that has the same name already leaves it deaf."""

    def __init__(self, home: Path, name: str) -> None:
        self._socket = _datagrams()
        with contextlib.suppress(OSError):
            self._socket.bind(_address(home, name))

    def fileno(self) -> int:
        """Return the descriptor that is readable once somebody rang."""
        return self._socket.fileno()

    def wait(self, seconds: float) -> None:
        """Wait until somebody rings, but not longer than that; then be silent again."""
        select.select([self], [], [], seconds)
        with contextlib.suppress(OSError):
            while self._socket.recv(1):
                pass

    def close(self) -> None:
        """Give name and descriptor back."""
        self._socket.close()


def ring(home: Path) -> None:
    """Wake who waits for news of the records in `home`, if anybody does."""
    with contextlib.suppress(OSError), _datagrams() as rope:
        for name in (DAEMON, SUPERVISOR):
            with contextlib.suppress(OSError):  # nobody there, or it has rung often enough
                rope.sendto(b".", _address(home, name))


def _datagrams() -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    opened.setblocking(False)
    return opened


def _address(home: Path, name: str) -> bytes:
    """Return a name that does not depend on the path, which is long, linked or moved at times."""
    place = os.stat(home)  # noqa: PTH116 - also of a string
    return f"\0auto-iter/{name}/{place.st_dev:x}.{place.st_ino:x}".encode()
