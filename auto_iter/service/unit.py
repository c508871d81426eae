"""The unit of one alignment: its name, its text, and what of the environment goes into it. Pure.

A unit for each workspace and no template with instances: python, environment and host are those of
the moment in which this alignment was installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from auto_iter.errors import UsageError
from auto_iter.files import digest

KEPT = re.compile(
    r"PATH|LD_LIBRARY_PATH|PYTHONPATH|LANG|LC_\w+|TZ|TMPDIR|CONDOR_CONFIG|_CONDOR_\w+|KRB5_CONFIG"
    r"|KRB5CCNAME|AUTO_ITER__\w+|OPENBLAS_NUM_THREADS|OMP_NUM_THREADS"
)
"""Variables that decide what a daemon finds and does; the rest of a login is not its business."""

SESSION_CACHE = re.compile(r"(FILE:)?/tmp/krb5cc_.*|(KEYRING|DIR|API|MSLSA|MEMORY):.*")
"""Ticket caches that end with a login, or that only its session sees."""

WAIT = (
    'until test -r "$1" && "$2" -c "import auto_iter"; do '
    'test -n "$said" || echo "waiting: $1 or the program cannot be read: is there a ticket?"; '
    "said=yes; sleep 60; done"
)


@dataclass(frozen=True)
class Unit:
    """What an alignment's service is made of. `memory`: its limit, in systemd's words."""

    root: Path
    python: Path
    host: str
    environment: Mapping[str, str]
    memory: str

    @property
    def name(self) -> str:
        """Name of the unit."""
        return unit_name(self.root)

    @property
    def text(self) -> str:
        """The unit file. Raises UsageError for what it cannot say."""
        workspace, python = quoted(str(self.root)), quoted(str(self.python))
        settled = quoted(str(self.root / "config.yaml"))
        settings = (f"{name}={value}" for name, value in sorted(self.environment.items()))
        template = files("conf").joinpath("auto-iter.service").read_text()
        return template.format(
            name=_no_specifiers(self.root.name),
            host=self.host,
            wait=f"{quoted(WAIT)} sh {settled} {python}",
            python=python,
            workspace=workspace,
            environment="\n".join(f"Environment={quoted(each, dollar='$')}" for each in settings),
            memory=self.memory,
        )


def unit_name(root: Path) -> str:
    """Return the unit's name: the workspace's, and what tells it from one elsewhere."""
    place = digest(str(root).encode(errors="replace"))[:6]
    return f"auto-iter-{re.sub(r'[^A-Za-z0-9:_.-]', '_', root.name)}-{place}.service"


def quoted(text: str, *, dollar: str = "$$") -> str:
    """Return one word of a command, or a setting, in the syntax of systemd.syntax(7)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", dollar)
    return f'"{_no_specifiers(escaped)}"'


def _no_specifiers(text: str) -> str:
    if not text.isprintable():
        raise UsageError(f"{text!r}: a service cannot be told that")
    return text.replace("%", "%%")


def kept_environment(env: Mapping[str, str], uid: int, cache: str | None) -> dict[str, str]:
    """Return what of an environment goes along.

    `cache`: the ticket cache that was asked for. Without one, a cache that ends with the login is
    replaced by one that lasts as long as the user's services do.
    """
    kept = {name: text for name, text in env.items() if KEPT.fullmatch(name)}
    kept = {name: text for name, text in kept.items() if text.isprintable()}
    if cache is not None:
        return kept | {"KRB5CCNAME": cache if ":" in cache else f"FILE:{cache}"}
    if SESSION_CACHE.fullmatch(kept.get("KRB5CCNAME", "")):
        kept["KRB5CCNAME"] = f"FILE:/run/user/{uid}/auto-iter.ccache"
    return kept
