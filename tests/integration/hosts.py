"""`python -m tests.integration.hosts NAME COMMAND…`: auto-iter as on another host.

The identity of the machine is another, and `flock` says nothing, as on file systems that lock per
host; signs of life come whenever the daemon looks, not once a minute. All else is the program as it
is.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from auto_iter.cli import main
from auto_iter.daemon import lock
from auto_iter.processes import identity
from tests.support.no_locks import NoLocks


def run_on(host: str, arguments: Sequence[str]) -> int:
    """Run a command of auto-iter on `host`."""
    for name in ("_boot", "_machine", "_space"):
        setattr(identity, name, lambda name=name: f"{host}{name}")
    socket.gethostname = lambda: host
    setattr(lock, "fcntl", NoLocks)  # noqa: B010 - not a name that the module exports
    lock.REFRESH_EVERY_S = 0.0
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run_on(sys.argv[1], sys.argv[2:]))
