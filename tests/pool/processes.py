"""Which of this machine's processes belong to the pool."""

from __future__ import annotations

import os
from pathlib import Path


def is_in_the_pool(pid: int) -> bool:
    """Tell whether a process runs in this pool's chroot: other pools may have the same user."""
    try:
        root = Path(f"/proc/{pid}/root").readlink()
    except OSError:
        return False
    return root == Path(os.environ["POOL_DIR"]).resolve()
