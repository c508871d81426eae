"""`python -m tests.crash [--sample N]`: power cuts at every side effect of a small alignment.

Prints how many side effects there were, how many disks they leave that differ, how many of those
were gone on from, and what was not as without the cut. Exit code 1 when anything was.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.alignment import Rehearsal
from tests.crash.disk import Cut, read_log


def main() -> int:
    """Rehearse, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="only so many of the disks")
    parser.add_argument("--after", type=int, metavar="K", help="only the cut after side effect K")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as base:
        rehearsal = Rehearsal(Path(base))
        rehearsal.prepare()
        all_cuts = rehearsal.record_it()
        effects = len(read_log(rehearsal.record))
        chosen = chosen_of(all_cuts, arguments.sample)
        if arguments.after is not None:
            chosen = [next(cut for cut in all_cuts if cut.after >= arguments.after)]
        print(f"{effects} side effects, {len(all_cuts)} disks, {len(chosen)} to go on from")
        divergences = 0
        for done, cut in enumerate(chosen, start=1):
            wrong = rehearsal.divergence(cut)
            if wrong is not None:
                divergences += 1
                print(f"cut after side effect {cut.after}: {wrong}", flush=True)
            if done % 20 == 0:
                print(f"{done} done, {time.monotonic() - began:.0f} s", flush=True)
    before = effects if len(chosen) == len(all_cuts) else sum(1 for _ in chosen)
    print(
        f"side effects: {effects}; cut before and after: {before}; divergences: {divergences}; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if divergences else 0


def chosen_of(all_cuts: list[Cut], number: int | None) -> list[Cut]:
    """Return so many of the cuts, evenly; all when `number` is None."""
    if number is None or number >= len(all_cuts):
        return all_cuts
    return [all_cuts[at * len(all_cuts) // number] for at in range(number)]


if __name__ == "__main__":
    sys.exit(main())
