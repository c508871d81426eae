"""A command is a function with its options above it; what its help says is its docstring.

The docstring's first line stands in the list of commands, the paragraph after it (without one: the
same line) begins the command's own `--help`, further paragraphs come below the options.
"""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NoReturn

from auto_iter.cli.examples import examples_of

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - no public name
else:
    Subparsers = object

EXIT_CODES = """\
exit codes:
  0 well, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C
"""
"""Of whatever says no others."""

HELP_COLUMNS = 78

Call = Callable[[argparse.Namespace], int]
Options = argparse._ActionsContainer  # noqa: SLF001 - a parser, or a group in it
Option = Callable[[Options], object]


def option(*names: str, **how: Any) -> Option:
    """Return what adds an option; words and settings are those of argparse's `add_argument`."""
    return methodcaller("add_argument", *names, **how)


def one_of(*options: Option) -> Option:
    """Return what adds options of which one may be given."""
    return _within(methodcaller("add_mutually_exclusive_group"), options)


def group(title: str, words: str, *options: Option) -> Option:
    """Return what adds options under a heading of their own."""
    return _within(methodcaller("add_argument_group", title, words), options)


def _within(make: Callable[[Options], Options], options: Iterable[Option]) -> Option:
    def add(parser: Options) -> None:
        made = make(parser)
        for each in options:
            each(made)

    return add


class Command:
    """A command, perhaps with others below it. `below`: more that its help says."""

    def __init__(
        self,
        words: str,
        options: Sequence[Option] = (),
        call: Call | None = None,
        *,
        below: str = "",
        is_listed: bool = True,
    ) -> None:
        self._words, self._options, self._call = words, options, call
        self._below, self._is_listed = below, is_listed
        self._commands: dict[str, Command] = {}

    def command(self, *options: Option, **how: Any) -> Callable[[Call], Command]:
        """Make a function a command below this one, called as the function, with these options."""

        def made(call: Call) -> Command:
            name = call.__name__.strip("_")
            self._commands[name] = command(*options, **how)(call)
            return self._commands[name]

        return made

    def add_to(self, subparsers: Subparsers, name: str, above: str) -> None:
        """Register it as `name`, below the command that is called `above`."""
        first, *paragraphs = inspect.cleandoc(self._words).split("\n\n")
        # as in the middle of a sentence, where it does not begin with an abbreviation
        begins = first[:1] if first[1:2].isupper() else first[:1].lower()
        listed: dict[str, Any] = (
            {"help": f"{begins}{first[1:].removesuffix('.')}"} if self._is_listed else {}
        )
        prog = f"{above} {name}"
        parser = subparsers.add_parser(
            name,
            prog=prog,
            description=textwrap.fill(paragraphs[0] if paragraphs else first, HELP_COLUMNS),
            epilog=said_below(prog, "\n\n".join([*paragraphs[1:], self._below])),
            **listed,
        )
        for add in self._options:
            add(parser)
        parser.set_defaults(call=self._call)
        if self._commands:
            commands = parser.add_subparsers(
                title="commands", metavar="COMMAND", required=self._call is None
            )
            for each, its in self._commands.items():
                its.add_to(commands, each, prog)


def command(*options: Option, **how: Any) -> Callable[[Call], Command]:
    """Make a function a command with these options; `how`: as of `Command`."""
    return lambda call: Command(call.__doc__ or "", options, call, **how)


def said_below(prog: str, text: str) -> str:
    """Return what is said below the options: examples, what else there is to say, exit codes."""
    examples = "" if "examples:" in text else examples_of(prog, HELP_COLUMNS)
    said = "\n\n".join(map(_filled, text.strip("\n").split("\n\n")))
    codes = "" if "exit codes:" in text else EXIT_CODES
    return "\n\n".join(each.strip("\n") for each in (examples, said, codes) if each) + "\n"


def _filled(paragraph: str) -> str:
    """Return a paragraph in the width of a help text; one with a table or code as it is."""
    is_laid_out = any(line.startswith(" ") for line in paragraph.splitlines())
    return paragraph if is_laid_out else textwrap.fill(paragraph, HELP_COLUMNS)


class OneLineParser(argparse.ArgumentParser):
    """Answers a wrong command line with one line, not with the whole usage."""

    def __init__(self, **kwargs: Any) -> None:
        # Subparsers are made by argparse itself, so the defaults have to be ours.
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        super().__init__(**kwargs, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """End with a line on standard error."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")
