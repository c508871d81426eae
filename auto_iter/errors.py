"""Every error that auto-iter raises on purpose, and the exit code that belongs to each.

A message is one line: what is wrong, where, and what to do. Foreign exceptions are translated where
they enter (batch system, files, pede); whatever else escapes is a bug.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

TRANSIENT_ERRNOS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EHOSTDOWN,
        errno.EIO,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.EROFS,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""System errors that go away without us: full disks, stale NFS, EOS hiccups."""

NOT_CONVERGED_EXIT_CODE = 3
"""An alignment that is done, and whose constants still move: not for use without a look."""

TRANSIENT_EXIT_CODE = 75
"""With it a child process says that such an error ended it (sysexits.h: EX_TEMPFAIL)."""


DAMAGED_EXIT_CODE = 65
"""With it a child process says that its input is not what was written (sysexits.h: EX_DATAERR)."""


class AutoIterError(Exception):
    """Something that a person has to know about."""

    exit_code = 1


class UsageError(AutoIterError):
    """The command line or the configuration asks for something that makes no sense."""

    exit_code = 2


class LockedError(UsageError):
    """Another daemon holds the workspace."""


class FencedError(AutoIterError):
    """Another daemon has the workspace now: this one may not write any more, nor say it failed."""


class PermanentError(AutoIterError):
    """Trying again cannot help: the alignment goes to `failed` with this message."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message if not remedy else f"{message}; {remedy}")
        self.reason = message
        self.remedy = remedy


class InputError(PermanentError):
    """A file or a value that was given is missing, unreadable or malformed."""

    exit_code = 2  # whether an option is wrong or the file that it names makes no difference


class CheckpointError(PermanentError):
    """The checkpoint cannot be read, trusted or written."""


class JobError(PermanentError):
    """Reconstruction jobs failed for good."""


class PhysicsError(PermanentError):
    """The numbers make no sense: pede refused, constants not finite, no track left."""


class LostConstantsError(InputError):
    """The constants that an iteration found are damaged, and nothing at hand has them, too."""


class OutdatedError(AutoIterError):
    """What a solution is made of is damaged, or was made with other settings: convert it again."""


class DamagedError(OutdatedError):
    """Mille binaries are not those that were written. `paths`: which."""

    def __init__(self, message: str, paths: Sequence[Path]) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


class TransientError(AutoIterError):
    """The world is in the way (schedd down, stale NFS): the same step is tried again later."""

    def __init__(self, message: str, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class LimitError(TransientError):
    """The batch system took none of a submission's jobs, because they are too many.

    `is_for_good`: too many in one submission, whenever that is. Otherwise too many in the queue,
    which may have room when others have ended.
    """

    def __init__(self, message: str, *, is_for_good: bool) -> None:
        super().__init__(message)
        self.is_for_good = is_for_good


def raise_what_passes(error: Exception, path: Path) -> None:
    """Let trouble of the disk with `path` through: a file is not bad as it cannot be read just now.

    Raises an OSError that names it: what fails while it is read has no name.
    """
    if isinstance(error, OSError) and error.errno in TRANSIENT_ERRNOS:
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from error
