"""`python -m tests.crash [--cuts] [--errors] [--sample N]`: an alignment whose disk fails it.

`--cuts`: the power goes before and after every side effect (fsync, rename, removal), and the
alignment goes on from what the disk kept. `--errors`: the disk refuses side effects of a new one.
Constants must be the same, and nothing done twice. Prints how much was done and what diverged; exit
code 1 when anything did, or when not all that was asked for was done.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.alignment import RecordedAlignment
from tests.crash.disk import Disks, disks, read_log
from tests.crash.work import NEVER, Task, answers, work

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EMFILE)
SHOW_EVERY = 50

Kind = Callable[[Path, list[dict[str, Any]], argparse.Namespace], int]


def main() -> int:
    """Rehearse, and tell."""
    arguments = _parsed()
    if arguments.base is not None:
        work(arguments.base, arguments.own)
        return 0
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        RecordedAlignment(base).record_it()
        log = read_log(base / "record")
        kinds: list[Kind] = arguments.kinds or [cuts]
        return max([kind(base, log, arguments) for kind in kinds])


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    for kind in (cuts, errors):
        parser.add_argument(
            f"--{kind.__name__}", action="append_const", dest="kinds", const=kind, help=kind.__doc__
        )
    parser.add_argument("--sample", type=int, metavar="N", help="only so many side effects")
    parser.add_argument("--workers", type=int, metavar="N", default=2 * (os.cpu_count() or 1))
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--own", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def cuts(base: Path, log: list[dict[str, Any]], arguments: argparse.Namespace) -> int:
    """Cut the power before and after side effects; return the exit code."""
    began, left = time.monotonic(), disks(log)
    chosen = chosen_of(len(log), arguments.sample)
    wanted = sorted({number for effect in chosen for number in left.around(effect)})
    tasks: list[Task] = [{"disk": number} for number in wanted]
    where = [f"cut after side effect {left.after.index(number)}" for number in wanted]
    found = answers(base, tasks, arguments.workers, _teller(where))
    done = cut_around(left, {wanted[place] for place in found})
    wrong = sum(each is not None for each in found.values())
    print(
        f"side effects: {len(log)}; cut before and after: {done}; they leave "
        f"{len(left.different)} disks that differ, gone on from: {len(found)}; "
        f"divergences: {wrong}; {time.monotonic() - began:.0f} s"
    )
    return int(wrong > 0 or done < len(chosen))


def cut_around(left: Disks, done: set[int]) -> int:
    """Return around how many side effects both disks were gone on from."""
    effects = range(1, len(left.after))
    return sum(set(left.around(effect)) <= done for effect in effects)


def errors(base: Path, log: list[dict[str, Any]], arguments: argparse.Namespace) -> int:
    """Have the disk refuse side effects, each with one of the errors; return the exit code."""
    began = time.monotonic()
    tasks = refusals([each["place"] for each in log], arguments.sample)
    where = [f"{errno.errorcode[task['error']]} at {task['place']}" for task in tasks]
    found = answers(base, tasks, arguments.workers, _teller(where))
    done = [place for place, wrong in found.items() if wrong != NEVER]
    wrong = sum(found[place] is not None for place in done)
    pairs = {(tasks[place]["place"], tasks[place]["error"]) for place in done}
    places = {each["place"] for each in log}
    effects = {(tasks[place]["place"], tasks[place]["nth"]) for place in done}
    all_met = sum(count == len(ERRORS) for count in Counter(place for place, _ in pairs).values())
    print(
        f"side effects: {len(log)}, at {len(places)} places of the program; refused: "
        f"{len(effects)}; places that met each of the {len(ERRORS)} errors: {all_met}; "
        f"divergences: {wrong}; {time.monotonic() - began:.0f} s"
    )
    return int(wrong > 0 or len(done) < len(tasks))


def refusals(places: list[str], sample: int | None) -> list[Task]:
    """Return what to refuse: each side effect with an error, and each place with every error."""
    seen: Counter[str] = Counter()
    chosen, tasks = set(chosen_of(len(places), sample)), list[Task]()
    for number, place in enumerate(places, start=1):
        error = ERRORS[seen[place] % len(ERRORS)]
        seen[place] += 1
        if number in chosen:
            tasks.append({"error": error, "nth": seen[place], "place": place})
    if sample is None:
        for place, often in seen.items():
            tasks += [{"error": error, "nth": 1, "place": place} for error in ERRORS[often:]]
    return tasks


def chosen_of(total: int, number: int | None) -> list[int]:
    """Return so many of the side effects 1 to `total`, evenly spread; all when `number` is None."""
    if number is None or number >= total:
        return list(range(1, total + 1))
    return [1 + (2 * at + 1) * total // (2 * number) for at in range(number)]


def _teller(names: list[str]) -> Callable[[int, str | None], None]:
    """Return what prints each divergence, and how far it is."""
    told: list[int] = []

    def tell(place: int, wrong: str | None) -> None:
        told.append(place)
        if wrong is not None:
            print(f"{names[place]}: {wrong}", flush=True)
        if len(told) % SHOW_EVERY == 0:
            print(f"{len(told)} of {len(names)} done", flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
