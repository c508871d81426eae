"""A whole alignment, started as a person starts it, on the pool or on the local batch system."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.daemon.lifecycle import open_workspace
from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from auto_iter.several_runs import parse_run_and_files
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import FIRST_RUN, Options
from auto_iter.workspace.paths import workspace_name
from tests.support.simulated import simulate_for_tests

FILES = (400, 401, 402, 403, 404)
ITERATIONS = 3
LIMIT_S = 600.0

DONE = (0, NOT_CONVERGED_EXIT_CODE)
"""Exit codes of an alignment that came to its end; so few iterations need not converge."""

HTCONDOR = (
    "batch.system=htcondor",
    "htcondor.max_retries=0",
    "htcondor.min_poll_interval_s=1",
    "htcondor.holds.release_pause_s=1",
    "alignment.polling_interval_seconds=1",
    # Plots cost more processor than an iteration does, and look the same on every batch system.
    "alignment.report=never",
)


@dataclass(frozen=True)
class PoolDetector:
    """A simulated detector: its configuration, raw files, and stand-in of Calypso."""

    config: Path
    raw_files: tuple[Path, ...]
    install: Path

    def raw_file(self, number: int) -> Path:
        """Return where a raw file is."""
        return self.raw_files[FILES.index(number)]


def make_detector(directory: Path, stations: int = 3) -> PoolDetector:
    """Simulate a detector whose alignment takes seconds.

    A job that asks for what another one has reconstructed before gets it without the numerics: the
    pool's part in a job is the same.
    """
    return of_runs(directory, {FIRST_RUN: FILES}, stations)


def of_runs(directory: Path, files: Mapping[int, Sequence[int]], stations: int = 3) -> PoolDetector:
    """Simulate the same with raw files of several runs: run → files."""
    for run, numbers in files.items():
        options = Options(run=run, files=numbers, beam=Beam(events=300, stations=stations))
        simulate_for_tests(directory, options, directory / "made")
    return made_detector(directory)


def made_detector(directory: Path) -> PoolDetector:
    """Return the detector that was made in a directory."""
    raw_files = tuple(sorted((directory / "raw").rglob("*.raw")))
    return PoolDetector(directory / "config.yaml", raw_files, directory / "install")


def with_own_raw_files(detector: PoolDetector, directory: Path) -> PoolDetector:
    """Return the same detector with copies of its raw files: a test may spoil them."""
    raw_dir = detector.raw_files[0].parents[2]
    shutil.copytree(raw_dir, directory / "raw")
    config = directory / "config.yaml"
    config.write_text(detector.config.read_text().replace(str(raw_dir), str(directory / "raw")))
    raw_files = tuple(directory / "raw" / each.relative_to(raw_dir) for each in detector.raw_files)
    return PoolDetector(config, raw_files, detector.install)


@dataclass(frozen=True)
class PoolAlignment:
    """One workspace, and the commands that work on it."""

    detector: PoolDetector
    place: Path
    settings: tuple[str, ...] = HTCONDOR
    iterations: int = ITERATIONS
    files: str = "400-405"
    runs: str = ""
    """Instead of `files` of run 11705: ranges of several runs, as after `-r`."""
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """All that were started, to be ended at the end of the test."""

    @property
    def workspace(self) -> Path:
        """Where `run` makes it."""
        if self.runs:
            return self.place / workspace_name(2023, *parse_run_and_files(self.runs, None))
        return self.place / f"Y2023_R011705_F{self.files}"

    @property
    def log(self) -> Path:
        """What its daemon writes."""
        return self.workspace / "log.jsonl"

    def command(self) -> list[str]:
        """Return what a person types: `run` at first, then `resume`."""
        if (self.workspace / "state.yaml").exists():
            return auto_iter("resume", str(self.workspace))
        return self.from_the_start("run", str(self.iterations))

    def from_the_start(self, verb: str, iteration: str) -> list[str]:
        """Return `run` or `reco` with all that makes this alignment."""
        sets = [word for setting in self.settings for word in ("--set", setting)]
        raw = ("-r", self.runs) if self.runs else ("-r", "11705", "-f", self.files)
        return auto_iter(
            verb, "-y", "2023", *raw, "-i", iteration,
            "--config", str(self.detector.config), *sets,
        )  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        """Start the daemon, or start it again."""
        daemon = subprocess.Popen(
            self.command(),
            cwd=self.place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.daemons.append(daemon)
        return daemon

    def end(self) -> None:
        """End every daemon that still runs."""
        for daemon in self.daemons:
            daemon.kill()
            daemon.wait()

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever it is."""
        return self.call(self.command())

    def call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command where the workspace is."""
        return subprocess.run(
            command, cwd=self.place, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def status(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        told = self.call(auto_iter("status", str(self.workspace), "--json"))
        status: dict[str, Any] = json.loads(told.stdout)
        return status

    def logged(self, phrase: str) -> list[dict[str, Any]]:
        """Return the log's lines of one kind."""
        if not self.log.exists():
            return []
        # the last line may be half written: somebody is logging while we read
        lines = self.log.read_text().split("\n")[:-1]
        return [line for line in map(json.loads, lines) if line["event"] == phrase]

    def delivered(self, iteration: int = 1) -> set[int]:
        """Return the raw files whose output is in."""
        outputs = self.workspace / f"iter{iteration:02d}" / "2kfalignment"
        return {int(path.stem[-5:]) for path in outputs.glob("kfalignment_*.root")}

    def constants(self) -> dict[str, bytes]:
        """Return every iteration's constants, those it began with and those it found."""
        found = self.workspace.glob("iter*/*/inputforalign.txt")
        return {str(path.relative_to(self.workspace)): path.read_bytes() for path in found}


