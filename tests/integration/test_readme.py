"""The README's commands work as they stand, one block after the other, on what is brought along.

What needs CERN, or takes long, is replaced line by line by what stands in for it here; nothing else
of a block is touched, and no block is left out.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from auto_iter.cli.main import build_parser
from tests.integration.commands import PATIENCE_S, SimulatedDetector

README = Path(__file__).parents[2] / "README.md"

HERE_INSTEAD = {
    # installs auto-iter, simulates and aligns (`make fresh-test` runs it as it is)
    r"^make run$": "auto-iter run -y 2023 -r 011705 -f 400-402 -i 1 || [ $? = 3 ]",
    r"^\. \.venv/bin/activate$": "",
    # CERN's Calypso
    r"/path/to/calypso/install": "$CALYPSO",
    # fifty files and ten iterations; where the chain goes by hand, one file
    r"400-404|450-500": "400-402",
    r"400-450": "400",
    r"-i 10\b": "-i 1",
    # one iteration does not converge, and says so
    r"^(auto-iter run .*)$": r"\1 || [ $? = 3 ]",
    # what follows a log for ever
    r"^tail -f (.*)$": r"wait; tail \1",
    # a person waits between two links
    r"^(auto-iter reco .*-i 1\b)": r"\1 --wait",
}


def blocks() -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def bare(line: str) -> str:
    """Return a line without what it says of itself."""
    return line.partition(" #")[0].rstrip()


def line_here(line: str) -> str:
    words = bare(line)
    for there, here in HERE_INSTEAD.items():
        words = re.sub(there, here, words)
    return words


@pytest.mark.parametrize("block", blocks())
def test_every_line_of_ours_is_one_that_the_command_line_takes(block: str) -> None:
    lines = [line for line in map(bare, block.splitlines()) if "auto-iter " in line]
    assert lines or "auto-iter" not in block
    for line in lines:
        words = shlex.split(re.split(r"[&|>]", line.partition("auto-iter ")[2])[0])
        build_parser(words[0]).parse_args(words)


@pytest.fixture
def environment(simulated: SimulatedDetector) -> dict[str, str]:
    paths = yaml.safe_load(simulated.config.read_text())["paths"]
    settings = {"PATHS__RAW_DIR": paths["raw_dir"], "ALIGNMENT__POLLING_INTERVAL_SECONDS": "1"}
    settings |= {"PATHS__CALYPSO_INSTALL": paths["calypso_install"], "ALIGNMENT__REPORT": "end"}
    own = {f"AUTO_ITER__{key}": str(value) for key, value in settings.items()}
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, **own, "PATH": search, "CALYPSO": str(paths["calypso_install"])}


@pytest.mark.long
def test_every_block_of_commands_runs(environment: dict[str, str], tmp_path: Path) -> None:
    assert len(blocks()) >= 5
    for block in blocks():
        script = "\n".join(["set -e", *map(line_here, block.splitlines())])
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, timeout=2 * PATIENCE_S,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    constants = sorted(tmp_path.glob("Y*/iter01/3millepede/inputforalign.txt"))
    assert [path.parents[2].name for path in constants] == [
        "Y2023_R011705_F400",
        "Y2023_R011705_F400-402",
    ]
