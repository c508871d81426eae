"""A daemon in the middle of a submission: `python -m tests.pool.submitter WINDOW SPOOL ROOT`.

Writes its key to ROOT/key, as the write-ahead in the checkpoint, and kills itself in the window.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.batch.htcondor.schedd.protocol import Placed
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import HTCondor
from tests.support.batch_contract import make_batch

NUMBERS = (10, 11, 12)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingSchedd(ScheddProcess):
    """Takes the whole process with it in one of the windows."""

    window = ""

    def submit(
        self,
        description: Mapping[str, str],
        rows: Sequence[Mapping[str, str]],
        *,
        spool: bool,
    ) -> Placed:
        if self.window == "before submit":
            die()
        placed = super().submit(description, rows, spool=spool)
        if self.window == "after submit":
            die()
        return placed

    def spool(self, placed: Placed) -> None:
        super().spool(placed)
        if self.window == "after spool":
            die()


def main() -> None:
    window, spool, root = sys.argv[1], sys.argv[2] == "True", Path(sys.argv[3])
    schedd = DyingSchedd()
    schedd.window = window
    system = HTCondorBatch(secrets.token_hex(4), HTCondor(job_flavour=None, spool=spool), schedd)
    key = system.new_key(1, 1)
    (root / "key").write_text(key)
    system.submit(make_batch(root, key, *NUMBERS))


if __name__ == "__main__":
    main()
