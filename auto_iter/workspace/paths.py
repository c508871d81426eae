"""Every path of a workspace, in one place.

The tree is the one that users know from the scripts before: `Y2023_R011705_F400-450/iter01/
{1reco,2kfalignment,3millepede}`, plus what the daemon keeps (checkpoint, configuration, log,
report).
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from auto_iter.files import digest
from auto_iter.rawfiles import file_tag, run_and_number, with_run
from auto_iter.several_runs import RawFiles, SeveralRuns

STRATEGY_BY_HAND = "strategy.yaml"
"""In the directory of a solution that was made by hand: the strategy that it was made with."""
_OUTPUT = re.compile(r"kfalignment_(\d{6})_(\d{5})\.root", re.ASCII)


def workspace_name(year: int, run: int | None, files: RawFiles) -> str:
    """Return the directory name, e.g. `Y2023_R011705_F400-450`."""
    if isinstance(files, SeveralRuns):
        return f"Y{year}_{files.name}"
    return f"Y{year}_R{run:06d}_F{files.text}"


class Below:
    """A path below the `root` of the object that is asked for it, as a property is."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __truediv__(self, name: str) -> Below:
        return Below(f"{self._place}/{name}")

    def __get__(self, owner: Iteration | Workspace, _: type) -> Path:
        return owner.root / self._place


@dataclass(frozen=True)
class Iteration:
    """The directories and files of one iteration; `run`: None where raw files are of several."""

    root: Path
    run: int | None

    reco = Below("1reco")
    """Reconstruction: submit description, constants, logs, per-file directories."""
    kfalignment = Below("2kfalignment")
    """The fitted tracks, one ROOT file for each raw file."""
    millepede = Below("3millepede")
    """Mille binaries, pede's input and output, the new constants."""
    constants = reco / "inputforalign.txt"
    """The constants that this iteration reconstructs with."""
    new_constants = millepede / "inputforalign.txt"
    """The constants that this iteration found: the next one's input."""
    job_script = reco / "run_alignment.sh"
    """The job script, the same on every batch system."""
    logs = reco / "logs"
    """Standard output, error and event log of each job."""
    mille = millepede / "mille"
    """Mille binaries and conversion statistics, a pair for each ROOT file."""
    solution = millepede / "solution.json"
    """What the solving found, as JSON; written last, so its presence means it is complete."""
    strategy_by_hand = millepede / STRATEGY_BY_HAND
    """The strategy of a solution that was made by hand, and accepted."""
    cleaned = Below("cleaned.json")
    """When its bulky intermediate files were removed; there from before the first one goes."""

    def job_log(self, number: int, kind: str) -> Path:
        """Return a job's log; `kind` is `out`, `err` or `log`."""
        return self.logs / f"reco_{file_tag(number)}.{kind}"

    def job_directory(self, number: int) -> Path:
        """Return the per-file work directory `<run>/<file>/`."""
        run, file = run_and_number(number, self.run)
        return self.reco / f"{run:06d}" / f"{file:05d}"

    def output_name(self, number: int) -> str:
        """Return the name of a raw file's fitted tracks."""
        return f"kfalignment_{self._stem(number)}.root"

    def number_of(self, name: str) -> int | None:
        """Return whose fitted tracks have that name; None: no raw file's of this alignment."""
        match = _OUTPUT.fullmatch(name)
        if match is None:
            return None
        run, number = int(match[1]), int(match[2])
        if self.run is None:
            return with_run(run, number)
        return number if run == self.run else None

    def output(self, number: int) -> Path:
        """Return where a raw file's fitted tracks are delivered."""
        return self.kfalignment / self.output_name(number)

    def mille_binary(self, number: int) -> Path:
        """Return the Mille binary made from one ROOT file."""
        return self.mille / f"mp2input_{self._stem(number)}.bin"

    def mille_statistics(self, number: int) -> Path:
        """Return the conversion statistics (JSON) of one ROOT file; written last."""
        return self.mille / f"mp2input_{self._stem(number)}.json"

    def _stem(self, number: int) -> str:
        run, file = run_and_number(number, self.run)
        return f"{run:06d}_{file:05d}"

    def expected_names(self, numbers: Collection[int]) -> dict[Path, list[str]]:
        """Return what raw files will have brought into the most crowded directories."""
        logs = [self.job_log(n, kind).name for n in numbers for kind in ("out", "err", "log")]
        of_each = (self.mille_binary, self.mille_statistics)
        places: dict[Path, list[str]] = {
            self.logs: logs,
            self.kfalignment: [self.output_name(number) for number in numbers],
            self.mille: [path(number).name for number in numbers for path in of_each],
        }
        for number in numbers:
            place = self.job_directory(number)
            places.setdefault(place.parent, []).append(place.name)
        return places


def openness(directory: Path) -> str | None:
    """Return why others could change what is in a directory; None where they cannot."""
    status = directory.stat()
    if status.st_mode & stat.S_IWOTH:
        return f"{directory}: everybody may write there; chmod o-w"
    if status.st_uid not in {os.geteuid(), 0}:
        return f"{directory}: belongs to another user"
    return None


@dataclass(frozen=True)
class Workspace:
    """One alignment's directory."""

    root: Path

    checkpoint = Below("state.yaml")
    """The state of the daemon."""
    config = Below("config.yaml")
    """The configuration as used."""
    strategy = Below("strategy.yaml")
    """The strategy as used: the workspace's own copy, whatever becomes of the original."""
    survey = Below("survey.yaml")
    """The survey as used: the workspace's own copy, where `alignment.survey` names one."""
    initial_constants = Below("initial_constants.txt")
    """What a branch begins with; elsewhere the configuration names a file, or there is none."""
    log = Below("log.jsonl")
    """JSON lines."""
    old_log = Below("auto_iter.log")
    """What the log was called in earlier versions."""
    lock = Below("daemon.lock")
    """Who runs this workspace."""
    env_script = Below("reco_condor_env.sh")
    """The workspace's own copy of the environment script."""
    requests = Below("requests")
    """What people ask of the daemon, until it is in the checkpoint."""
    batch_records = Below("batch")
    """What the batch system notes of its submissions, apart from the checkpoint."""
    report = Below("report")
    """Tables and plots."""
    report_document = report / "report.json"
    """The report's numbers for programs; the last file of it that is written."""

    @property
    def resume_command(self) -> str:
        """What a person types, from wherever, to go on with this alignment."""
        return f"auto-iter resume {shlex.quote(str(self.root.absolute()))}"

    def key_prefix(self, workspace_id: str) -> str:
        """Return how submission keys begin; other for a copy in another place."""
        place = digest(os.path.realpath(self.root).encode(errors="replace"))
        return f"{workspace_id}{place[:4]}"

    @property
    def directories(self) -> list[Path]:
        """Return the directories, as far as they are there, that the daemon and its children write.

        Those of the jobs are not among them: jobs go on while no daemon runs.
        """
        inner = ("", "1reco", "2kfalignment", "3millepede", "3millepede/mille")
        iterations = self.root.glob("iter[0-9]*")
        found = [root / name for root in iterations for name in inner]
        return [
            path
            for path in (self.root, self.report, self.batch_records, self.requests, *found)
            if path.is_dir()
        ]

    def manifest(self, number: int) -> Path:
        """Return where it is written down what iteration `number` was made of."""
        return self.root / f"iter{number:02d}" / "manifest.json"

    def iteration(self, number: int, run: int | None) -> Iteration:
        """Return the paths of iteration `number` (from 1)."""
        return Iteration(self.root / f"iter{number:02d}", run)
