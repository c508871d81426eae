"""A child process that answers in JSON lines: every wait has a limit, and a stop ends it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from auto_iter.errors import TransientError

SLICE_S = 0.2
"""How often a waiting call looks whether it should stop."""

STOP_GRACE_S = 5.0
"""A call that changes something is let finish for so long when somebody asks to stop."""

LAST_WORDS = 2000
"""Bytes at the end of what a dead child wrote to stderr."""


class JsonChild:
    """`python -m module`, started when needed and after it was killed."""

    def __init__(self, module: str, should_stop: Callable[[], bool]) -> None:
        self._module = module
        self._should_stop = should_stop
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._complaints: IO[bytes] | None = None

    def ask(self, request: Mapping[str, Any], limit_s: float, *, changes: bool) -> dict[str, Any]:
        """Return the answer to a request; one that `changes` something may finish before a stop.

        Raises TimeoutError, EOFError with its last words when it died, TransientError on a stop.
        """
        try:
            return self._exchange(json.dumps(request).encode() + b"\n", limit_s, changes=changes)
        except (EOFError, BrokenPipeError):
            self.close()
            raise EOFError(self._last_words()) from None
        except BaseException:
            # It may be in the middle of a call: its answer, should it come, would be taken for the
            # next one's.
            self.close()
            raise

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        self._unread = b""
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _exchange(self, request: bytes, limit_s: float, *, changes: bool) -> dict[str, Any]:
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise BrokenPipeError
        deadline = time.monotonic() + limit_s
        stop_at: float | None = None
        unsent = memoryview(request)
        sink, source = process.stdin.fileno(), process.stdout.fileno()
        while b"\n" not in self._unread:
            now = time.monotonic()
            if stop_at is None and self._should_stop():
                stop_at = now + (STOP_GRACE_S if changes else 0.0)
            if stop_at is not None and now >= stop_at:
                raise TransientError("asked to stop while waiting for the schedd", delay_s=0)
            if now >= deadline:
                raise TimeoutError
            writable = [sink] if unsent else []
            readable, writable, _ = select.select(
                [source], writable, [], min(SLICE_S, deadline - now)
            )
            if writable:
                unsent = unsent[os.write(sink, unsent[: select.PIPE_BUF]) :]
            if readable:
                self._receive(source)
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _receive(self, source: int) -> None:
        received = os.read(source, 1 << 20)
        if not received:
            raise EOFError
        self._unread += received

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            if self._complaints is not None:
                self._complaints.close()
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives with the child
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                start_new_session=True,
            )
        return self._process

    def _last_words(self) -> str:
        """Return the last line that it, or a library in it, wrote to stderr."""
        if self._complaints is None:
            return ""
        self._complaints.seek(0)
        lines = self._complaints.read()[-LAST_WORDS:].decode(errors="replace").split("\n")
        said = [line for line in lines if line.strip()]
        return said[-1].strip() if said else ""
