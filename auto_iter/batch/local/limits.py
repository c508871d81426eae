"""How much runs at once, and how hard limits are: what the daemon tells the supervisor."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from auto_iter.files import naming, write_atomically

_FILE = "limits.json"


@dataclass(frozen=True)
class Limits:
    """How much runs at once, and how hard limits are.

    `slots` jobs run at once, by default one for each core that we may use. Jobs get `grace_s`
    seconds between SIGTERM and SIGKILL.
    """

    slots: int | None = None
    enforce_memory: bool = True
    grace_s: float = 5.0

    @property
    def at_once(self) -> int:
        """How many jobs run at once."""
        return self.slots or len(os.sched_getaffinity(0))

    def tell(self, home: Path) -> None:
        """Have them count from now on, also for a supervisor that runs already. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            if Limits.read(home) == self:  # who only looks need not be able to write
                return
        write_atomically(home / _FILE, json.dumps(asdict(self)))

    @classmethod
    def read(cls, home: Path) -> Limits:
        """Return what was told last. Raises OSError."""
        with naming(home / _FILE):
            return cls(**json.loads((home / _FILE).read_text()))
