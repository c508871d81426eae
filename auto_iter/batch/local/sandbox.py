"""A job's own directory: made with what the job needs, and left with what it brought about."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import IO

from auto_iter.alignment.model import Batch, Job
from auto_iter.files import move_whole
from auto_iter.processes import ends as processes
from auto_iter.rawfiles import file_tag

_PASSED_ON = (
    "HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "KRB5CCNAME",
    "X509_USER_PROXY",
)  # fmt: skip
_PASSED_ON_PREFIXES = ("FASER_", "EOS_")


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the daemon's environment that jobs see.

    As on HTCondor, a job must not depend on the shell from which its alignment was resumed.
    """
    return {
        name: value
        for name, value in inherited.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }


class Sandbox:
    """The directory of one job."""

    def __init__(self, batch: Batch, job: Job) -> None:
        self._batch = batch
        self._job = job
        self._path = batch.directory / job.directory
        self._scratch = self._path / f".scratch_{file_tag(job.number)}"

    @contextlib.contextmanager
    def prepared(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Make it with its inputs, and give the job's standard output and error.

        Afterwards only what the job left stays there.
        """
        logs = self._batch.directory / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._path.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        linked = [self._path / path.name for path in self._batch.inputs]
        try:
            for link, path in zip(linked, self._batch.inputs, strict=True):
                if not link.exists():
                    link.unlink(missing_ok=True)
                    link.symlink_to(path)
            stem = logs / f"reco_{file_tag(self._job.number)}"
            with open(f"{stem}.out", "wb") as out, open(f"{stem}.err", "wb") as err:  # noqa: PTH123
                yield out, err
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
            for link in linked:
                with contextlib.suppress(OSError):  # the job itself may have ended well
                    if link.is_symlink():
                        link.unlink(missing_ok=True)

    def spawn(self, out: IO[bytes], err: IO[bytes], cpus: int, marker: str) -> int:
        """Start the job, in a session of its own, and return its pid: the caller reaps it."""
        own = {
            "_CONDOR_SCRATCH_DIR": str(self._scratch),
            "OMP_NUM_THREADS": str(cpus),
            "OPENBLAS_NUM_THREADS": str(cpus),
            processes.MARKER: marker,
        }
        started = subprocess.Popen(
            [str(self._batch.executable), *self._job.arguments],
            cwd=self._path,
            env=environment(os.environ) | own,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        started.returncode = 0  # not waited for by subprocess
        return started.pid

    def bring_home(self) -> str | None:
        """Move the output to where outputs go; return what is wrong when it is not there."""
        name = self._job.output
        if not name:
            return None
        source, target = self._path / name, self._batch.deliver_to / name
        if source.exists():
            # A straggler's second run may bring the same output home just now.
            move_whole(source, target, tag=str(os.getpid()))
        elif "--deliver" not in self._job.arguments or not target.exists():
            return f"ended well, but left no {name} in {self._path}"
        return None
