"""Where the numbers come from: versions, hosts, commands, hashes, configuration as used."""

from __future__ import annotations

import platform
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import auto_iter
from auto_iter.report.history import History
from auto_iter.report.page.troubles import LogContent

PACKAGES = ("numpy", "scipy", "uproot", "pydantic", "matplotlib", "htcondor")
MOST_CHARACTERS = 60_000
MOST_BEGUN = 5


def provenance(history: History, told: LogContent, root: Path) -> list[tuple[str, str]]:
    """Return names and values, in the order in which they are shown."""
    rows = [
        ("workspace", str(root.resolve())),
        ("made with", f"auto-iter {auto_iter.__version__}, Python {platform.python_version()}"),
        (
            "libraries",
            ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
        ),
        ("report made on", f"{socket.gethostname()} ({platform.platform()})"),
    ]
    if history.snapshot is not None:
        rows.append(("workspace id", history.snapshot.workspace_id))
    if history.iterations:
        last = history.last.solution
        rows.append(("strategy, solver", f"{last.strategy}, {last.solver}"))
    rows += [(f"begun {when} UTC", how) for when, how in told.begun[-MOST_BEGUN:]]
    return rows


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def as_used(path: Path) -> str:
    """Return a file's text, or in a line why it cannot be shown."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        return f"{path.name}: {error.strerror}"
    cut = f"{text[:MOST_CHARACTERS]}\n… (cut here; the whole is in {path.name})"
    return text if len(text) <= MOST_CHARACTERS else cut
