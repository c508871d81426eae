"""The `auto-iter` command: all subcommands, and what an error looks like."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import auto_iter
from auto_iter.cli import commands
from auto_iter.cli.examples import examples_of
from auto_iter.cli.options import END_CODES, EXIT_CODES, Subparsers
from auto_iter.errors import AutoIterError, UsageError, interrupted_exit_code

Call = Callable[[argparse.Namespace], int]

EPILOG = f"""\
Without a command, options are those of `run`: auto-iter -y 2023 -r 011705 -f 400.

{END_CODES}"""


HELP_COLUMNS = 78


def _below(command: str, epilog: str) -> str:
    """Return what is said below the options: examples, what else there is to say, exit codes."""
    codes = "" if "exit codes:" in epilog else EXIT_CODES
    said = "\n\n".join(map(_filled, epilog.strip("\n").split("\n\n")))
    parts = (examples_of(command, HELP_COLUMNS), said, codes)
    return "\n\n".join(each.strip("\n") for each in parts if each) + "\n"


def _filled(paragraph: str) -> str:
    """Return a paragraph in the width of a help text; one with a table or code as it is."""
    is_laid_out = any(line.startswith(" ") for line in paragraph.splitlines())
    return paragraph if is_laid_out else textwrap.fill(paragraph, HELP_COLUMNS)


class _Described(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001 - no public name
    """Commands whose help, where nothing longer is said, is what their own `--help` begins with."""

    def add_parser(self, name: str, **kwargs: Any) -> argparse.ArgumentParser:
        words = kwargs.get("help", "")
        kwargs.setdefault("description", f"{words[:1].upper()}{words[1:]}.")
        parser: argparse.ArgumentParser = super().add_parser(name, **kwargs)
        return parser


class _OneLineParser(argparse.ArgumentParser):
    """Answers a wrong command line with one line, not with the whole usage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Subparsers are made by argparse itself, so the defaults have to be ours.
        ours = {
            "allow_abbrev": False,
            "formatter_class": argparse.RawDescriptionHelpFormatter,
            "epilog": _below(kwargs["prog"], kwargs.pop("epilog", None) or ""),
        }
        if kwargs.get("description"):
            kwargs["description"] = textwrap.fill(kwargs["description"], HELP_COLUMNS)
        super().__init__(*args, **{**kwargs, **ours})
        self.register("action", "parsers", _Described)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; with the options of one command `only`."""
    parser = _OneLineParser(
        prog="auto-iter",
        description="Iterative alignment of the FASER tracker: reconstruct, solve, repeat.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"auto-iter {auto_iter.__version__}")
    subparsers: Subparsers = parser.add_subparsers(
        metavar="COMMAND", required=True, title="commands", parser_class=_OneLineParser
    )
    commands.add_parsers(subparsers, only)
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
