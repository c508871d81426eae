"""Every error that auto-iter raises on purpose, and the exit code that belongs to each.

A message is one line: what is wrong, where, and what to do. Foreign exceptions are translated where
they enter (batch system, files, pede); whatever else escapes is a bug.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Sequence
from enum import StrEnum
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

ASK_WHO_WE_ARE = ("/afs/", "/eos/")
"""File systems that refuse, or show nothing, without a token, and serve us again with one."""

FULL_DISK_ERRNOS = frozenset({errno.EDQUOT, errno.ENOSPC})

NOT_CONVERGED_EXIT_CODE = 3
"""An alignment that is done, and whose constants still move: not for use without a look."""

PLATEAU_EXIT_CODE, OSCILLATING_EXIT_CODE, DIVERGING_EXIT_CODE = 4, 5, 6
"""Likewise, where more iterations would not help; see `alignment.verdict`."""

RUNNING_EXIT_CODE = 10
"""Of `status --exit-code`: a daemon is at work."""

WAITING_EXIT_CODE = 11
"""Likewise: a daemon waits for something to go away, and tries again by itself."""

NO_DAEMON_EXIT_CODE = 12
"""Likewise: stopped or killed, so that nothing happens until somebody resumes."""

PAUSED_EXIT_CODE = 14
"""Likewise: a person has paused it; jobs go on, nothing new is begun."""

UNDER_DAGMAN_EXIT_CODE = 13
"""Likewise: handed to DAGMan, which `auto-iter dag status` asks."""

SIGNAL_EXIT_CODE = 128
"""Plus the signal's number, as in a shell: what a person or the system ended before its time."""

TRANSIENT_EXIT_CODE = 75
"""With it a child process says that such an error ended it (sysexits.h: EX_TEMPFAIL)."""


DAMAGED_EXIT_CODE = 65
"""With it a child process says that its input is not what was written (sysexits.h: EX_DATAERR)."""


def interrupted_exit_code(by: signal.Signals) -> int:
    """Return the exit code of what a signal ended: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.

    Not 0: `auto-iter run … && publish` must not go on.
    """
    return SIGNAL_EXIT_CODE + by


class AutoIterError(Exception):
    """Something that a person has to know about."""

    exit_code = 1


class UsageError(AutoIterError):
    """The command line or the configuration asks for something that makes no sense."""

    exit_code = 2


class LockedError(UsageError):
    """Another process holds the workspace; `ends_soon`: only for a moment, as a command does."""

    def __init__(self, message: str, *, ends_soon: bool = False) -> None:
        super().__init__(message)
        self.ends_soon = ends_soon


class CutShortError(AutoIterError):
    """A signal came before the command had done what it is for; `code` says which."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


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


class Hindrance(StrEnum):
    """What kind of thing is in the way, for programs and for whoever is told."""

    SCHEDD = "schedd"
    CREDENTIALS = "credentials"
    DISK = "disk"
    OTHER = ""


class TransientError(AutoIterError):
    """The world is in the way (schedd down, stale NFS): the same step is tried again later."""

    kind = Hindrance.OTHER

    def __init__(self, message: str, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class ScheddError(TransientError):
    """The schedd does not answer, or not as it should."""

    kind = Hindrance.SCHEDD


class CredentialsError(TransientError):
    """We cannot show who we are just now: an expired ticket, a credential that is not there yet."""

    kind = Hindrance.CREDENTIALS


def is_refused_for_now(error: OSError, path: Path | None = None) -> bool:
    """Tell whether a file system that asks who we are has refused us: a token may have ended."""
    where = str(error.filename or path or "")
    return error.errno in {errno.EACCES, errno.EPERM} and where.startswith(ASK_WHO_WE_ARE)


def passes(error: OSError, path: Path | None = None) -> bool:
    """Tell whether trouble with a file goes away by itself; `path`: where the error names none."""
    return error.errno in TRANSIENT_ERRNOS or is_refused_for_now(error, path)


def will_pass(error: BaseException | None) -> bool:
    """Tell whether an error, or what led to it, goes away by itself."""
    if error is None:
        return False
    if isinstance(error, TransientError) or (isinstance(error, OSError) and passes(error)):
        return True
    return will_pass(error.__cause__ or error.__context__)


def kind_of(error: BaseException | None) -> Hindrance:
    """Return what kind of thing an error that goes away by itself, or what led to it, is about."""
    if error is None:
        return Hindrance.OTHER
    if isinstance(error, TransientError) and error.kind:
        return error.kind
    if isinstance(error, OSError):
        if error.errno in FULL_DISK_ERRNOS:
            return Hindrance.DISK
        if is_refused_for_now(error):
            return Hindrance.CREDENTIALS
    return kind_of(error.__cause__ or error.__context__)


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
    if isinstance(error, OSError) and passes(error, path):
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from error
