"""A small alignment that is recorded once and gone on with after every power cut."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from auto_iter.files import TEMPORARY
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from tests.crash import ledger, people, stubs
from tests.crash.disk import Tree, restore
from tests.crash.hook.recorder import REFUSE, REFUSED, VARIABLE, RefusedEffect

HOOK = Path(__file__).parent / "hook"
FILES, ITERATIONS = (400, 401), 2
SUBMISSIONS = ITERATIONS + 1
"""One for each iteration, and the canary."""

PATIENCE_S = 300.0

Program = Callable[[str, Sequence[str], Path, Mapping[str, str], float], tuple[int, str]]
"""Does `python -m` for module, arguments, directory, environment and limit; code and words."""


def interpreted(
    module: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], limit_s: float
) -> tuple[int, str]:
    """Run a program as its users do, in an interpreter of its own."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=dict(environment), timeout=limit_s,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True)
class RecordedAlignment:
    """Where everything is: `work` is the disk that loses power, and holds nothing else."""

    base: Path
    program: Program = interpreted

    @property
    def work(self) -> Path:
        """The directory in which the alignment is started."""
        return self.base / "work"

    @property
    def record(self) -> Path:
        """What was recorded of it."""
        return self.base / "record"

    @property
    def workspace(self) -> Path:
        """The alignment's workspace."""
        return self.work / f"Y2023_R011705_F{FILES[0]}-{FILES[-1] + 1}"

    @property
    def _found(self) -> Path:
        return self.base / "found.json"

    def record_it(self) -> None:
        """Simulate, align undisturbed, and record that."""
        simulate(self.base / "sim", Options(files=FILES, beam=Beam(events=300)))
        cache = self.base / "cache"
        script = stubs.write_stubs(self.base / "stubs", cache, self.base / "sim/install")
        (self.base / "env.sh").write_text(script)
        self.work.mkdir()
        recording = {VARIABLE: f"{self.record}:{self.work}"}
        with people.asking(self.workspace, FILES[0], recording) as asked:
            self.run(recording)
        stubs.close(cache)
        found = constants(self.workspace)
        assert len(found) == len(ledger.manifests(self.workspace)) == ITERATIONS
        assert asked.said == "", asked.said
        assert people.told(self.work), "nobody was told"
        self._found.write_text(
            json.dumps(
                {
                    "constants": found,
                    "manifests": ledger.manifests(self.workspace),
                    "told": sorted(people.told(self.work)),
                }
            )
        )

    def run(self, environment: Mapping[str, str] | None = None) -> str:
        """Run or go on with the alignment, with the same words each time; return what it said."""
        search = f"{HOOK}:{os.environ.get('PYTHONPATH', '')}"
        arguments = [
            "run", "-y", "2023", "-r", "11705", "-f", f"{FILES[0]}-{FILES[-1] + 1}",
            "-i", str(ITERATIONS), "--config", str(self.base / "sim/config.yaml"),
            "--set", "alignment.polling_interval_seconds=1",
            "--set", f"notify.command={people.COMMAND}",
            "--set", "reco.canary=true",
            "--env_script", str(self.base / "env.sh"),
        ]  # fmt: skip
        full = {**os.environ, "PYTHONPATH": search, **(environment or {})}
        code, said = self.program("auto_iter", arguments, self.work, full, PATIENCE_S)
        assert code in {0, NOT_CONVERGED_EXIT_CODE}, said  # two iterations are few
        assert "Traceback" not in said, said
        return said

    def refusal(self, refusal: RefusedEffect, record: Path) -> str | None:
        """Have the disk refuse one side effect of a new alignment, once, recorded in `record`.

        Returns what is not as it was without; None when all is. Raises LookupError when it did not
        come to that side effect.
        """
        shutil.rmtree(record, ignore_errors=True)
        restore({}, record, self.work)
        refusing = {VARIABLE: f"{record}:{self.work}", REFUSE: refusal.as_text()}
        try:
            said = self._run_and_ask(refusing, refusal)
        except AssertionError as error:
            said = str(error)
            if "Traceback" in said or str(self.work) not in said:
                return f"no line with a path: {said[-2000:]}"
            try:
                self.run()
            except AssertionError as worse:
                return f"it did not go on: {str(worse)[-2000:]}"
        if not (record / REFUSED).exists():
            raise LookupError(refusal.as_text())
        said += "".join(log.read_text() for log in self.workspace.glob("batch/supervisor.log"))
        words, place = os.strerror(refusal.error), str(self.work)
        nameless = [line for line in said.splitlines() if words in line and place not in line]
        if nameless:
            return f"a line without a path: {nameless[0]}"
        for bad in ("Traceback", "job failed", "held"):
            if bad in said:
                return f"{bad}: {said[-2000:]}"
        return self._difference(may_leave=refusal.place.startswith("unlink"))

    def _run_and_ask(self, environment: Mapping[str, str], refusal: RefusedEffect) -> str:
        """Run the alignment, and ask something of it where that is what meets the error."""
        if "inbox." not in refusal.place:
            return self.run(environment)
        with people.asking(self.workspace, FILES[0], environment) as asked:
            said = self.run(environment)
        return said + asked.said

    def divergence(self, tree: Tree) -> str | None:
        """Go on from what a power cut left, and return what is not as it was without the cut."""
        restore(tree, self.record, self.work)
        finished = ended_jobs(self.workspace)
        before = started_jobs(self.workspace)
        owed = people.Owed.by(self.workspace)
        try:
            said = self.run()
        except AssertionError as error:
            return f"it did not go on: {str(error)[-2000:]}"
        if "job failed" in said:
            return "a lost job counts as failed"
        after = started_jobs(self.workspace)
        again = sorted(job for job in finished if after[job] != before[job])
        if again:
            return f"reconstructed again although the output was safe: {again}"
        kinds = frozenset(self._undisturbed("told"))
        return self._difference() or owed.not_kept(self.workspace, kinds, said)

    def _difference(self, *, may_leave: bool = False) -> str | None:
        """Return in what the finished alignment differs from the undisturbed one.

        It `may_leave` temporary files where their removal was refused.
        """
        if constants(self.workspace) != self._undisturbed("constants"):
            return "other constants"
        if wrong := ledger.difference(self.workspace, self._undisturbed("manifests")):
            return wrong
        left = [path.name for path in self.workspace.rglob(f"*{TEMPORARY}")]
        if left and not may_leave:
            return f"temporary files are left: {left}"
        return repeated_submission(self.workspace)

    def _undisturbed(self, what: str) -> Any:
        """Return what the undisturbed alignment found."""
        return json.loads(self._found.read_text())[what]


