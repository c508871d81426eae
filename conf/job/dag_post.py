#!/usr/bin/env python3
"""After each try of a reconstruction node of a DAG: what now.

    dag_post.py ITERATION/1reco NUMBER RETURN RETRY

Runs where DAGMan runs, with whatever Python is there (3.9 or later), and looks at nothing but the
iteration's `1reco` and `dag.json` in the workspace: outputs may lie on a disk that is not mounted
here. Notes a failure in `1reco/failed/NUMBER.json`, and what memory and flavour a job needed in
`1reco/memory.sub` and `flavour.sub`, which later submissions of the iteration include. A job that
ran for longer than its flavour allows has used up no try, as long as there is a longer one.

Exit codes: 0, the node has ended (also: it failed for good, and the iteration may go on without
it; never the canary, for which the others wait); 98, no job of this DAG can succeed; 99, another
try would be in vain; else it is tried again.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOBODY, NOT_AGAIN = 98, 99
"""Tell DAGMan that no job of the DAG can succeed; that another try of this one is in vain."""
NO_EXIT_CODE = 97
"""Tells DAGMan of a failure without an exit code that it could pass on: a signal, a removal."""

EVENT = r"^(\d{3}) \([\d.]+\) (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d).*\n((?:\t.*\n)*)"
BY_SOMEBODY = ("(by user ", "via condor_rm")
"""In the reason of a removal: a person, or DAGMan for him."""
ENDS_A_RUN = frozenset({"000", "004", "005", "009", "012", "024"})
"""Events after which a job does not run: submitted, evicted, ended, removed, held, lost."""

Note = dict[str, Any]


def main(reco: Path, name: str, code: int, retry: int) -> int:
    """Note how a try ended; return what DAGMan is told."""
    try:
        return judged(reco, name, code, retry)
    except OSError as error:
        print(f"dag_post.py: {error}", file=sys.stderr)
        return code if 0 <= code < NO_EXIT_CODE else NO_EXIT_CODE


def judged(reco: Path, name: str, code: int, retry: int) -> int:
    """Note how a try ended, and judge it. Raises OSError where that cannot be written down."""
    number = int(name)  # also of `011705_00400`: so a file is known in an alignment of several runs
    policy = json.loads((reco / "../../dag.json").read_text())
    failed = reco / "failed"
    failed.mkdir(exist_ok=True)
    with (failed / ".lock").open("w") as lock:  # one at a time judges an iteration
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = read(reco / "logs" / f"reco_{name}.log")
        note_memory(reco, number, log, policy)
        note = failed / f"{name}.json"
        if code == 0:
            note.unlink(missing_ok=True)
            (failed / ".succeeded").touch()
            return 0
        before = json.loads(read(note) or "{}") if retry else {}
        failure = failure_of(number, code, retry, log)
        failure["overran"] = before.get("overran", 0)  # so many of the tries before
        gets_longer = note_flavour(reco, number, log, policy, failure)
        write(note, json.dumps(failure))
        verdict = judge(failed, code, policy)
        tries = retry + 1 - failure["overran"]  # those that were none
        is_last = verdict == NOT_AGAIN or ("limit_s" in failure and not gets_longer)
        if verdict == NOBODY or not (is_last or tries > policy["retries"]):
            return verdict
        if not is_tolerated(reco, number, policy):
            return NOT_AGAIN
        write(note, json.dumps({**failure, "given_up": True}))
        return 0


def judge(failed: Path, code: int, policy: dict[str, Any]) -> int:
    """Return what another try would be good for: the exit code for DAGMan."""
    if code in policy["settings_disagree"]:
        return NOBODY
    if code in policy["same_for_every_file"] and not (failed / ".succeeded").exists():
        machines = {note["machine"] for note in notes(failed) if note["exit_code"] == code}
        if len(machines) >= policy["several"]:
            return NOBODY
    if code in policy["ends_alike"]:
        return NOT_AGAIN
    return code if 0 < code < NO_EXIT_CODE else NO_EXIT_CODE


def notes(failed: Path) -> list[Note]:
    """Return what is noted of the iteration's failures."""
    return [json.loads(path.read_text()) for path in sorted(failed.glob("*.json"))]


def given_up(failed: Path) -> list[Note]:
    """Return the failures that the iteration goes on without."""
    return [note for note in notes(failed) if note.get("given_up")]


def is_tolerated(reco: Path, number: int, policy: dict[str, Any]) -> bool:
    """Tell whether the iteration may go on without `number`, too.

    Held-out files never count, and nothing goes on without the canary.
    """
    if [reco.parent.name, number] == policy["canary"]:
        return False
    held_out = set(policy["held_out"])
    of_fit = [note for note in given_up(reco / "failed") if note["number"] not in held_out]
    return number in held_out or len(of_fit) < policy["tolerated"]


