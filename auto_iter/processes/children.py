"""Child processes of the daemon: started, watched, and read when they end.

Conversion, solving and plotting run apart from the daemon, so that it stays small and always
answers its signals. Children die with the daemon (`orphans` sees to that); what they write, they
write whole, so a killed one is simply started again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from auto_iter.processes.orphans import marks

STOP_GRACE_S = 5.0
LOOK_EVERY_S = 1.0


@dataclass
class Child:
    """One running child. Its standard error is kept to tell what went wrong."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    pidfd: int
    numbers: frozenset[int] = frozenset()
    scratch: tuple[Path, ...] = field(default_factory=tuple)

    @property
    def has_ended(self) -> bool:
        """It is over, well or badly."""
        return self.process.poll() is not None

    def ends_within(self, limit_s: float, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait for its end; False when it takes longer, or somebody asks to stop.

        That is asked every second: who waits for minutes has to give signs of life.
        """
        deadline = time.monotonic() + limit_s
        while not should_stop():
            left_s = deadline - time.monotonic()
            try:
                self.process.wait(max(0.0, min(left_s, LOOK_EVERY_S)))
            except subprocess.TimeoutExpired:
                if left_s <= LOOK_EVERY_S:
                    return False
            else:
                return True
        return False

    def finish(self) -> str | None:
        """Tidy up after an ended child; return what went wrong, None when nothing did."""
        code = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        self.errors.close()
        os.close(self.pidfd)
        for path in self.scratch:
            with contextlib.suppress(OSError):  # the next start removes it; the exit code counts
                path.unlink(missing_ok=True)
        if code == 0:
            return None
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return said[-1] if said else f"exit code {code}"

    @property
    def was_killed(self) -> bool:
        """A signal ended it, which says nothing about its input."""
        return self.process.returncode is not None and self.process.returncode < 0

    def stop(self) -> None:
        """End it, and everything it started: it leads a process group of its own."""
        for ending in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, ending)
                self.process.wait(STOP_GRACE_S)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
            break
        self.finish()


def start_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    workspace: Path,
    numbers: frozenset[int] = frozenset(),
    scratch: tuple[Path, ...] = (),
) -> Child:
    """Start `command` for `workspace`, in a process group of its own; its output is not ours."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
    process = None
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**env, **marks(workspace)},
            process_group=0,
        )
        return Child(process, errors, os.pidfd_open(process.pid), numbers, scratch)
    except OSError:  # no descriptors left: what nobody watches must not run
        errors.close()
        if process is not None:
            process.kill()
            process.wait()
        raise
