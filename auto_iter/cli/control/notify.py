"""`auto-iter notify --test`: tell whoever would be told, now."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.command import command, option
from auto_iter.cli.options import CONFIG, SET

if TYPE_CHECKING:
    from auto_iter.config.notify import Notify


@command(
    option(
        "workspace", type=Path, nargs="?", metavar="WORKSPACE",
        help="take this alignment's settings (default: the configuration here)",
    ),
    option("--test", action="store_true", help="send a test event now"),
    CONFIG,
    SET,
)  # fmt: skip
def notify(arguments: argparse.Namespace) -> int:
    """Try the notifications that are configured (notify.command, notify.mail).

    Say who is told of which events. With --test, send them one, of the kind `test`, and say how
    that went: exit code 1 where somebody could not be told.
    """
    from auto_iter.config.file import load_config
    from auto_iter.errors import UsageError

    path = arguments.config
    if arguments.workspace is not None:
        path = arguments.workspace / "config.yaml"
    settings = load_config(path, arguments.overrides, os.environ).notify
    if not settings.is_on:
        raise UsageError("nobody is told: set notify.command or notify.mail")
    whom = [" ".join(settings.command)] if settings.command else []
    whom += [settings.mail] if settings.mail else []
    print(f"{' and '.join(whom)}: {', '.join(settings.events)}")
    return _test(settings, arguments.workspace) if arguments.test else 0


def _test(settings: Notify, workspace: Path | None) -> int:
    from auto_iter.alignment.event import Event
    from auto_iter.notify.delivery import Delivery, deliver

    now, root = time.time(), (workspace or Path()).absolute()
    event = Event(
        id=f"test-{now:.0f}",
        kind="test",
        at=now,
        words="a test: this is how auto-iter tells of an alignment's events",
        iteration=1,
        state="prepare",
    )
    wrong = list(
        deliver(Delivery(event=event, settings=settings, workspace=str(root), title=root.name))
    )
    for each in wrong:
        print(" ".join(each.split()), file=sys.stderr)
    if not wrong:
        print("told")
    return 1 if wrong else 0
