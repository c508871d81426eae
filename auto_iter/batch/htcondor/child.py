"""A schedd behind a child process: every call has a time limit, and a stop ends the waiting.

The bindings themselves are imported in the child only, `calls`.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import IO, Any

from auto_iter.batch.htcondor.schedd import (
    Ad,
    Counts,
    JobAction,
    Placed,
    RefusedError,
    SandboxError,
    WriteError,
)
from auto_iter.errors import InputError, LimitError, PermanentError, TransientError

SLICE_S = 0.2
"""How often a waiting call looks whether it should stop."""

STOP_GRACE_S = 5.0
"""A call that changes something is let finish for so long when somebody asks to stop."""

JOBS_AT_A_TIME = 100
"""Calls that move files, or write a job each, get the time limit once for so many jobs."""

LAST_WORDS = 2000
"""Bytes at the end of what a dead child wrote to stderr."""

PATIENCE_WITH_HISTORY = 5
"""A look into the history reads all of it when nothing matches: minutes on a busy schedd."""

_FOR_GOOD = ("Failed to create job ad", "Submit:-1:", "Cannot set ", "Unable to parse")
_NOT_WRITTEN = re.compile(r"writing to file (?P<path>.+?): \(errno (?P<number>\d+)\)")
_NOT_READ = re.compile(r"reading from file (?P<path>.+?): \(errno (?P<number>\d+)\)")
_TOO_MANY = re.compile(r"expected next ProcId to be \d+, but Schedd says (?P<number>-\d+)")
_IN_THE_QUEUE, _OF_AN_OWNER, _IN_A_SUBMISSION = "-2", "-3", "-4"
"""The schedd's answers to one job too many (NEWJOB_ERR_... in its sources)."""
_LIMITS = {
    _IN_THE_QUEUE: ("jobs in its queue", "htcondor.max_jobs_in_queue"),
    _OF_AN_OWNER: ("jobs of an owner", "htcondor.max_jobs_in_queue"),
    _IN_A_SUBMISSION: ("jobs in one submission", "htcondor.max_jobs_per_submission"),
}
_REFUSED = "Unable to commit transaction"
_DENIED = (
    "AUTHENTICATE",
    "authenticat",
    "DENIED",
    "ermission denied",
    "not authorized",
    "Error when performing action",  # all that is said of a change that was not allowed
)


def never() -> bool:
    """Nobody asks to stop."""
    return False


