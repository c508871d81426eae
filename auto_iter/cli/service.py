"""`auto-iter service`: an alignment as a service of the user's systemd."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.command import Command, option

if TYPE_CHECKING:
    from auto_iter.daemon.lifecycle import Opened
    from auto_iter.service.unit import Unit


service = Command(
    """Run alignments as services that survive logout, crash and reboot (systemd).

    Have the user's systemd run the daemon of an alignment.

    examples:
      # once on each machine
      loginctl enable-linger
      # from now on
      auto-iter service install Y2023_R011705_F400-450
      # one line
      auto-iter service status Y2023_R011705_F400-450

    A login's processes end with it on many machines, lxplus above all; a service does not, if
    `loginctl enable-linger` was said once. It is started again after a crash, a hang and a reboot.
    It needs a Kerberos ticket that outlives the login, and somebody who renews it: docs/service.md.
    """
)
_WORKSPACES = option(
    "workspaces", type=Path, nargs="+", metavar="WORKSPACE", help="an alignment's directory"
)


def _root(given: Path) -> Path:
    return Path(os.path.abspath(given))  # noqa: PTH100 - links stay: /eos/user/u is no real path


def _unit(given: Path, arguments: argparse.Namespace) -> Unit:
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.service.unit import Unit, kept_environment

    opened = open_workspace(_root(given))
    if not arguments.dry_run:
        _refuse_unfit(given, opened)
    memory = "8G" if opened.config.batch.system == "htcondor" else "infinity"
    return Unit(
        root=_root(given),
        python=Path(sys.executable),
        host=socket.gethostname(),
        environment=kept_environment(os.environ, os.getuid(), arguments.ccache),
        memory=arguments.memory or memory,
    )


def _refuse_unfit(given: Path, opened: Opened) -> None:
    """Raise UsageError where a service would end at once, and nobody would hear why."""
    from auto_iter.daemon.status import Status
    from auto_iter.errors import UsageError

    status = Status.of(opened.workspace, opened.snapshot, time.time())
    holder = status.holder
    if holder is not None and (status.has_daemon or holder.is_here):
        raise UsageError(
            f"{given}: pid {holder.pid} on {holder.host} is at work on it; first "
            f"`auto-iter stop {given}`, or `auto-iter service uninstall {given}`"
        )
    if status.state == "done":
        raise UsageError(
            f"{given}: the alignment is done; for more iterations: `auto-iter resume -i N {given}`"
        )
    if status.is_under_dagman:
        raise UsageError(f"{given}: DAGMan has this alignment; `auto-iter dag remove {given}`")
    if status.is_paused:
        print(f"{given}: is paused, and stays so until: auto-iter resume {given}")


@service.command(
    _WORKSPACES,
    option(
        "--ccache", metavar="FILE",
        help="Kerberos ticket cache of the service (default: KRB5CCNAME, or auto-iter.ccache in "
        "/run/user/UID where that one ends with the login)",
    ),
    option(
        "--memory", metavar="SIZE",
        help="memory limit, jobs of the local batch system included (default: 8G with HTCondor)",
    ),
    option("--dry-run", action="store_true", help="print the unit files only"),
)  # fmt: skip
def install(arguments: argparse.Namespace) -> int:
    """Make a service of each alignment, and start it."""
    from auto_iter.service.manager import UserManager

    manager = UserManager(os.environ)
    units = [_unit(each, arguments) for each in arguments.workspaces]
    if arguments.dry_run:
        print("\n".join(f"# {manager.path(unit.name)}\n{unit.text}" for unit in units))
        return 0
    for unit in units:
        manager.install(unit.name, unit.text)
        print(f"{unit.root.name}: runs as {unit.name}, on {unit.host} only")
    cache = units[0].environment.get("KRB5CCNAME")
    if cache is not None:
        print(f"its ticket: kinit -r 5d -c {cache}, and renew it, e.g. krenew -K 60 -b -k {cache}")
    if manager.lingers() is False:
        print("services end with your last login until you say: loginctl enable-linger")
    return 0


@service.command(_WORKSPACES)
def uninstall(arguments: argparse.Namespace) -> int:
    """Stop the services and remove them."""
    from auto_iter.service.manager import UserManager
    from auto_iter.service.unit import unit_name

    manager = UserManager(os.environ)
    for root in map(_root, arguments.workspaces):
        was_there = manager.uninstall(unit_name(root))
        print(f"{root.name}: {'removed' if was_there else 'no service is installed'}")
    return 0


@service.command(
    _WORKSPACES,
    option("--json", action="store_true", help="systemd's properties, for programs"),
)
def status(arguments: argparse.Namespace) -> int:
    """Say how the services stand."""
    from auto_iter.service.manager import UserManager, in_words
    from auto_iter.service.unit import unit_name

    manager = UserManager(os.environ)
    units = {root.name: unit_name(root) for root in map(_root, arguments.workspaces)}
    found = {name: manager.properties(unit) for name, unit in units.items()}
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, properties in found.items():
        host = manager.host_of(units[name])
        if host not in {None, socket.gethostname()}:
            print(f"{name}: is a service of {host}; ask there")
        else:
            print(f"{name}: {in_words(properties, units[name])}")
    return 0
