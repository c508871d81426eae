"""Examples for `--help`, of each command: lines to be copied, and what they are for.

A test parses each of them, so that none asks for an option that is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

WS: Final = "Y2023_R011705_F400-450"
_ITERATION: Final = f"{WS}/iter03"
_ALIGNMENT: Final = "-y 2023 -r 011705 -f 400-450"

EXAMPLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "auto-iter": {
            "auto-iter doctor": "is the machine ready?",
            f"auto-iter run {_ALIGNMENT} -i 10": "an alignment; again: goes on",
            "auto-iter watch": "how it stands, live",
            "auto-iter run --help": "options, examples, exit codes",
        },
        "auto-iter run": {
            f"auto-iter run {_ALIGNMENT} -i 10 --dry-run": "what would be submitted",
            f"auto-iter run {_ALIGNMENT} -i 10": "",
            f"nohup auto-iter run {_ALIGNMENT} -i 10 &>>auto_iter.log &": "for days",
        },
        "auto-iter resume": {
            f"auto-iter resume {WS}": "",
            "auto-iter resume -i 20": "the only workspace here; more iterations",
            "auto-iter resume --set reco.max_attempts=5": "with another setting",
        },
        "auto-iter status": {
            "auto-iter status": "the only workspace here, or all of them",
            "auto-iter status Y2023_R0117*": "a line each",
            f'auto-iter status --exit-code {WS} || mail -s "look at it" me': "",
        },
        "auto-iter watch": {
            "auto-iter watch": "the only workspace here, or all of them",
            "auto-iter watch Y2023_R0117*": "a line or two each",
            f"auto-iter watch {WS} | tee -a progress.txt": "a line for each piece of news",
        },
        "auto-iter logs": {
            "auto-iter logs -f": "the only workspace here, and what is added",
            f"auto-iter logs -n 1000 --json {WS}": "for programs",
        },
        "auto-iter report": {
            f"auto-iter report {WS}": "prints where the page is",
        },
        "auto-iter stop": {
            f"auto-iter stop {WS}": "its jobs go on",
            "auto-iter stop --jobs": "the only workspace here; its jobs end, too",
        },
        "auto-iter service": {
            "loginctl enable-linger": "once on each machine",
            f"auto-iter service install {WS}": "from now on",
            f"auto-iter service status {WS}": "one line",
        },
        "auto-iter service install": {
            f"auto-iter service install {WS}": "",
            f"auto-iter service install --ccache /tmp/ticket {WS}": "its ticket",
            f"auto-iter service install --dry-run {WS}": "only print the unit",
        },
        "auto-iter service uninstall": {
            f"auto-iter service uninstall {WS}": "its jobs go on, `resume` takes them up",
        },
        "auto-iter service status": {
            "auto-iter service status Y2023_R0117*": "a line each",
            f"auto-iter service status --json {WS}": "for programs",
        },
        "auto-iter pause": {
            f"auto-iter pause {WS}": "",
            f"auto-iter resume {WS}": "goes on",
        },
        "auto-iter files": {
            "auto-iter files": "the only workspace here: all its raw files",
            "auto-iter files retry 412 420-425": "a range excludes its end",
            f"auto-iter files skip 00413 -w {WS}": "",
        },
        "auto-iter files list": {
            f"auto-iter files list {WS}": "",
            f"auto-iter files list --json {WS}": "for programs",
        },
        "auto-iter files retry": {
            f"auto-iter files retry 412 420-425 -w {WS}": "420-425: five files",
        },
        "auto-iter files skip": {
            f"auto-iter files skip 413 -w {WS}": "e.g. one without collisions",
        },
        "auto-iter clean": {
            f"auto-iter clean --keep 2 --dry-run {WS}": "what would go",
            f"auto-iter clean --keep 2 {WS}": "",
        },
        "auto-iter notify": {
            "auto-iter notify --test": "tell whoever the settings here say",
            f"auto-iter notify --test {WS}": "with that alignment's settings",
        },
        "auto-iter campaign": {
            "auto-iter campaign campaign.yaml": "start what is not done, watch, report",
            "auto-iter campaign status campaign.yaml": "a line for each interval",
            "auto-iter campaign report campaign.yaml": "of what is done",
        },
        "auto-iter dag": {
            f"auto-iter dag {_ALIGNMENT} -i 10 --dry-run": "what would be written",
            f"auto-iter dag {_ALIGNMENT} -i 10 --submit": "",
            f"auto-iter dag status {WS}": "how it stands",
        },
        "auto-iter dag status": {
            f"auto-iter dag status {WS}": "",
            f"auto-iter dag status --json {WS}": "for programs",
        },
        "auto-iter dag rescue": {
            f"auto-iter dag rescue {WS}": "after the cause is gone",
            f"auto-iter dag rescue -i 20 {WS}": "with more iterations",
        },
        "auto-iter dag remove": {
            f"auto-iter dag remove {WS}": "",
        },
        "auto-iter reco": {
            f"auto-iter reco {_ALIGNMENT} -i 1": "",
            f"auto-iter status {WS}": "how far the jobs are",
            f"auto-iter millepede -i {WS}/iter01": "constants of what came back",
            f"auto-iter reco {_ALIGNMENT} -i 2": "with the new constants",
        },
        "auto-iter fetch": {
            f"auto-iter fetch 1234567 {WS}": "",
        },
        "auto-iter millepede": {
            f"auto-iter millepede -i {_ITERATION}": "its constants, or a what-if",
            f"auto-iter millepede -i {_ITERATION} --accept": "the alignment goes on from there",
        },
        "auto-iter millepede run": {
            f"auto-iter millepede run -i {_ITERATION}": "",
        },
        "auto-iter millepede convert": {
            "auto-iter millepede convert kfalignment_*.root -o mp2input.bin": "",
            "auto-iter millepede convert a.root -o a.bin --max-residual 0.05": "with a cut",
        },
        "auto-iter millepede solve": {
            "auto-iter millepede solve mp2str.txt": "as `pede mp2str.txt`",
            "auto-iter millepede solve mp2str.txt --modes 5": "and its weakest modes",
        },
        "auto-iter millepede constants": {
            "auto-iter millepede constants millepede.res -i old.txt -o new.txt": "",
        },
        "auto-iter millepede dump": {
            "auto-iter millepede dump -n 3 mp2input.bin": "the first three tracks",
        },
        "auto-iter millepede check": {
            "auto-iter millepede check mp2input.bin": "",
        },
        "auto-iter constants": {
            "auto-iter constants show iter03/3millepede/inputforalign.txt": "",
            "auto-iter constants diff iter02 iter03": "what an iteration changed",
        },
        "auto-iter constants show": {
            "auto-iter constants show iter03/3millepede/inputforalign.txt": "",
        },
        "auto-iter constants log": {
            f"auto-iter constants log {WS}": "",
            f"auto-iter constants log --json {WS}": "the manifests, for programs",
        },
        "auto-iter constants diff": {
            "auto-iter constants diff iter02 iter03": "two iterations of a workspace",
            f"auto-iter constants diff {WS} Y2023_R011710_F0-50": "two alignments",
            "auto-iter constants diff old.txt new.txt": "two files",
        },
        "auto-iter constants plot": {
            "auto-iter constants plot inputforalign.txt -o constants.pdf": "",
        },
        "auto-iter survey": {
            f"auto-iter survey {_ITERATION} survey.yaml": "what it would buy",
        },
        "auto-iter rollback": {
            f"auto-iter rollback --to 2 {WS}": "iteration 3 is made anew",
            f"auto-iter resume {WS}": "",
        },
        "auto-iter branch": {
            f"auto-iter branch --at 3 --strategy ift-local {WS}": "",
        },
        "auto-iter reproduce": {
            f"auto-iter reproduce {_ITERATION}": "",
            f"auto-iter reproduce {WS} || echo other constants": "its last iteration",
        },
        "auto-iter export": {
            f"auto-iter export {WS}": "its result",
            f"auto-iter export --iteration 3 --since 11700 -o tag-07 {WS}": "",
        },
        "auto-iter config": {
            "auto-iter config init": "writes auto_iter.yaml",
            "auto-iter config validate --config auto_iter.yaml": "",
        },
        "auto-iter config init": {
            "auto-iter config init": "writes auto_iter.yaml",
        },
        "auto-iter config show": {
            "auto-iter config show --set alignment.polling_interval_seconds=60": "",
        },
        "auto-iter config validate": {
            "auto-iter config validate --config auto_iter.yaml": "",
        },
        "auto-iter config import": {
            "auto-iter config import config.json": "what it means here",
            "auto-iter config import config.json auto_iter.yaml": "written",
        },
        "auto-iter doctor": {
            "auto-iter doctor": "with the configuration here",
            "auto-iter doctor --config auto_iter.yaml": "",
        },
        "auto-iter simulate": {
            "auto-iter simulate sim --files 400-404": "a detector, and four raw files",
            "auto-iter run -y 2023 -r 011705 -f 400-404 --config sim/config.yaml": "",
        },
        "auto-iter completion": {
            "auto-iter completion bash > ~/.bash_completion": "",
            "auto-iter completion zsh > ~/.zfunc/_auto-iter": "a directory of $fpath",
        },
    }
)
"""Command → line → what it is for."""


def examples_of(command: str, columns: int) -> str:
    """Return the examples of a command as `--help` shows them; empty where it has none."""
    lines = EXAMPLES.get(command, {})
    if not lines:
        return ""
    width = max(map(len, lines))
    has_room = width + max(map(len, lines.values())) + 5 <= columns
    shown = (_shown(line, words, width if has_room else None) for line, words in lines.items())
    return "\n".join([f"example{'s' if len(lines) > 1 else ''}:", *shown]) + "\n"


def _shown(line: str, words: str, width: int | None) -> str:
    if not words:
        return f"  {line}"
    if width is None:
        return f"  # {words}\n  {line}"
    return f"  {line:<{width}}   {words}"
