"""A schedd behind a child process: every call has a time limit, and a stop ends the waiting.

The bindings themselves are imported in the child only, `calls`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.schedd.exchange import JsonChild
from auto_iter.batch.htcondor.schedd.protocol import (
    JobAction,
    Placed,
    QueueCounts,
    SandboxError,
    WriteError,
    by_cluster,
)
from auto_iter.batch.htcondor.schedd.refusals import explained, refusal
from auto_iter.batch.htcondor.submit import KEY_ATTRIBUTE
from auto_iter.errors import CredentialsError, ScheddError, TransientError
from auto_iter.times import to_the_second

JOBS_AT_A_TIME = 100
"""Calls that move files, or write a job each, get the time limit once for so many jobs."""

PATIENCE_WITH_HISTORY = 5
"""A look into the history reads all of it when nothing matches: minutes on a busy schedd."""


class ScheddProcess:
    """Implements `schedd.Schedd`; all that `at` returns use the same child process."""

    def __init__(
        self,
        *,
        pool: str | None = None,
        schedd: str | None = None,
        timeout_s: float = 60.0,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pool = pool
        self._schedd = schedd
        self._timeout_s = timeout_s
        self._child = JsonChild("auto_iter.batch.htcondor.schedd.calls", should_stop)
        self._trouble_since: dict[tuple[str | None, str], float] = {}

    def at(self, name: str | None) -> Self:
        """Return the schedd called `name`."""
        if name is None:
            return self
        other = copy.copy(self)
        other._schedd = name  # noqa: SLF001 - another of ourselves
        return other

    def version(self) -> str:
        """Return the version of the bindings. Raises InputError when they are not installed."""
        return str(self._call("version"))

    def locate(self) -> Mapping[str, str]:
        """Return `name` and `version` of the schedd."""
        found: Mapping[str, str] = self._call("locate")
        return found

    def name(self) -> str:
        """Return the schedd's full name."""
        return self.locate()["name"]

    def count(self, constraint: str) -> QueueCounts:
        """Count the queue's jobs."""
        return QueueCounts(**self._call("count", constraint=constraint))

    def count_by_cluster(self, constraint: str) -> dict[int, QueueCounts]:
        """Count the queue's jobs by cluster."""
        rows = self._call("count_by_cluster", constraint=constraint, key=KEY_ATTRIBUTE)
        return by_cluster(rows)

    def query(self, constraint: str, projection: Sequence[str], *, limit: int = -1) -> list[Ad]:
        """Return ads of the queue."""
        found: list[Ad] = self._call(
            "query", constraint=constraint, projection=projection, limit=limit
        )
        return found

    def cluster_ad(self, cluster: int, projection: Sequence[str]) -> Ad | None:
        """Return what a cluster's jobs share."""
        found: Ad | None = self._call("cluster_ad", cluster=cluster, projection=projection)
        return found

    def history(self, constraint: str, projection: Sequence[str], *, limit: int) -> list[Ad]:
        """Return ads of the history."""
        found: list[Ad] = self._call(
            "history",
            PATIENCE_WITH_HISTORY,
            constraint=constraint,
            projection=projection,
            limit=limit,
        )
        return found

    def has_machine(self, constraint: str) -> bool:
        """Ask the collector."""
        return bool(self._call("has_machine", constraint=constraint))

    def store_credential(self) -> None:
        """Store a fresh credential for our jobs."""
        self._call("store_credential")

    def submit(
        self, description: Mapping[str, str], rows: Sequence[Mapping[str, str]], *, spool: bool
    ) -> Placed:
        """Submit one cluster."""
        patience = 1 + len(rows) // (10 * JOBS_AT_A_TIME)
        made = self._change("submit", patience, description=description, rows=rows, spool=spool)
        return Placed(**made)

    def submit_dag(
        self,
        directory: Path,
        dag: str,
        options: Mapping[str, str | int],
        commands: Mapping[str, str],
    ) -> Placed:
        """Submit a DAG."""
        made = self._change(
            "submit_dag", directory=str(directory), dag=dag, options=options, commands=commands
        )
        return Placed(**made)

    def spool(self, placed: Placed) -> None:
        """Send the cluster's input."""
        self._change("spool", 1 + placed.jobs // JOBS_AT_A_TIME, cluster=placed.cluster)

    def retrieve(self, cluster: int, procs: Collection[int]) -> None:
        """Fetch sandboxes."""
        self._call("retrieve", len(procs), jobs=[f"{cluster}.{proc}" for proc in procs])

    def act(self, action: JobAction, constraint: str, reason: str) -> int:
        """Hold, release or remove."""
        return int(self._change("act", action=action, constraint=constraint, reason=reason))

    def edit(self, constraint: str, attribute: str, value: str) -> int:
        """Set an attribute."""
        return int(self._change("edit", constraint=constraint, attribute=attribute, value=value))

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _change(self, call: str, patience: int = 1, **arguments: Any) -> Any:
        return self._call(call, patience, changes=True, **arguments)

    def _call(
        self, call: str, patience: int = 1, *, changes: bool = False, **arguments: Any
    ) -> Any:
        where = {"pool": self._pool, "schedd": self._schedd}
        limit_s = self._timeout_s * patience
        try:
            answer = self._child.ask(
                {"call": call, **where, "arguments": arguments}, limit_s, changes=changes
            )
        except TimeoutError:
            raise self._trouble(call, f"took longer than {limit_s:g} s") from None
        except EOFError as last_words:
            why = f": {last_words}" if str(last_words) else ""
            raise self._trouble(call, f"its helper process died{why}") from None
        if "ok" in answer:
            # Only of this call: a schedd that does not know us answers questions all the same.
            self._trouble_since.pop((self._schedd, call), None)
            return answer["ok"]
        kind, message = answer["kind"], " ".join(answer["error"].split())
        error = refusal(call, kind, message, self._called)
        if not isinstance(error, SandboxError | WriteError):
            # The next call looks for ticket, configuration and schedd anew.
            self._child.close()
        raise error or self._trouble(call, explained(call, kind, message))

    def _trouble(self, call: str, what: str) -> TransientError:
        began = self._trouble_since.setdefault((self._schedd, call), time.time())
        since = to_the_second(began)
        failing = CredentialsError if call == "store_credential" else ScheddError
        return failing(f"schedd {self._called} has been failing since {since}: {call}: {what}")

    @property
    def _called(self) -> str:
        return self._schedd or "(the local one)"