def auto_iter(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "auto_iter", *arguments]


def env_script(install: Path, hook: Path) -> str:
    """Return an environment script that sources `hook`; there, `$file` is the raw file."""
    return f"source {shlex.quote(str(install / 'setup.sh'))}\nsource {shlex.quote(str(hook))}\n"


def with_hook(detector: PoolDetector, place: Path, text: str) -> str:
    """Return a setting that has every job do something first; the detector stays as it is."""
    hook, script = place / "hook.sh", place / "env_with_hook.sh"
    hook.write_text(text)
    script.write_text(env_script(detector.install, hook))
    return f"paths.env_script={script}"


def of_place(place: Path) -> str:
    """Return a constraint for jobs that were submitted from a directory, or from below it."""
    start = f"{place}/"
    return f'substr(strcat(SUBMIT_Iwd ?: Iwd, "/"), 0, {len(start)}) == "{start}"'


SIGNS_OF_LIFE = ("NumJobStarts", "NumShadowStarts", "LastRemoteHost", "CompletionDate")
"""What the ad of a job that ran has; a schedd that is killed forgets the counts."""


@dataclass(frozen=True)
class Ran:
    """What the schedd's queue and history say of one submission's jobs."""

    cluster: int
    iteration: int
    attempt: int
    number: int
    starts: int
    has_run: bool


def jobs_of(alignment: PoolAlignment, calls: ScheddProcess) -> list[Ran]:
    """Return every job that was ever submitted for a workspace, by the keys in their ads."""
    workspace_id = open_workspace(alignment.workspace).snapshot.workspace_id
    constraint = f'regexp("^{workspace_id}[0-9a-f]*-", AutoIterKey)'
    asked = ("ClusterId", "AutoIterKey", "AutoIterRawFile", *SIGNS_OF_LIFE)
    found = [
        *calls.query(constraint, asked),
        *calls.history(constraint, asked, limit=10_000),
    ]
    return [_ran(ad) for ad in found]


def _ran(ad: Ad) -> Ran:
    _, iteration, attempt = str(ad["AutoIterKey"]).partition("@")[0].split("-")
    return Ran(
        int(ad["ClusterId"]),
        int(iteration),
        int(attempt),
        int(ad["AutoIterRawFile"]),
        int(ad.get("NumJobStarts", 0)),
        any(ad.get(sign) for sign in SIGNS_OF_LIFE),
    )


Aligner = Callable[..., PoolAlignment]
