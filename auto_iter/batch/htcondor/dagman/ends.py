"""How the Millepede node of an iteration ended, where the state machine in it could not say so.

It says by itself how an alignment failed. What ends the node around it - the script before it, a
signal, HTCondor - is in the node's event log alone. Format: HTCondor manual, "Job Event Log Codes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auto_iter.batch.exitcodes import ExitMeaning
from auto_iter.batch.htcondor.dagman.text import FAILED, OVER
from auto_iter.errors import TRANSIENT_EXIT_CODE

EVENT_LOG: Final = "millepede.log"
ERRORS: Final = "millepede.err"

_EVENT: Final = re.compile(r"^(\d{3}) \((\d+)\.\d+\.\d+\) (.*?)^\.\.\.$", re.MULTILINE | re.DOTALL)
_SUBMITTED, _EXECUTING, _TERMINATED, _ABORTED, _HELD = 0, 1, 5, 9, 12
_RETURNED: Final = re.compile(r"\(1\) Normal termination \(return value (\d+)\)")
_SIGNALLED: Final = re.compile(r"\(0\) Abnormal termination \(signal (\d+)\)")
_MACHINE: Final = re.compile(r"^\tSlotName: (?:\S*@)?(\S+)", re.MULTILINE)
_SIGNAL_BASE: Final = 128
_KILLED: Final = 9

EXITS: Final = {
    1: ExitMeaning("auto-iter ended by an error of its own", "see below"),
    2: ExitMeaning("auto-iter refused what it found", "see below"),
    11: ExitMeaning(
        "the node could not begin: workspace, Python or environment are not seen there",
        "see below; dag.python, dag.travel, paths.env_script (docs/dag.md)",
    ),
    FAILED: ExitMeaning("it may not have its turn", "see below"),
    TRANSIENT_EXIT_CODE: ExitMeaning(
        "interrupted by what may pass: a disk, another process that holds the workspace",
        "see below",
    ),
    126: ExitMeaning("the Python cannot be run there", "check dag.python, or set dag.travel=true"),
    127: ExitMeaning("the Python is not there", "check dag.python, or set dag.travel=true"),
}
_BY_FORCE = "if its memory was too small, raise dag.memory_mb; dag.retries: how often it is tried"


@dataclass(frozen=True)
class NodeEnd:
    """How the last try of a node ended, of `tries`: an exit code, a signal, or a removal."""

    tries: int
    exit_code: int | None = None
    signal: int | None = None
    removed: str = ""
    machine: str = ""

    @property
    def is_good(self) -> bool:
        """Tell whether the iteration is through."""
        return self.exit_code in {0, OVER}

    @property
    def meaning(self) -> str:
        """Return in words what happened."""
        if self.removed:
            return f"taken off the queue: {self.removed}"
        if self.signal is not None:
            by = " (out of memory?)" if self.signal == _KILLED else ""
            return f"killed by signal {self.signal}{by}"
        return f"exit code {self.exit_code}: {_known(self.exit_code).meaning}"

    @property
    def remedy(self) -> str:
        """Return what to do about it."""
        if self.signal is not None or self.removed:
            return _BY_FORCE
        return _known(self.exit_code).remedy


def _known(code: int | None) -> ExitMeaning:
    return EXITS.get(code or 0, ExitMeaning("not one of auto-iter's", "see below"))


def last_end(place: Path, after: int) -> NodeEnd | None:
    """Return how the last try of the node in `place` ended; None where none has, or one runs.

    Only of jobs that were submitted after the cluster `after`, DAGMan's own: those of its nodes.
    """
    try:
        text = (place / EVENT_LOG).read_text(errors="replace")
    except OSError:
        return None
    events = [
        (int(code), body) for code, cluster, body in _EVENT.findall(text) if int(cluster) > after
    ]
    tries = sum(code == _SUBMITTED for code, _ in events)
    bodies = dict(events)
    if not events or events[-1][0] not in {_TERMINATED, _ABORTED}:
        return None
    machine = _MACHINE.search(bodies.get(_EXECUTING, ""))
    return _ended(*events[-1], bodies.get(_HELD, ""), tries, machine[1] if machine else "")


def _ended(code: int, body: str, held: str, tries: int, machine: str) -> NodeEnd:
    if code == _ABORTED:
        reason = _reason(held) or _reason(body) or "no reason given"
        return NodeEnd(tries, removed=reason, machine=machine)
    signalled, returned = _SIGNALLED.search(body), _RETURNED.search(body)
    if signalled is not None:
        return NodeEnd(tries, signal=int(signalled[1]), machine=machine)
    value = 0 if returned is None else int(returned[1])
    if value > _SIGNAL_BASE:
        return NodeEnd(tries, exit_code=value, signal=value - _SIGNAL_BASE, machine=machine)
    return NodeEnd(tries, exit_code=value, machine=machine)


def _reason(body: str) -> str:
    """Return the text of an event, which is its second line."""
    return next((line.strip() for line in body.splitlines()[1:]), "")