class ScheddProcess:
    """Implements `schedd.Schedd`; the child is started when needed and after it was killed."""

    def __init__(
        self,
        *,
        pool: str | None = None,
        schedd: str | None = None,
        timeout_s: float = 60.0,
        should_stop: Callable[[], bool] = never,
    ) -> None:
        self._pool = pool
        self._name = schedd
        self._timeout_s = timeout_s
        self._should_stop = should_stop
        self._child: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._complaints: IO[bytes] | None = None
        self._trouble_since: dict[str, float] = {}

    @property
    def pid(self) -> int | None:
        """The child's process id, None when there is none."""
        return None if self._child is None else self._child.pid

    def version(self) -> str:
        """Return the version of the bindings. Raises InputError when they are not installed."""
        return str(self._call("version", {}, None))

    def locate(self, at: str | None = None) -> Mapping[str, str]:
        """Return `name` and `version` of the schedd."""
        found: Mapping[str, str] = self._call("locate", {}, at)
        return found

    def name(self, *, at: str | None) -> str:
        """Return the schedd's full name."""
        return self.locate(at)["name"]

    def count(self, constraint: str, *, at: str | None) -> Counts:
        """Count the queue's jobs."""
        return Counts(**self._call("count", {"constraint": constraint}, at))

    def query(
        self, constraint: str, projection: Sequence[str], *, at: str | None, limit: int = -1
    ) -> list[Ad]:
        """Return ads of the queue."""
        arguments = {"constraint": constraint, "projection": list(projection), "limit": limit}
        ads: list[Ad] = self._call("query", arguments, at)
        return ads

    def cluster_ad(self, cluster: int, projection: Sequence[str], *, at: str | None) -> Ad | None:
        """Return what a cluster's jobs share."""
        arguments = {"cluster": cluster, "projection": list(projection)}
        ad: Ad | None = self._call("cluster_ad", arguments, at)
        return ad

    def history(
        self, constraint: str, projection: Sequence[str], *, at: str | None, limit: int
    ) -> list[Ad]:
        """Return ads of the history."""
        arguments = {"constraint": constraint, "projection": list(projection), "limit": limit}
        ads: list[Ad] = self._call("history", arguments, at, patience=PATIENCE_WITH_HISTORY)
        return ads

    def store_credential(self, *, at: str | None) -> None:
        """Store a fresh credential for our jobs."""
        self._call("store_credential", {}, at)

    def submit(
        self,
        description: Mapping[str, str],
        rows: Sequence[Mapping[str, str]],
        *,
        spool: bool,
        at: str | None,
    ) -> Placed:
        """Submit one cluster."""
        arguments = {
            "description": dict(description),
            "rows": [dict(row) for row in rows],
            "spool": spool,
        }
        patience = 1 + len(rows) // (10 * JOBS_AT_A_TIME)
        return Placed(**self._call("submit", arguments, at, patience=patience, changes=True))

    def spool(self, placed: Placed) -> None:
        """Send the cluster's input."""
        patience = 1 + placed.jobs // JOBS_AT_A_TIME
        arguments = {"cluster": placed.cluster}
        self._call("spool", arguments, placed.schedd, patience=patience, changes=True)

    def retrieve(self, cluster: int, procs: Collection[int], *, at: str | None) -> None:
        """Fetch sandboxes."""
        jobs = [f"{cluster}.{proc}" for proc in procs]
        self._call("retrieve", {"jobs": jobs}, at, patience=len(jobs))

    def act(self, action: JobAction, constraint: str, reason: str, *, at: str | None) -> int:
        """Hold, release or remove."""
        arguments = {"action": action, "constraint": constraint, "reason": reason}
        return int(self._call("act", arguments, at, changes=True))

    def edit(self, constraint: str, attribute: str, value: str, *, at: str | None) -> int:
        """Set an attribute."""
        arguments = {"constraint": constraint, "attribute": attribute, "value": value}
        return int(self._call("edit", arguments, at, changes=True))

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        self._unread = b""
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()

    def _call(
        self,
        call: str,
        arguments: Mapping[str, Any],
        at: str | None,
        *,
        patience: int = 1,
        changes: bool = False,
    ) -> Any:
        request = {
            "call": call,
            "pool": self._pool,
            "schedd": at or self._name,
            "arguments": arguments,
        }
        limit_s = self._timeout_s * patience
        try:
            answer = self._exchange(json.dumps(request).encode() + b"\n", limit_s, changes=changes)
        except BaseException as error:
            # Whatever happened, the child may be in the middle of a call: its answer, should it
            # come, would be taken for the next one's.
            self.close()
            if isinstance(error, TimeoutError):
                raise self._trouble(call, f"took longer than {limit_s:g} s", at) from None
            if isinstance(error, (EOFError, BrokenPipeError)):
                why = self._last_words()
                raise self._trouble(call, f"the process for it died{why}", at) from None
            raise
        if "ok" in answer:
            # Only of this call: a schedd that does not know us answers questions all the same.
            self._trouble_since.pop(call, None)
            return answer["ok"]
        raise self._translated(call, answer["kind"], " ".join(answer["error"].split()), at)

    def _exchange(self, request: bytes, limit_s: float, *, changes: bool) -> dict[str, Any]:
        child = self._running_child()
        if child.stdin is None or child.stdout is None:
            raise BrokenPipeError
        deadline = time.monotonic() + limit_s
        stop_at: float | None = None
        unsent = memoryview(request)
        sink, source = child.stdin.fileno(), child.stdout.fileno()
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

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            if self._complaints is not None:
                self._complaints.close()
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives with the child
            self._child = subprocess.Popen(
                [sys.executable, "-m", "auto_iter.batch.htcondor.calls", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                start_new_session=True,
            )
        return self._child

    def _last_words(self) -> str:
        """Return the last line that the child, or a library in it, wrote to stderr."""
        if self._complaints is None:
            return ""
        self._complaints.seek(0)
        lines = self._complaints.read()[-LAST_WORDS:].decode(errors="replace").split("\n")
        said = [line for line in lines if line.strip()]
        return f": {said[-1].strip()}" if said else ""

    def _translated(
        self, call: str, kind: str, message: str, at: str | None
    ) -> TransientError | PermanentError:
        if kind == "missing":
            self.close()
            return InputError(
                f"HTCondor's Python bindings are not installed ({message})",
                "pip install 'htcondor>=24.12.20,<26', or set batch.system=local",
            )
        refused = self._refusal(call, message, at)
        if refused is not None:
            return refused
        if call == "store_credential":
            message += " (kinit, and is SEC_CREDENTIAL_PRODUCER set?)"
            return self._trouble(call, f"the credential for jobs cannot be stored: {message}", at)
        # A new process cannot spool what the one before submitted: that is found by its key.
        is_misuse = kind == "misuse" and call != "spool"
        if is_misuse or (call == "submit" and any(text in message for text in _FOR_GOOD)):
            return InputError(
                f"HTCondor refuses to {call}: {message}",
                "check the htcondor section of the configuration, htcondor.extra above all",
            )
        if "receiveJobSandbox" in message:
            return self._no_sandbox(message, at)
        if kind == "unknown":
            message += (
                ": a wrong name, or it has been away for a while; when it is gone for good, "
                "`auto-iter resume --abandon-schedd` leaves it behind"
            )
        if any(text in message for text in _DENIED):
            message += " (is the Kerberos ticket valid? `auto-iter doctor` tells more)"
        # The next one looks for ticket, configuration and schedd anew.
        self.close()
        return self._trouble(call, message, at)

    def _refusal(self, call: str, message: str, at: str | None) -> TransientError | None:
        """Return why the schedd, or its client here, would not take jobs; None for all else."""
        limit = _TOO_MANY.search(message)
        if limit is not None and limit["number"] in _LIMITS:
            what, setting = _LIMITS[limit["number"]]
            return LimitError(
                f"schedd {self._called(at)} allows fewer {what} (see {setting})",
                is_for_good=limit["number"] == _IN_A_SUBMISSION,
            )
        if call == "submit" and (limit is not None or _REFUSED in message):
            return RefusedError(f"schedd {self._called(at)} refuses the jobs: {message}")
        unread = _NOT_READ.search(message)
        if call == "spool" and unread is not None:
            why = os.strerror(int(unread["number"]))
            return RefusedError(f"{unread['path']}: the input of the jobs cannot be sent: {why}")
        return None

    def _no_sandbox(self, message: str, at: str | None) -> TransientError:
        ours = _NOT_WRITTEN.search(message)
        if ours is not None:
            return WriteError(ours["path"], int(ours["number"]))
        if _NOT_READ.search(message):
            return SandboxError(message)
        return self._trouble("retrieve", message, at)  # the connection broke

    def _trouble(self, call: str, what: str, at: str | None) -> TransientError:
        began = self._trouble_since.setdefault(call, time.time())
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began))
        return TransientError(
            f"schedd {self._called(at)} is in trouble since {since}: {call}: {what}"
        )

    def _called(self, at: str | None) -> str:
        return at or self._name or "(the local one)"
