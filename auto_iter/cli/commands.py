"""All subcommands, in the order of `--help`, each a `Command` of its name in a module.

Loaded by name: a command has no use for the options of the other ones, and `status` is quick.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import Final

from auto_iter.cli.command import Subparsers

MODULES: Final = MappingProxyType(
    {
        "run": "run",
        "resume": "resume",
        "status": "looking.status",
        "watch": "looking.watch",
        "logs": "looking.logs",
        "report": "looking.report",
        "stop": "control.stop",
        "service": "service",
        "pause": "control.pause",
        "files": "control.files",
        "clean": "control.clean",
        "notify": "control.notify",
        "campaign": "campaign",
        "dag": "dag",
        "reco": "reco",
        "fetch": "fetch",
        "millepede": "millepede.links",
        "constants": "constants",
        "survey": "millepede.survey",
        "rollback": "ledger.rollback",
        "branch": "ledger.branch",
        "reproduce": "ledger.reproduce",
        "export": "ledger.export",
        "config": "setup.config",
        "doctor": "setup.doctor",
        "simulate": "setup.simulate",
        "completion": "setup.completion",
    }
)
"""Command → its module in `auto_iter.cli`."""


def add_commands(subparsers: Subparsers, only: str | None, above: str) -> None:
    """Register all commands below the program `above`; just `only` where that is one."""
    for name in [only] if only is not None and only in MODULES else MODULES:
        module = import_module(f"auto_iter.cli.{MODULES[name]}")
        getattr(module, name).add_to(subparsers, name, above)