def failure_of(number: int, code: int, retry: int, log: str) -> Note:
    """Return what is known of a failed try. DAGMan tells of a signal as -N, of worse as -1000-N."""
    machines = re.findall(r"^\tSlotName: (?:\S*@)?(\S+)", log, re.MULTILINE)
    reasons = re.findall(r"^(?:009|012) .*\n\t(.+)", log, re.MULTILINE)
    return {
        "number": number,
        "exit_code": code if code >= 0 else None,
        "signal": -code if -1000 < code < 0 else None,
        "retry": retry,
        "machine": machines[-1] if machines else "",
        "reason": reasons[-1].strip() if code < 0 and reasons else "",
        "at": time.time(),
    }


def note_memory(reco: Path, number: int, log: str, policy: dict[str, Any]) -> None:
    """Keep what a file needed that was held for its memory: a new try is a new job, and forgets."""
    requests = re.findall(r"Memory \(MB\) *: +(?:\d+ +)?(\d+) +\d+ *$", log, re.MULTILINE)
    if not requests or not was_held_for_memory(log, policy):
        return
    place = reco / "memory.json"
    known = json.loads(read(place) or "{}")
    needed = min(int(requests[-1]), policy["memory_cap_mb"])
    if known.get(str(number), policy["memory_mb"]) >= needed:
        return
    known[str(number)] = needed
    write(place, json.dumps(known, sort_keys=True))
    write(reco / "memory.sub", memory_text(known, policy["memory_mb"]))


def note_flavour(reco: Path, number: int, log: str, policy: dict[str, Any], failure: Note) -> bool:
    """Note that a job overran its flavour, where it did; tell whether its file gets a longer one.

    That is kept: the file asks for it from then on.
    """
    known = json.loads(read(reco / "flavour.json") or "{}")
    flavours, asked = policy["flavours"], known.get(str(number), policy["flavour"])
    ran_s = removed_after(log)
    # The site's clock began with the transfer of input, the log's after it.
    if asked is None or ran_s is None or ran_s < 0.99 * flavours[asked]:
        return False
    said = f"ran {ran_s // 3600}:{ran_s % 3600 // 60:02d} h, the limit of {asked}"
    failure.update(reason=said, limit_s=flavours[asked], overran=failure["overran"] + 1)
    most = flavours[policy["flavour_cap"]]
    longer = [name for name, limit_s in flavours.items() if flavours[asked] < limit_s <= most]
    if longer:
        known[str(number)] = longer[0]
        write(reco / "flavour.json", json.dumps(known, sort_keys=True))
        write(reco / "flavour.sub", flavour_text(known, policy["flavour"]))
    return bool(longer)


def removed_after(log: str) -> int | None:
    """Return for how long (s) the last job ran that was removed while it ran, by nobody."""
    began = ran_s = None
    events = re.findall(
        r"^(\d{3}) \([\d.]+\) (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d).*\n((?:\t.*\n)*)",
        log,
        re.MULTILINE,
    )
    for event, day, hour, body in events:
        at = time.mktime(time.strptime(f"{day} {hour}", "%Y-%m-%d %H:%M:%S"))
        if event == "001":
            began = at
        elif event == "009" and began is not None and not any(who in body for who in BY_SOMEBODY):
            ran_s = int(at - began)
        if event in ENDS_A_RUN:
            began = None
        if event in {"000", "005"}:
            ran_s = None
    return ran_s


def was_held_for_memory(log: str, policy: dict[str, Any]) -> bool:
    """Tell whether a job was held for its memory, by cgroup, machine or site policy."""
    held = re.findall(r"^012 .*\n((?:\t.*\n)*)", log, re.MULTILINE)
    for reason in held:
        codes = re.search(r"Code (\d+) Subcode (\d+)", reason)
        code, subcode = (int(each) for each in codes.groups()) if codes else (0, 0)
        if code == policy["out_of_resources"] and subcode != policy["disk"]:
            return True
        is_memory = subcode == policy["out_of_resources"] or "memory" in reason.lower()
        if code in policy["policies"] and is_memory:
            return True
    return False


def memory_text(known: Mapping[Any, int], otherwise: int) -> str:
    """Return what a submission asks for: `memory`, in MiB, by raw file."""
    text = str(otherwise)
    for number, needed in sorted(known.items(), key=lambda item: int(item[0])):
        text = f"ifThenElse(AutoIterRawFile =?= {number}, {needed}, {text})"
    return f"memory = {text}\n"


def flavour_text(known: Mapping[Any, str], otherwise: str | None) -> str:
    """Return what a submission asks for: `flavour`, by raw file; nothing where none has one."""
    if otherwise is None:
        return ""
    text = f'"{otherwise}"'
    for number, name in sorted(known.items(), key=lambda item: int(item[0])):
        text = f'ifThenElse($(rawfile) == {number}, "{name}", {text})'
    return f"flavour = {text}\n"


def read(path: Path) -> str:
    """Return a file's text; nothing where there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def write(path: Path, text: str) -> None:
    """Write a file whole: a power cut leaves the old one or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w") as new:
        new.write(text)
        new.flush()
        os.fsync(new.fileno())
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])))
