"""File systems on which `flock` fails, as on some that are shared; stands for `fcntl`."""

from __future__ import annotations

import errno


class NoLocks:
    """What of `fcntl` a lock asks for."""

    LOCK_EX, LOCK_NB = 2, 4

    @staticmethod
    def flock(_descriptor: int, _operation: int) -> None:
        """Refuse."""
        raise OSError(errno.ENOLCK, "No locks available")