def constants(workspace: Path) -> dict[str, str]:
    """Return the new constants of each iteration."""
    found = workspace.glob("iter*/3millepede/inputforalign.txt")
    return {path.parent.parent.name: path.read_text() for path in found}


def submissions(workspace: Path) -> list[dict[str, object]]:
    """Return the headers of all submissions, in order."""
    made = [path.parent for path in workspace.glob("batch/*/submission.json")]
    named = sorted((path for path in made if path.name.isdigit()), key=lambda path: int(path.name))
    return [json.loads((path / "submission.json").read_text()) | {"root": path} for path in named]


def _events(workspace: Path, what: set[str]) -> list[tuple[str, int]]:
    """Return (iteration, job) of each event of these kinds."""
    found = []
    for each in submissions(workspace):
        iteration = re.search(r"iter\d\d", str(each["directory"]))
        journal = Path(str(each["root"])) / "journal"
        lines = journal.read_text().splitlines() if journal.exists() else []
        events = [event for event in map(_event, lines) if event.get("event") in what]
        if iteration is not None:
            found += [(iteration.group(), event["job"]) for event in events]
    return found


def _event(line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        event: dict[str, Any] = json.loads(line)
        return event
    return {}


def started_jobs(workspace: Path) -> Counter[tuple[str, int]]:
    """Count how often each job was started."""
    return Counter(_events(workspace, {"started"}))


def ended_jobs(workspace: Path) -> set[tuple[str, int]]:
    """Return the jobs that have ended well."""
    return set(_events(workspace, {"ended"}))


def repeated_submission(workspace: Path) -> str | None:
    """Return what was submitted twice, though nothing of it was lost."""
    keys = [str(each["key"]) for each in submissions(workspace)]
    if len(set(keys)) != len(keys):
        return f"submitted twice under one key: {keys}"
    lost = len({iteration for iteration, _ in _events(workspace, {"lost"})})
    if len(keys) > SUBMISSIONS + lost:
        return f"{len(keys)} submissions although jobs were lost in {lost} iterations only"
    return None
