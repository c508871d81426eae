"""Examples for `--help`: lines to be copied, and what they are for.

A test parses each of them, so that none asks for an option that is gone. Where it takes several
commands after one another, they are in the help of the command itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

WS: Final = "Y2023_R011705_F400-450"
_ITERATION: Final = f"{WS}/iter03"
_ALIGNMENT: Final = "-y 2023 -r 011705 -f 400-450"

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        f"auto-iter run {_ALIGNMENT} -i 10 --dry-run": "what would be submitted",
        f"auto-iter run {_ALIGNMENT} -i 10": "",
        f"nohup auto-iter run {_ALIGNMENT} -i 10 &>>auto_iter.log &": "for days",
        f"auto-iter resume {WS}": "",
        "auto-iter resume -i 20": "the only workspace here; more iterations",
        "auto-iter resume --set reco.max_attempts=5": "with another setting",
        "auto-iter status": "the only workspace here, or all of them",
        "auto-iter status Y2023_R0117*": "a line each",
        f'auto-iter status --exit-code {WS} || mail -s "look at it" me': "",
        "auto-iter watch": "the only workspace here, or all of them",
        "auto-iter watch Y2023_R0117*": "a line or two each",
        f"auto-iter watch {WS} | tee -a progress.txt": "a line for each piece of news",
        "auto-iter logs -f": "the only workspace here, and what is added",
        f"auto-iter logs -n 1000 --json {WS}": "for programs",
        f"auto-iter report {WS}": "prints where the page is",
        f"auto-iter stop {WS}": "its jobs go on",
        "auto-iter stop --jobs": "the only workspace here; its jobs end, too",
        f"auto-iter service install {WS}": "",
        f"auto-iter service install --ccache /tmp/ticket {WS}": "its ticket",
        f"auto-iter service install --dry-run {WS}": "only print the unit",
        f"auto-iter service uninstall {WS}": "its jobs go on, `resume` takes them up",
        "auto-iter service status Y2023_R0117*": "a line each",
        f"auto-iter service status --json {WS}": "for programs",
        "auto-iter files": "the only workspace here: all its raw files",
        f"auto-iter files list {WS}": "",
        f"auto-iter files list --json {WS}": "for programs",
        f"auto-iter files retry 412 420-425 -w {WS}": "420-425: five files",
        f"auto-iter files skip 413 -w {WS}": "e.g. one without collisions",
        f"auto-iter clean --keep 2 --dry-run {WS}": "what would go",
        f"auto-iter clean --keep 2 {WS}": "",
        "auto-iter notify --test": "tell whoever the settings here say",
        f"auto-iter notify --test {WS}": "with that alignment's settings",
        "auto-iter campaign campaign.yaml": "start what is not done, watch, report",
        "auto-iter campaign status campaign.yaml": "a line for each interval",
        "auto-iter campaign report campaign.yaml": "of what is done",
        f"auto-iter dag {_ALIGNMENT} -i 10 --dry-run": "what would be written",
        f"auto-iter dag {_ALIGNMENT} -i 10 --submit": "",
        f"auto-iter dag status {WS}": "how it stands",
        f"auto-iter dag status --json {WS}": "for programs",
        f"auto-iter dag rescue {WS}": "after the cause is gone",
        f"auto-iter dag rescue -i 20 {WS}": "with more iterations",
        f"auto-iter dag remove {WS}": "",
        f"auto-iter fetch 1234567 {WS}": "",
        f"auto-iter millepede -i {_ITERATION}": "its constants, or a what-if",
        f"auto-iter millepede -i {_ITERATION} --accept": "the alignment goes on from there",
        f"auto-iter millepede run -i {_ITERATION}": "",
        "auto-iter millepede convert kfalignment_*.root -o mp2input.bin": "",
        "auto-iter millepede convert a.root -o a.bin --max-residual 0.05": "with a cut",
        "auto-iter millepede solve mp2str.txt": "as `pede mp2str.txt`",
        "auto-iter millepede solve mp2str.txt --modes 5": "and its weakest modes",
        "auto-iter millepede constants millepede.res -i old.txt -o new.txt": "",
        "auto-iter millepede dump -n 3 mp2input.bin": "the first three tracks",
        "auto-iter millepede check mp2input.bin": "",
        "auto-iter constants show iter03/3millepede/inputforalign.txt": "",
        f"auto-iter constants log {WS}": "",
        f"auto-iter constants log --json {WS}": "the manifests, for programs",
        "auto-iter constants diff iter02 iter03": "what an iteration changed",
        f"auto-iter constants diff {WS} Y2023_R011710_F0-50": "two alignments",
        "auto-iter constants diff old.txt new.txt": "two files",
        "auto-iter constants plot inputforalign.txt -o constants.pdf": "",
        f"auto-iter survey {_ITERATION} survey.yaml": "what it would buy",
        f"auto-iter branch --at 3 --strategy ift-local {WS}": "",
        f"auto-iter reproduce {_ITERATION}": "",
        f"auto-iter reproduce {WS} || echo other constants": "its last iteration",
        f"auto-iter export {WS}": "its result",
        f"auto-iter export --iteration 3 --since 11700 -o tag-07 {WS}": "",
        "auto-iter config init": "writes auto_iter.yaml",
        "auto-iter config show --set alignment.polling_interval_seconds=60": "",
        "auto-iter config validate --config auto_iter.yaml": "",
        "auto-iter config import config.json": "what it means here",
        "auto-iter config import config.json auto_iter.yaml": "written",
        "auto-iter doctor": "with the configuration here",
        "auto-iter doctor --config auto_iter.yaml": "",
        "auto-iter completion bash > ~/.bash_completion": "",
        "auto-iter completion zsh > ~/.zfunc/_auto-iter": "a directory of $fpath",
    }
)
"""Line → what it is for."""


def examples_of(command: str, columns: int) -> str:
    """Return the lines that call a command, as `--help` shows them; empty where there are none."""
    lines = {line: words for line, words in EXAMPLES.items() if f"{command} " in f"{line} "}
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
