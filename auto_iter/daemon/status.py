"""Where an alignment is. `as_json` is a contract: keys may be added, never changed or removed.

The checkpoint is what a daemon has seen. Where none is at work, whoever asks may look for himself
and hand in what the jobs look like now. It is read as plain values: `status` answers in a blink,
and the models take longer to load than all the rest (`tests/unit/test_light.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auto_iter.alignment.checkpoint_file import glance
from auto_iter.alignment.judges.expectation import Expectation, end_of
from auto_iter.alignment.judges.word import Word
from auto_iter.daemon.lock import STALE_AFTER_S, Holder, live_holder, silence
from auto_iter.errors import (
    NO_DAEMON_EXIT_CODE,
    PAUSED_EXIT_CODE,
    RUNNING_EXIT_CODE,
    UNDER_DAGMAN_EXIT_CODE,
    WAITING_EXIT_CODE,
)
from auto_iter.rawfiles import spoken
from auto_iter.several_runs import SeveralRuns
from states.table import TERMINAL

if TYPE_CHECKING:
    from auto_iter.alignment.snapshot import Snapshot
    from auto_iter.workspace.paths import Workspace

Record = Mapping[str, Any]
"""A snapshot, or a part of it, as plain values: what `Snapshot.model_dump(mode="json")` gives."""


@dataclass(frozen=True)
class Status:
    """A snapshot as plain values, and whether somebody is working on it."""

    workspace: Workspace
    record: Record
    holder: Holder | None
    now: float
    remark: str | None = None
    """What a person should know about these numbers."""
    silent_s: float = 0.0
    """For how long the holder has given no sign of life."""

    @classmethod
    def of(cls, workspace: Workspace, snapshot: Snapshot, now: float) -> Status:
        """Return the status of a workspace with this snapshot."""
        return cls.of_record(workspace, snapshot.model_dump(mode="json"), now)

    @classmethod
    def of_record(cls, workspace: Workspace, record: Record, now: float) -> Status:
        """Return the status of a workspace whose snapshot is `record`."""
        path = workspace.lock
        return cls(workspace, record, live_holder(path), now, silent_s=silence(path, now))

    @classmethod
    def seen(
        cls, workspace: Workspace, snapshot: Snapshot, holder: Holder | None, now: float
    ) -> Status:
        """Return what is to be said of a snapshot that `holder` works on."""
        return cls(workspace, snapshot.model_dump(mode="json"), holder, now)

    @property
    def state(self) -> str:
        """The state of the machine."""
        return str(self.record["state"])

    @property
    def is_over(self) -> bool:
        """Nothing happens any more unless a person acts."""
        return self.state in TERMINAL

    @property
    def is_under_dagman(self) -> bool:
        """DAGMan has it, or had it last."""
        return self.record["dag"] is not None

    @property
    def is_silent(self) -> bool:
        """Its daemon gave no sign of life for so long that it is stopped, or its host is gone."""
        return self.holder is not None and self.silent_s >= STALE_AFTER_S

    @property
    def has_daemon(self) -> bool:
        """A daemon has it, as far as can be seen from here."""
        return self.holder is not None and not self.is_silent

    @property
    def is_watched(self) -> bool:
        """A daemon is at work, so that what it says of times to come is of now."""
        return self.has_daemon and not self.is_over

    @property
    def is_paused(self) -> bool:
        """A person has asked that nothing new is begun."""
        return self.record["paused"] is not None and self.state != "done"

    @property
    def needs_a_look(self) -> bool:
        """Jobs may have gone on since a daemon saw them last, and the workspace is ours."""
        unseen = not self.has_daemon and not self.is_under_dagman  # `dag status` looks at those
        live = any(not each["is_over"] for each in self.record["attempts"])
        return live and unseen and not self.is_over and self._is_ours

    @property
    def _is_ours(self) -> bool:
        return self.workspace.root.stat().st_uid == os.getuid()

    @property
    def exit_code(self) -> int:
        """What `status --exit-code` says of it."""
        if self.state == "failed":
            return 1
        if self.state == "done":
            verdict = self.record["verdict"]  # the first version had none
            return 0 if verdict is None else Word(verdict["word"]).exit_code
        if self.is_under_dagman:
            return UNDER_DAGMAN_EXIT_CODE
        if not self.has_daemon:
            return NO_DAEMON_EXIT_CODE
        if self.record["hindrance"] is not None:
            return WAITING_EXIT_CODE
        return PAUSED_EXIT_CODE if self.is_paused else RUNNING_EXIT_CODE

    @property
    def jobs_end(self) -> float | None:
        """When this iteration's jobs are expected to be through; None where that is not known now.

        An estimate is of the daemon that made it: it is void once that has stopped.
        """
        progress = self.record["progress"]
        end: float | None = progress["expected_end"]
        is_open = progress["delivered"] < progress["wanted"]
        is_current = self.is_watched and is_open and end is not None and end > self.now
        return end if is_current else None

    @property
    def end(self) -> Expectation | None:
        """When the whole alignment is expected to be done; None where that is not known now."""
        if not self.is_watched or self.is_paused:
            return None
        return end_of(self.record, self.now, self.jobs_end)

    @property
    def canary(self) -> int | None:
        """The raw file that is being tried before all others, if one is."""
        last: Record = next(reversed(self.record["attempts"]), {"is_canary": False})
        is_tried = last["is_canary"] and last["recipe"] != self.record["proven"]
        return last["first"] if is_tried and not self.is_over else None

    @property
    def within(self) -> int:
        """Which iteration of its phase it is, from 1."""
        return int(self.record["iteration"] - self.record["phase_began"] + 1)

    def as_json(self) -> dict[str, Any]:
        """Return the stable form: plain values, times in seconds since the epoch."""
        record, arguments, end = self.record, self.record["arguments"], self.end
        return {
            "version": 1,
            "workspace": str(self.workspace.root),
            "state": self.state,
            "iteration": record["iteration"],
            "iterations": arguments["iterations"],
            "year": arguments["year"],
            "run": ",".join(f"{run:06d}" for run in runs_of(arguments)),
            "files": arguments["files"],
            "stations": arguments["stations"],
            "strategy": record["strategy"],
            "phase": record["phase_name"],
            "phase_number": record["phase"] + 1,
            "in_phase": self.within,
            "verdict": record["verdict"],
            "daemon": None
            if self.holder is None
            else {
                "pid": self.holder.pid,
                "host": self.holder.host,
                "since": self.holder.since,
                "silent_s": round(self.silent_s),
            },
            "jobs": {**record["progress"], "expected_end": self.jobs_end},
            "expected_end": None if end is None else {"at": end.at, "spread_s": end.spread_s},
            "canary": None if self.canary is None else spoken(self.canary),
            "exit_code": self.exit_code,
            "dag": record["dag"] and {"number": record["dags"], **record["dag"]},
            "remark": self.remark,
            "attempts": [
                {
                    "attempt": each["number"],
                    "cluster": each["cluster"],
                    "jobs": each["jobs"],
                    "over": each["is_over"],
                }
                for each in record["attempts"]
            ],
            "failed_files": {
                number: {"tries": tries, "reason": reason}
                for number, tries, reason in self.troubles("failures")
            },
            "lost_files": {
                number: {"times": times, "reason": reason}
                for number, times, reason in self.troubles("losses")
            },
            "held_files": self._held_files(),
            "avoided_machines": record["avoid_machines"],
            "excluded_files": [spoken(number) for number in record["excluded"]],
            "skipped_files": [spoken(int(each)) for each in sorted(record["skipped"], key=int)],
            "did_without_files": [spoken(each) for each in sorted(record["lost"])],
            "paused": record["paused"],
            "waiting": record["hindrance"],
            "ticket_warning": record.get("ticket_warning"),
            "crowded": record.get("crowded", ""),
            "failure": record["failure"],
            "history": record["history"],
        }

    def _held_files(self) -> dict[str, Record]:
        """Return when each job was held, when the site removes it, if it does, and why it is."""
        limit_s, reasons = self.record["held_limit_s"], self.record["troubles"]
        return {
            spoken(int(number)): {
                "since": since,
                "removed_at": None if limit_s is None else since + limit_s,
                "reason": reasons.get(number, ""),
            }
            for number, since in sorted(self.record["held_since"].items())
        }

    def troubles(self, kind: str) -> list[tuple[str, int, str]]:
        """Return number, count and last trouble of each raw file in `kind`: failures or losses."""
        counts, reasons = self.record[kind], self.record["troubles"]
        numbers = sorted(counts, key=int)
        return [(spoken(int(each)), counts[each], reasons.get(each, "")) for each in numbers]


def read_status(workspace: Workspace, now: float) -> Status:
    """Return the status of the workspace.

    Raises InputError, CheckpointError where its checkpoint and its backup are no use.
    """
    record = glance(workspace.checkpoint)
    if record is not None:
        status = Status.of_record(workspace, record, now)
        try:
            status.as_json()
        except KeyError:  # by an older version: the models know what it could not say
            pass
        else:
            return status
    # Only here: the models take their time.
    from auto_iter.daemon.lifecycle import open_snapshot

    snapshot, remark = open_snapshot(workspace.root)
    return replace(Status.of(workspace, snapshot, now), remark=remark)


def runs_of(arguments: Record) -> tuple[int, ...]:
    """Return the runs that an alignment's raw files are of."""
    if arguments["run"] is not None:
        return (arguments["run"],)
    return SeveralRuns.parse(arguments["files"]).runs
