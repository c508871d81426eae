"""`campaign.yaml`: read as a person means it, or refused in one line."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from auto_iter.campaign.plan import read_campaign
from auto_iter.config.file import load_config
from auto_iter.errors import UsageError

TWO = "intervals:\n  - {run: 011705, files: 400:450}\n  - {run: 011710, files: 7, name: late}\n"


def written(directory: Path, text: str) -> Path:
    path = directory / "campaign.yaml"
    path.write_text(text)
    return path


def test_runs_and_files_are_names_not_numbers(tmp_path: Path) -> None:
    campaign = read_campaign(written(tmp_path, f"year: 2023\n{TWO}"))
    first, second = campaign.intervals
    assert (first.year, first.run, first.files.text) == (2023, 11705, "400-450")
    assert first.workspace.root == tmp_path / "Y2023_R011705_F400-450"
    assert (second.name, second.command) == ("late", ["-y", "2023", "-r", "011710", "-f", "7"])


def test_what_is_common_becomes_options_of_run(tmp_path: Path) -> None:
    text = (
        "year: 2023\nconfig: sim.yaml\nstrategy: 4st\niterations: 7\nstations: 4\n"
        f"work_dir: here\nallow_missing: true\nset: [batch.system=local]\n{TWO}"
    )
    campaign = read_campaign(written(tmp_path, text))
    assert campaign.common == [
        "--work_dir", str(tmp_path / "here"), "--config", str(tmp_path / "sim.yaml"),
        "--strategy", "4st", "-i", "7", "--fourst", "--allow-missing",
        "--set", f'htcondor.shared_polls="{tmp_path / "campaign.polls"}"',
        "--set", "batch.system=local",
    ]  # fmt: skip
    assert campaign.intervals[0].workspace.root.parent == tmp_path / "here"


@pytest.mark.parametrize(
    "run", ["[11710:0-50@0.5, 11705:40:50]", "'11710:0-50@0.5,11705:40-50'"], ids=["list", "text"]
)
def test_an_interval_may_be_ranges_of_several_runs(tmp_path: Path, run: str) -> None:
    text = f"year: 2023\nintervals:\n  - {{run: {run}}}\n  - {{run: 11705, files: 50-60}}\n"
    several, one = read_campaign(written(tmp_path, text)).intervals
    words = "011705:40-50,011710:0-50@0.5"
    assert several.command == ["-y", "2023", "-r", words]
    assert (several.run, several.runs) == (None, "011705,011710")
    assert several.workspace.root.name == "Y2023_R011705_F40-50_R011710_F0-50x0.5"
    assert (one.run, one.runs, one.command[-1]) == (11705, "011705", "50-60")


@pytest.mark.parametrize("own", ["", "set: [htcondor.shared_polls=null]\n"])
def test_alignments_of_a_campaign_share_polls_unless_it_says_otherwise(
    tmp_path: Path, own: str
) -> None:
    place = tmp_path / 'with "quotes": and more'
    place.mkdir()
    campaign = read_campaign(written(place, f"year: 2023\n{own}{TWO}"))
    sets = [b for a, b in itertools.pairwise(campaign.common) if a == "--set"]
    shared = load_config(None, sets).htcondor.shared_polls
    assert shared == (None if own else place / "campaign.polls")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TWO, "campaign.yaml:2: intervals: year"),
        ("year: 2023\nintervals: []\n", "campaign.yaml:2: intervals: needs at least 1"),
        (f"year: 2023\nparalel: 3\n{TWO}", "campaign.yaml:2: paralel: unknown key"),
        ("year: 2023\nintervals:\n  - {run: x, files: 4}\n", "campaign.yaml:3: intervals: run 'x'"),
        (
            "year: 2023\nintervals:\n- {run: 1}\n",
            "campaign.yaml:3: intervals: -r 1: -f/--files says which raw files",
        ),
        (
            "year: 2023\nintervals:\n- {run: [1:4-9, 2:4], files: 4}\n",
            "campaign.yaml:3: intervals: -r 1:4-9,2:4: names raw files already",
        ),
        ("year: 2023\nintervals:\n- {run: [1:4-9, 1:5]}\n", "raw file 000001:00005: is in"),
        (
            "year: 2023\nintervals:\n- {run: [1:4-9, 2:4]}\n- {run: 2, files: 0-5}\n",
            "raw files in common",
        ),
        ("- 1\n", "must be settings"),
        (
            f"year: 2023\n{TWO}  - {{run: 11705, files: 449-500}}\n",
            "raw files in common",
        ),
        (f"year: 2023\n{TWO}  - {{run: 1, files: 4, name: late}}\n", "two intervals are called"),
    ],
)
def test_nonsense_is_refused_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_campaign(written(tmp_path, text))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
