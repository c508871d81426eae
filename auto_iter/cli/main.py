"""The `auto-iter` command: all subcommands, and what an error looks like."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence

import auto_iter
from auto_iter.cli import commands
from auto_iter.cli.command import Call, OneLineParser, said_below
from auto_iter.cli.options import END_CODES
from auto_iter.errors import AutoIterError, UsageError, interrupted_exit_code

EPILOG = f"""\
examples:
  # is the machine ready?
  auto-iter doctor
  # an alignment; again: goes on
  auto-iter run -y 2023 -r 011705 -f 400-450 -i 10
  # how it stands, live
  auto-iter watch
  # options, examples, exit codes
  auto-iter run --help

Without a command, options are those of `run`: auto-iter -y 2023 -r 011705 -f 400.

{END_CODES}"""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; with the options of one command `only`."""
    parser: argparse.ArgumentParser = OneLineParser(
        prog="auto-iter",
        description="Iterative alignment of the FASER tracker: reconstruct, solve, repeat.",
        epilog=said_below("auto-iter", EPILOG),
    )
    parser.add_argument("--version", action="version", version=f"auto-iter {auto_iter.__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    commands.add_commands(subparsers, only, parser.prog)
    return parser


def with_verb(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, with `run` before them where they begin with one of its options.

    So what was given to the script before works as it is: `-y 2023 -r 011705 -f 450-500 -i 10`.
    """
    words = list(arguments)
    own = ("-h", "--help", "--version")  # the rest are those of `run`
    has_no_verb = bool(words) and words[0].startswith("-") and words[0] not in own
    return ["run", *words] if has_no_verb else words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a µ is no reason to die on an old terminal
    words = with_verb(sys.argv[1:] if arguments is None else arguments)
    if not words:
        build_parser().print_help()
        return 0
    parsed = build_parser(words[0] if words else None).parse_args(words)
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
        return interrupted_exit_code(signal.SIGINT)


def _printable(text: str) -> str:
    """Return a message as one line that a terminal survives, whatever a file was called."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
