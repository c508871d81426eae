"""Several workers go on from disks at once, each by itself, and answer for each one.

An alignment is gone on with where it was, so that paths are the same: each worker sees a directory
of its own there, and only its own processes (namespaces; without the right to make them there is
one worker).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from tests.crash import warm
from tests.crash.alignment import RecordedAlignment
from tests.crash.disk import disks, read_log
from tests.crash.hook.recorder import RefusedEffect

_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")

Task = dict[str, Any]
"""`{"disk": N}`, to go on from that one, or `{"error": ERRNO, "nth": N, "place": TEXT}`."""

NEVER = "never came"
"""The answer for a side effect that did not come, so that nothing could be refused."""


def answers(
    base: Path, tasks: Sequence[Task], workers: int, told: Callable[[int, str | None], None]
) -> dict[int, str | None]:
    """Return what diverged (None: nothing) by the task's place in `tasks`, for all that were done.

    `told` hears of each at once. What a worker dies of is not done.
    """
    waiting, done = deque(enumerate(tasks)), dict[int, str | None]()
    several = workers > 1 and _may_have_namespaces()

    def feed(number: int) -> None:
        with _started(base, number if several else None) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            while True:
                try:
                    place, task = waiting.popleft()
                except IndexError:
                    return
                _write(worker.stdin, task)
                answer = worker.stdout.readline()
                if not answer:
                    return
                done[place] = json.loads(answer)
                told(place, done[place])

    threads = [
        threading.Thread(target=feed, args=(one,)) for one in range(workers if several else 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def work(base: Path, own: Path | None) -> None:
    """Do the tasks on standard input, one answer each on standard output."""
    rehearsal = RecordedAlignment(base, warm.program)
    record = base / "refused" if own is None else own.with_name(f"{own.name}.refused")
    if own is not None:
        own.mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", str(own), str(rehearsal.work)], check=True)
    different = disks(read_log(rehearsal.record)).different
    warm.warm_up()
    for line in sys.stdin:
        task = json.loads(line)
        if "disk" in task:
            wrong = rehearsal.divergence(different[task["disk"]])
        else:
            wrong = _refused(rehearsal, RefusedEffect(**task), record)
        _write(sys.stdout, wrong)


def _refused(rehearsal: RecordedAlignment, refusal: RefusedEffect, record: Path) -> str | None:
    """Refuse a side effect; the one before at that place where this time there are fewer of them.

    How many there are depends on how often the daemon looks at its jobs.
    """
    for nth in range(refusal.nth, 0, -1):
        with contextlib.suppress(LookupError):
            return rehearsal.refusal(replace(refusal, nth=nth), record)
    return NEVER


def _write(sink: IO[str], value: object) -> None:
    sink.write(json.dumps(value) + "\n")
    sink.flush()


def _started(base: Path, number: int | None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.crash", "--base", str(base)]
    if number is not None:
        command = [*_namespaces(), *command, "--own", str(base / f"work{number}")]
    return subprocess.Popen(
        command,
        env=os.environ | warm.ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _may_have_namespaces() -> bool:
    try:
        return subprocess.run([*_namespaces(), "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


def _namespaces() -> list[str]:
    return [*_NAMESPACES, *([] if os.geteuid() == 0 else ["--map-root-user"])]
