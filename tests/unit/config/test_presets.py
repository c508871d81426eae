"""Presets: what fits together at a time, and what is set beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from auto_iter.config.presets import tag_chain
from auto_iter.config.schema import Config, Reco
from auto_iter.config.shipped import shipped_names
from auto_iter.errors import UsageError


def test_the_default_is_what_the_collaboration_runs_today() -> None:
    assert str(tag_chain(Reco())) == (
        "WriteAlignmentConfig_Faser04.py → FASER-05_ALLP200.db (CONDBR3), FASER-05_Align.pool.root "
        "→ TRACKER-ALIGN-05 ← the reconstruction's own global tag"
    )
    assert tag_chain(Reco()).direction_flag == "--noForward"


def test_the_older_scripts_had_04_throughout() -> None:
    chain = tag_chain(Reco(preset="2024"))
    assert {chain.sqlite_schema[6:8], chain.pool_file[6:8], chain.output_tag[-2:]} == {"04"}
    assert chain.direction_flag == "--noBackward"


def test_a_preset_may_be_written_as_a_number() -> None:
    config = Config.model_validate(yaml.safe_load("reco: {preset: 2024}"))
    assert tag_chain(config.reco) == tag_chain(Reco(preset="2024"))


def test_a_setting_wins_over_the_preset_and_any_number_is_allowed() -> None:
    chain = tag_chain(Reco(output_tag="TRACKER-ALIGN-17", global_tag="OFLCOND-FASER-17"))
    assert str(chain).endswith("→ TRACKER-ALIGN-17 ← OFLCOND-FASER-17")


def test_every_preset_that_comes_with_us_is_whole() -> None:
    assert shipped_names("presets") == ["2024", "2025"]
    for name in shipped_names("presets"):
        tag_chain(Reco(preset=name))


def test_a_preset_may_be_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(tag_chain(Reco()).model_dump() | {"output_tag": "MINE-01"}))
    assert tag_chain(Reco(preset=str(mine))).output_tag == "MINE-01"


def test_a_home_in_a_preset_is_that_of_who_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for writer, found in (("~/w.py", f"{tmp_path}/w.py"), ("./w.py", "./w.py")):
        mine = tmp_path / "mine.yaml"
        mine.write_text(yaml.safe_dump(tag_chain(Reco()).model_dump() | {"writer": writer}))
        assert tag_chain(Reco(preset=str(mine))).writer == found


@pytest.mark.parametrize(
    ("preset", "content", "said"),
    [
        ("2052", None, "no preset '2052'; did you mean '2025'"),
        ("./none.yaml", None, "none.yaml: no such file"),
        ("~nobody-here/p.yaml", None, "~nobody-here/p.yaml: no such file"),
        ("./mine.yaml", "writer: x", "mine.yaml: sqlite_schema: is missing"),
        ("./mine.yaml", "writr: x", "mine.yaml: "),
        ("./mine.yaml", "a: [1", "mine.yaml: "),
        ("./mine.yaml", "- 1", "mine.yaml: file: "),
    ],
)
def test_a_preset_that_is_none_is_one_line(
    preset: str,
    content: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(preset).write_text(content)
    with pytest.raises(UsageError) as caught:
        tag_chain(Reco(preset=preset))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
