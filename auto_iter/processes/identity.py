"""Which process that is, for good: pids are used again, host names change, clocks are set.

Linux only. A process is known by its pid, its kernel start time and the boot it belongs to; whether
this machine can tell at all, by boot id and machine id (machine-id(5)), not by the host's name.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


@dataclass(frozen=True)
class Identity:
    """A process: `started` is its kernel start time in clock ticks since `boot`.

    `host` is for people. `machine` and `space` (the namespace that the pid is from) are empty where
    they are not known.
    """

    pid: int
    started: int
    boot: str
    host: str
    machine: str = ""
    space: str = ""

    @property
    def is_here(self) -> bool:
        """Whether this machine can tell if it lives."""
        if self.boot == _boot():
            # A container sees only its own processes; started anew, it keeps its name at least.
            return self.space == _space() or self.host == socket.gethostname()
        if self.machine:
            return self.machine == _machine()
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether exactly this process runs; a zombie does not. Only asked where `is_here`."""
        return self.boot == _boot() and _stat(self.pid) == ("alive", self.started)


def identify(pid: int) -> Identity:
    """Return the identity of a running process; ProcessLookupError when there is none."""
    found = _stat(pid)
    if found is None:
        raise ProcessLookupError(pid)
    return Identity(pid, found[1], _boot(), socket.gethostname(), _machine(), _space())


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _machine() -> str:
    for path in _MACHINE_IDS:
        try:
            return path.read_text().strip()
        except OSError:
            continue
    return ""


def _space() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int] | None:
    """Return state and start time (fields 3 and 22 of proc_pid_stat(5))."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold spaces and brackets
    return ("dead" if fields[0] in "ZX" else "alive"), int(fields[19])
