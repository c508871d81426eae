"""The `auto-iter` command: all subcommands, and what an error looks like."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import auto_iter
from auto_iter.cli import commands
from auto_iter.cli.options import Subparsers
from auto_iter.errors import AutoIterError, UsageError

Call = Callable[[argparse.Namespace], int]


class _OneLineParser(argparse.ArgumentParser):
    """Answers a wrong command line with one line, not with the whole usage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Subparsers are made by argparse itself, so the default has to be ours.
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _OneLineParser(
        prog="auto-iter",
        description="Iterative alignment of the FASER tracker: reconstruct, solve, repeat.",
        epilog="Without a command, options are those of `run`: auto-iter -y 2023 -r 011705 -f 400. "
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but not converged.",
    )
    parser.add_argument("--version", action="version", version=f"auto-iter {auto_iter.__version__}")
    subparsers: Subparsers = parser.add_subparsers(
        metavar="COMMAND", required=True, title="commands", parser_class=_OneLineParser
    )
    for add_parser in commands.ALL:
        add_parser(subparsers)
    return parser


def with_verb(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, with `run` before them where they begin with one of its options.

    So what was given to the script before works as it is: `-y 2023 -r 011705 -f 450-500 -i 10`.
    """
    words = list(arguments)
    own = ("-h", "--help", "--version")
    has_no_verb = bool(words) and words[0].startswith("-") and words[0] not in own
    return ["run", *words] if has_no_verb else words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a µ is no reason to die on an old terminal
    parsed = build_parser().parse_args(with_verb(sys.argv[1:] if arguments is None else arguments))
    call: Call = parsed.call
    try:
        return call(parsed)
    except AutoIterError as error:
        print(f"auto-iter: {_printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader (head, less) has gone: not our failure, but stdout must not be flushed again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"auto-iter: {_printable(where + str(error.strerror))}", file=sys.stderr)
        is_mistyped = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
        return UsageError.exit_code if is_mistyped else 1
    except KeyboardInterrupt:
        return 130


def _printable(text: str) -> str:
    """Return a message as one line that a terminal survives, whatever a file was called."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
