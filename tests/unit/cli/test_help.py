"""Every command and option says what it is for, and a shell can complete them."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from auto_iter.cli import commands, main
from auto_iter.cli.main import build_parser


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of them
        for each in action.choices.values() if isinstance(action.choices, dict) else ():
            yield from parsers(each)


ALL = {each.prog: each for each in parsers(build_parser())}


@pytest.mark.parametrize("name", ALL)
def test_every_option_has_a_help_text(name: str) -> None:
    actions = ALL[name]._actions  # noqa: SLF001 - as above
    options = [each for each in actions if not isinstance(each.choices, dict)]
    assert [each.option_strings or each.dest for each in options if not each.help] == []


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_it_does_and_how_it_ends(name: str) -> None:
    text = ALL[name].format_help()
    assert ALL[name].description
    assert "exit codes:" in text


@pytest.mark.parametrize("name", commands.MODULES)
def test_one_command_alone_has_the_options_that_it_has_among_all(name: str) -> None:
    alone = {each.prog: each.format_help() for each in parsers(build_parser(name))}
    assert f"auto-iter {name}" in alone
    assert {prog: text for prog, text in alone.items() if prog != "auto-iter"} == {
        prog: ALL[prog].format_help() for prog in alone if prog != "auto-iter"
    }


@pytest.mark.parametrize("name", [name for name in ALL if name != "auto-iter dag node"])
def test_every_command_has_examples_that_it_takes(name: str) -> None:
    told = re.split(r"\nexamples?:\n", ALL[name].format_help())[1].partition("\n\n")[0]
    lines = [line.strip() for line in told.splitlines()]
    calls = [re.split(r"\s{3,}", line)[0] for line in lines if not line.startswith("#")]
    assert [line for line in calls if name in line]
    for line in calls:
        shell = re.split(r"\s(?:\|\||\||>|&>>)\s?", line)[0].removeprefix("nohup ")
        words = shlex.split(shell.removesuffix(" &"))
        if words[0] == "auto-iter" and "--help" not in words:
            assert build_parser(words[1]).parse_args(words[1:]).call


@pytest.mark.parametrize("name", ALL)
def test_help_fits_a_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in ALL[name].format_help().splitlines() if len(line) > 80] == []


def test_without_anything_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "run an alignment to its end" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("auto-iter sta", {"status"}),
        ("auto-iter status --ex", {"--exit-code"}),
        ("auto-iter millepede con", {"convert", "constants"}),
    ],
)
def test_bash_completes_commands_and_options(
    typed: str, completed: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    ask = (
        f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        f'_shtab_auto_iter; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    told = subprocess.run([bash, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert set(told.split()) == completed


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef auto-iter")
