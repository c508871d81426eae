"""The chain's child processes: what they are asked, and what their ends mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from auto_iter.errors import (
    DAMAGED_EXIT_CODE,
    TRANSIENT_EXIT_CODE,
    OutdatedError,
    PhysicsError,
    TransientError,
)
from auto_iter.files import TEMPORARY, write_atomically
from auto_iter.millepede.requests import Message
from auto_iter.processes.children import Child, start_child
from auto_iter.workspace.paths import Workspace

MAX_KILLED = 3
MAX_DAMAGED = 3
"""So often damage is mended without a person: a disk that goes on damaging files is not trusted."""


Starter = Callable[..., Child]
"""Starts a child process, as `children.start_child` does."""


class Workers:
    """Starts `worker` for a workspace, and judges how it ended."""

    def __init__(
        self, workspace: Workspace, env: Mapping[str, str], starter: Starter = start_child
    ) -> None:
        self.env = env
        self._workspace = workspace
        self._starter = starter
        self._requests = 0
        self._killed = 0
        self._damaged = 0

    def start(
        self,
        what: str,
        directory: Path,
        request: Message,
        numbers: frozenset[int] = frozenset(),
    ) -> Child:
        """Start a worker on `request`, which is handed over in a file in `directory`."""
        self._requests += 1
        path = directory / f".{what}-{os.getpid()}-{self._requests}.json{TEMPORARY}"
        command = [sys.executable, "-m", "auto_iter.iteration.worker", what, str(path)]
        try:
            write_atomically(path, request.model_dump_json(indent=1))
            return self.start_command(command, numbers, (path,))
        except OSError:  # nobody will read it, and the next try has another name
            path.unlink(missing_ok=True)
            raise

    def start_command(
        self,
        command: list[str],
        numbers: frozenset[int] = frozenset(),
        scratch: tuple[Path, ...] = (),
    ) -> Child:
        """Start some other program."""
        root = self._workspace.root
        return self._starter(
            command, env=self.env, workspace=root, numbers=numbers, scratch=scratch
        )

    def end(self, child: Child, what: str) -> None:
        """Tidy up after a worker that has ended.

        Raises TransientError for what will pass, OutdatedError when it found its input damaged,
        PhysicsError for everything else that is not well.
        """
        error, code = child.finish(), child.process.returncode
        if error is None:
            self._killed = 0
        elif code == TRANSIENT_EXIT_CODE:
            raise TransientError(f"{what}: {error}")
        elif code == DAMAGED_EXIT_CODE:
            self._damaged += 1
            if self._damaged > MAX_DAMAGED:
                raise PhysicsError(
                    f"{what}: {error}, for the {self._damaged}th time", "is the disk sound?"
                )
            raise OutdatedError(error)
        elif child.was_killed and self._killed < MAX_KILLED:
            self._killed += 1
            raise TransientError(f"{what}: {error}, out of memory?")
        else:
            raise PhysicsError(f"{what}: {error}")
