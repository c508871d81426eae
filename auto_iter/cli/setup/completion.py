"""`auto-iter completion`: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from auto_iter.cli.command import command, option

DIRECTORIES = frozenset({"DIR", "DIRECTORY", "WORKSPACE"})
"""What an argument is called that is a directory."""


@command(option("shell", choices=("bash", "zsh"), help="which shell"))
def completion(arguments: argparse.Namespace) -> int:
    """Print a script with which bash or zsh completes commands, options and files."""
    import shtab

    from auto_iter.cli.main import build_parser

    parser = build_parser()
    for action in _actions(parser):
        if action.type is Path:
            is_directory = action.metavar in DIRECTORIES or action.dest == "directory"
            action.complete = shtab.DIRECTORY if is_directory else shtab.FILE  # type: ignore[attr-defined] # shtab's own
    print(shtab.complete(parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _actions(command)
