"""`python -m tests.crash [--sample N]`: power cuts at every side effect of a small alignment.

Prints how many side effects there were, how many disks they leave that differ, how many of those
were gone on from, and what was not as without the cut. Exit code 1 when anything was.

An alignment is gone on with where it was, so that paths are the same: each of several workers sees
a directory of its own there, and only its own processes (namespaces; without the right to make them
there is one worker).
"""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.alignment import Rehearsal
from tests.crash.disk import Cut, cuts, read_log

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EMFILE)
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def main() -> int:
    """Rehearse, and tell."""
    arguments = _parsed()
    if arguments.part:
        return _work(Rehearsal(arguments.base), arguments.part, arguments.sample)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as base:
        rehearsal = Rehearsal(Path(base))
        rehearsal.prepare()
        all_cuts = rehearsal.record_it()
        effects = len(read_log(rehearsal.record))
        if arguments.refuse:
            return refuse(rehearsal, effects, arguments.sample or effects)
        workers = arguments.workers if _may_have_namespaces() else 1
        number = len(chosen_of(all_cuts, arguments.sample))
        print(
            f"{effects} side effects, {len(all_cuts)} disks after them that differ, {number} to go "
            f"on from with {workers} workers; {time.monotonic() - began:.0f} s",
            flush=True,
        )
        running = [
            _start(rehearsal, f"{part}/{workers}", arguments.sample) for part in range(workers)
        ]
        failed = sum(each.wait() != 0 for each in running)
    cut = effects if number == len(all_cuts) else number
    print(
        f"side effects: {effects}; cut before and after: {cut}; "
        f"divergences: {'see above' if failed else 0}; {time.monotonic() - began:.0f} s"
    )
    return 1 if failed else 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="only so many of the disks")
    parser.add_argument("--refuse", action="store_true", help="errors instead of power cuts")
    parser.add_argument("--workers", type=int, metavar="N", default=os.cpu_count() or 1)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


def _may_have_namespaces() -> bool:
    try:
        return subprocess.run([*_namespaces(), "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


def _namespaces() -> list[str]:
    return [*NAMESPACES, *([] if os.geteuid() == 0 else ["--map-root-user"])]


def _start(rehearsal: Rehearsal, part: str, sample: int | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.crash", "--base", str(rehearsal.base), "--part", part]
    if sample is not None:
        command += ["--sample", str(sample)]
    return subprocess.Popen(command if part.endswith("/1") else [*_namespaces(), *command])


def _work(rehearsal: Rehearsal, part: str, sample: int | None) -> int:
    """Go on from every n-th of the disks; return 1 when anything diverged."""
    first, _, workers = part.partition("/")
    if workers != "1":
        own = rehearsal.base / f"work{first}"
        own.mkdir()
        subprocess.run(["mount", "--bind", str(own), str(rehearsal.work)], check=True)
    chosen = chosen_of(cuts(read_log(rehearsal.record)), sample)
    divergences = 0
    for done, cut in enumerate(chosen[int(first) :: int(workers)], start=1):
        wrong = rehearsal.divergence(cut)
        if wrong is not None:
            divergences += 1
            print(f"cut after side effect {cut.after}: {wrong}", flush=True)
        if done % 20 == 0:
            print(f"worker {first}: {done} done", flush=True)
    return 1 if divergences else 0


def refuse(rehearsal: Rehearsal, effects: int, number: int) -> int:
    """Have the disk refuse so many of the side effects, with each of the errors in turn."""
    divergences = 0
    for turn in range(number):
        at, error = 1 + turn * effects // number, ERRORS[turn % len(ERRORS)]
        wrong = rehearsal.refusal(at, error)
        if wrong is not None:
            divergences += 1
            print(f"{errno.errorcode[error]} at side effect {at}: {wrong}", flush=True)
    print(f"side effects: {effects}; refused: {number}; divergences: {divergences}")
    return 1 if divergences else 0


def chosen_of(all_cuts: list[Cut], number: int | None) -> list[Cut]:
    """Return so many of the cuts, evenly; all when `number` is None."""
    if number is None or number >= len(all_cuts):
        return all_cuts
    return [all_cuts[at * len(all_cuts) // number] for at in range(number)]


if __name__ == "__main__":
    sys.exit(main())
