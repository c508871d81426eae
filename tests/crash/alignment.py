"""A small alignment that is recorded once and gone on with after every power cut.

Its reconstruction is a shell stub that looks up what the simulated Calypso made of the same raw
file and the same constants; constants that no undisturbed alignment had find nothing, and the job
fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from tests.crash.disk import Cut, cuts, read_log, restore
from tests.crash.hook.recorder import REFUSE, VARIABLE

HOOK = Path(__file__).parent / "hook"
FILES, ITERATIONS = (400, 401), 2
PATIENCE_S = 300.0

_STUBS = {
    "WriteAlignmentConfig_Faser04.py": 'printf %s "$1" > constants\n'
    'exec "$FASER_SIMULATION/bin/WriteAlignmentConfig_Faser04.py" "$@"',
    "faser_reco_alignment.py": 'name=$(basename "$1" .raw)\n'
    "made=$CACHE/$(sha256sum < constants | cut -c-64)-$name.root\n"
    'cp "$made" "$name-kfalignment.root"',
}


@dataclass(frozen=True)
class Rehearsal:
    """Where everything is: `work` is the disk that loses power, and holds nothing else."""

    base: Path

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

    def prepare(self) -> None:
        """Simulate, align undisturbed, and keep what the reconstruction made."""
        simulate(self.base / "sim", Options(files=FILES, beam=Beam(events=300)))
        reference = self.base / "reference"
        reference.mkdir()
        self._run(reference, ())
        cache, stubs = self.base / "cache", self.base / "stubs"
        for directory in (cache, stubs):
            directory.mkdir()
        for iteration in sorted(reference.glob("Y*/iter*")):
            text = (iteration / "1reco/inputforalign.txt").read_text().rstrip("\n")
            argument = f"AlignDbTool.AlignmentConstants={{{text}}}"
            key = hashlib.sha256(argument.encode()).hexdigest()
            for output in (iteration / "2kfalignment").glob("*.root"):
                name = f"Faser-Physics-{output.stem.removeprefix('kfalignment_').replace('_', '-')}"
                shutil.copy(output, cache / f"{key}-{name}.root")
        for name, text in _STUBS.items():
            (stubs / name).write_text(f"#!/bin/bash\nset -e\n{text}\n")
            (stubs / name).chmod(0o755)
        (self.base / "env.sh").write_text(
            f"source {self.base}/sim/install/setup.sh\nexport PATH={stubs}:$PATH CACHE={cache}\n"
        )

    def record_it(self) -> list[Cut]:
        """Run the alignment, recorded; return the disks that power cuts would leave."""
        self.work.mkdir()
        self.run({VARIABLE: f"{self.record}:{self.work}"})
        assert constants(self.workspace) == constants(next(self.base.glob("reference/Y*")))
        return cuts(read_log(self.record))

    def run(self, environment: Mapping[str, str] | None = None) -> str:
        """Run or go on with the alignment, with the same words each time; return what it said."""
        stubs = ("--env_script", str(self.base / "env.sh"))
        search = f"{HOOK}:{os.environ.get('PYTHONPATH', '')}"
        hooked = {"PYTHONPATH": search, **(environment or {})}
        return self._run(self.work, stubs, hooked)

    def _run(
        self, cwd: Path, more: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            [
                sys.executable, "-m", "auto_iter", "run", "-y", "2023", "-r", "11705",
                "-f", f"{FILES[0]}-{FILES[-1] + 1}", "-i", str(ITERATIONS),
                "--config", str(self.base / "sim/config.yaml"),
                "--set", "alignment.polling_interval_seconds=1", *more,
            ],
            cwd=cwd, env={**os.environ, **(environment or {})}, timeout=PATIENCE_S,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode in {0, NOT_CONVERGED_EXIT_CODE}, said  # two iterations are few
        assert "Traceback" not in said, said
        return said

    def refusal(self, at: int, number: int) -> str | None:
        """Have the disk refuse side effect `at` of a new alignment with an error, once.

        Returns what is not as it was without; None when all is.
        """
        for directory in (self.work, self.record):
            shutil.rmtree(directory, ignore_errors=True)
        self.work.mkdir()
        refusing = {VARIABLE: f"{self.record}:{self.work}", REFUSE: f"{at}:{number}"}
        try:
            said = self.run(refusing)
        except AssertionError as error:
            said = str(error)
            if "Traceback" in said or str(self.work) not in said:
                return f"no line with a path: {said[-2000:]}"
            try:
                self.run()
            except AssertionError as worse:
                return f"it did not go on: {str(worse)[-2000:]}"
        if constants(self.workspace) != constants(next(self.base.glob("reference/Y*"))):
            return "other constants"
        said += "".join(log.read_text() for log in self.workspace.glob("batch/*/queue.log"))
        for bad in ("Traceback", "job failed", "held"):
            if bad in said:
                return f"{bad}: {said[-2000:]}"
        return repeated_submission(self.workspace)

    def divergence(self, cut: Cut) -> str | None:
        """Cut the power, go on, and return what is not as it was without; None when all is."""
        restore(cut.tree, self.record, self.work)
        finished = ended_jobs(self.workspace)
        before = started_jobs(self.workspace)
        try:
            said = self.run()
        except AssertionError as error:
            return f"it did not go on: {str(error)[-2000:]}"
        if constants(self.workspace) != constants(next(self.base.glob("reference/Y*"))):
            return "other constants"
        if "job failed" in said:
            return "a lost job counts as failed"
        after = started_jobs(self.workspace)
        again = sorted(job for job in finished if after[job] != before[job])
        if again:
            return f"reconstructed again although the output was safe: {again}"
        return repeated_submission(self.workspace)


def constants(workspace: Path) -> dict[str, bytes]:
    """Return the new constants of each iteration."""
    found = workspace.glob("iter*/3millepede/inputforalign.txt")
    return {path.parent.parent.name: path.read_bytes() for path in found}


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
    if len(keys) > ITERATIONS + lost:
        return f"{len(keys)} submissions although jobs were lost in {lost} iterations only"
    return None
