"""The child process that talks to HTCondor; its argument is the pid of its parent.

The bindings hold the interpreter's lock in every call, and some calls wait for a hung schedd for
minutes; here they may, because the parent can kill us. One JSON object a line in each direction:
`{"call": ..., "arguments": {...}}` is answered by `{"ok": ...}` or `{"error": ..., "kind": ...}`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from auto_iter.processes.orphans import die_with_parent

Answer = dict[str, Any]


class _UnknownError(Exception):
    """The collector has no ad of a daemon."""


class Calls:
    """The calls, with the schedd that was located last.

    A schedd that failed is located anew: after a restart its address may be another one.
    """

    def __init__(self) -> None:
        # Imported here: a missing wheel is an answer, not a crash.
        import classad2
        import htcondor2

        self._condor = htcondor2
        self._classad = classad2
        self._located: dict[tuple[str | None, str | None], tuple[Any, str]] = {}
        self._submitted: tuple[int, Any] | None = None
        self._where: tuple[str | None, str | None] = (None, None)

    def answer(self, call: str, where: tuple[str | None, str | None], arguments: Answer) -> Answer:
        """Make one call and return what the parent is told."""
        self._where = where
        try:
            method: Callable[..., Any] = getattr(self, f"call_{call}")
            return {"ok": method(**arguments)}
        except _UnknownError as error:
            return {"error": str(error), "kind": "unknown"}
        except self._condor.HTCondorException as error:
            self._located.pop(where, None)
            return {"error": str(error), "kind": "condor"}
        except (self._classad.ClassAdException, ValueError, TypeError, IndexError) as error:
            return {"error": f"{type(error).__name__}: {error}", "kind": "misuse"}

    def _schedd(self) -> Any:
        return self._locate()[0]

    def _locate(self) -> tuple[Any, str]:
        if self._where not in self._located:
            name = self._where[1]
            location = self._location(self._condor.DaemonType.Schedd)
            located = self._condor.Schedd(location)
            self._located[self._where] = (located, str(location.get("Name") or name or "schedd"))
        return self._located[self._where]

    def _location(self, kind: Any) -> Any:
        """Return where a daemon is. Raises when the collector does not know."""
        pool, name = self._where
        collector = self._condor.Collector(pool) if pool else self._condor.Collector()
        location = collector.locate(kind, name) if name else collector.locate(kind)
        if location is None:
            # What the bindings make of None is the local daemon: another one's queue.
            raise _UnknownError(f"the collector {pool or 'of this machine'} does not know it")
        return location

    def call_version(self) -> str:
        """Return the version of the bindings."""
        return str(self._condor.version())

    def call_locate(self) -> dict[str, str]:
        """Return name and version of the schedd."""
        schedd, name = self._locate()
        return {"name": name, "version": str(schedd._version)}  # noqa: SLF001 - not public elsewhere

    def call_count(self, constraint: str) -> dict[str, int]:
        """Return the totals of what matches."""
        (totals,) = self._schedd().query(constraint, [], opts=self._condor.QueryOpts.SummaryOnly)
        names = {"total": "Jobs", "idle": "Idle", "held": "Held"}
        names |= {"completed": "Completed", "removed": "Removed"}
        return {ours: int(totals[theirs]) for ours, theirs in names.items()}

    def call_count_by_cluster(self, constraint: str, key: str) -> list[list[int]]:
        """Return (cluster, status, number of jobs) of what matches, for each that there is.

        The schedd judges the groups, not their jobs: what a constraint names has to be grouped by.
        """
        wanted = ["ClusterId", "JobStatus", "JobCount"]
        grouped = [*wanted[:2], key]
        ads = self._schedd().query(constraint, grouped, opts=self._condor.QueryOpts.GroupBy)
        return [[int(ad.get(name)) for name in wanted] for ad in ads]

    def call_query(self, constraint: str, projection: list[str], limit: int) -> list[Answer]:
        """Return the ads that match."""
        ads = self._schedd().query(constraint, projection, limit=limit)
        return [self._plain(ad, projection) for ad in ads]

    def call_cluster_ad(self, cluster: int, projection: list[str]) -> Answer | None:
        """Return the ad that has no proc."""
        ads = self._schedd().query(
            f"ClusterId == {cluster} && ProcId is undefined",
            projection,
            opts=self._condor.QueryOpts.IncludeClusterAd,
        )
        return self._plain(ads[0], projection) if ads else None

    def call_history(self, constraint: str, projection: list[str], limit: int) -> list[Answer]:
        """Return the ads of the history that match."""
        ads = self._schedd().history(constraint, projection, match=limit)
        return [self._plain(ad, projection) for ad in ads]

    def _plain(self, ad: Mapping[str, Any], projection: Sequence[str]) -> Answer:
        # Value.Undefined is true and is no None: only plain values may get out of here.
        found: Answer = {}
        for name in projection:
            value = ad.get(name)
            if isinstance(value, self._classad.ExprTree):
                value = ad.eval(name)  # type: ignore[attr-defined]  # a ClassAd, which is untyped
            if isinstance(value, self._classad.Value):
                continue
            if isinstance(value, str | int | float):
                found[name] = value
        return found

    def call_has_machine(self, constraint: str) -> bool:
        """Tell whether the collector has the ad of a machine that matches."""
        pool = self._where[0]
        collector = self._condor.Collector(pool) if pool else self._condor.Collector()
        return bool(collector.query(self._condor.AdType.Startd, constraint, ["Name"]))

    def call_store_credential(self) -> None:
        """Have the site's producer make a credential of ours, and store it for our jobs."""
        located = self._location(self._condor.DaemonType.Credd) if any(self._where) else None
        credd = self._condor.Credd(located)
        credd.add_user_cred(self._condor.CredType.Kerberos, None)

    def call_submit(
        self, description: dict[str, str], rows: list[dict[str, str]], spool: bool
    ) -> Answer:
        """Submit and return the cluster; the result stays here, because `spool` needs it."""
        schedd, name = self._locate()
        submit = self._condor.Submit(description)
        result = schedd.submit(submit, itemdata=iter(rows), spool=spool)
        self._submitted = (result.cluster(), result)
        return {"cluster": result.cluster(), "jobs": len(rows), "schedd": name}

    def call_submit_dag(
        self, directory: str, dag: str, options: dict[str, str | int], commands: dict[str, str]
    ) -> Answer:
        """Submit DAGMan for the file `dag` in `directory`; `commands` have the last word."""
        schedd, name = self._locate()
        os.chdir(directory)  # where its files go, and what they are relative to
        submit = self._condor.Submit.from_dag(dag, options)
        for command, value in commands.items():
            submit[command] = value
        result = schedd.submit(submit)
        return {"cluster": result.cluster(), "jobs": 1, "schedd": name}

    def call_spool(self, cluster: int) -> None:
        """Send the input of the cluster submitted last."""
        if self._submitted is None or self._submitted[0] != cluster:
            raise ValueError(f"cluster {cluster} was not submitted by this process")
        self._schedd().spool(self._submitted[1])
        self._submitted = None

    def call_retrieve(self, jobs: list[str]) -> None:
        """Fetch the sandboxes of the given jobs."""
        self._schedd().retrieve(jobs)

    def call_act(self, action: str, constraint: str, reason: str) -> int:
        """Hold, release or remove; return how many changed."""
        action_type = self._condor.JobAction[action.capitalize()]
        # A reason that is no tuple is dropped by the bindings.
        done = self._schedd().act(action_type, constraint, (reason, 0))
        return int(done["TotalSuccess"])

    def call_edit(self, constraint: str, attribute: str, value: str) -> int:
        """Edit and return of how many jobs; the bindings raise when nothing matches."""
        schedd = self._schedd()
        if not schedd.query(constraint, ["ProcId"], limit=1):
            return 0
        return int(schedd.edit(constraint, attribute, value))


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more."""
    try:
        calls = Calls()
    except ImportError as error:
        answers.write(json.dumps({"error": str(error), "kind": "missing"}) + "\n")
        answers.flush()
        return
    for line in requests:
        request = json.loads(line)
        where = (request["pool"], request["schedd"])
        answers.write(json.dumps(calls.answer(request["call"], where, request["arguments"])) + "\n")
        answers.flush()


def main() -> None:
    """Serve the process that started us, on stdin and what was stdout."""
    # No submission may outlive who asked for it.
    die_with_parent(int(sys.argv[1]), signal.SIGKILL)
    for ours_to_ignore in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(ours_to_ignore, signal.SIG_IGN)
    # The C library below prints when it likes; answers go where it cannot reach.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
