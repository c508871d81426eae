"""What the doctor says of the environment that a job will have."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.config.schema import Config
from auto_iter.doctor.checks import Diagnosis, Health
from auto_iter.doctor.job_environment import examine_job_environment
from auto_iter.simulation import conditions

PROGRAMS = (
    "python",
    "AtlCoolConsole.py",
    "AtlCoolCopy",
    "faser_reco_alignment.py",
    "WriteAlignmentConfig_Faser04.py",
)


class JobPlace:
    """An environment script that puts programs on PATH, and a release."""

    def __init__(self, root: Path) -> None:
        self.bin, self.script = root / "bin", root / "reco_condor_env.sh"
        self.bin.mkdir()
        for name in PROGRAMS:
            (self.bin / name).write_text("")
            (self.bin / name).chmod(0o644 if "Faser" in name else 0o755)
        self.database = root / "release/sqlite200/ALLP200.db"
        self.database.parent.mkdir(parents=True)
        conditions.write_release(self.database)
        self.script.write_text(
            f"export PATH={self.bin}:$PATH FASER_DBRELEASE={root}/release; echo hello\nreturn 3\n"
        )
        self.reco: dict[str, object] = {}

    def findings(self, time_limit_s: float = 20.0) -> dict[str, Diagnosis]:
        config = Config.model_validate({"paths": {"env_script": self.script}, "reco": self.reco})
        found = examine_job_environment(config, {"HOME": "/", "SECRET": "x"}, time_limit_s)
        return {each.subject: each for each in found}


@pytest.fixture
def place(tmp_path: Path) -> JobPlace:
    return JobPlace(tmp_path)


def test_where_all_is_there_the_chain_of_tags_is_one_line(place: JobPlace) -> None:
    found = place.findings()
    assert {each.health for each in found.values()} == {Health.OK}
    assert found["tags"].text == (
        "WriteAlignmentConfig_Faser04.py → FASER-05_ALLP200.db (CONDBR3), FASER-05_Align.pool.root "
        "→ TRACKER-ALIGN-05 ← OFLCOND-FASER-05"
    )
    assert found["reco.program"].text == str(place.bin / "faser_reco_alignment.py")


@pytest.mark.parametrize(
    ("missing", "subject", "remedy"),
    [
        ("AtlCoolCopy", "AtlCoolCopy", "asetup did not set up Athena"),
        ("python", "python", "reco.asetup_input"),
        ("WriteAlignmentConfig_Faser04.py", "reco.writer", "give reco.writer as a path"),
        ("faser_reco_alignment.py", "reco.program", "give reco.program as a path"),
        ("../release/sqlite200/ALLP200.db", "conditions", "is /cvmfs/faser.cern.ch mounted"),
    ],
)
def test_each_missing_thing_is_named_with_its_remedy(
    place: JobPlace, missing: str, subject: str, remedy: str
) -> None:
    (place.bin / missing).unlink()
    if missing == "python":
        place.script.write_text(f"PATH={place.bin}\n")
    found = place.findings()[subject]
    assert found.health is Health.BAD
    assert remedy in found.remedy


def test_a_writer_that_travels_has_to_be_readable(place: JobPlace, tmp_path: Path) -> None:
    writer = tmp_path / "mine.py"
    place.reco["writer"] = str(writer)
    assert place.findings()["reco.writer"].health is Health.BAD
    writer.write_text("")
    assert place.findings()["reco.writer"] == Diagnosis(
        "reco.writer", Health.OK, f"{writer} travels with the jobs"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"global_tag": "OFLCOND-FASER-04"}, "that lead to TRACKER-ALIGN-05: OFLCOND-FASER-05;"),
        ({"output_tag": "TRACKER-ALIGN-99"}, "that lead to TRACKER-ALIGN-99: none;"),
    ],
)
def test_tags_that_do_not_fit_would_make_constants_ignored(
    place: JobPlace, settings: dict[str, object], said: str
) -> None:
    place.reco |= settings
    found = place.findings()["tags"]
    assert found.health is Health.BAD
    assert said in found.remedy


@pytest.mark.parametrize(
    ("script", "time_limit_s", "said"),
    [
        ("echo no asetup here >&2; exit 7\n", 20, "ended the shell: no asetup here"),
        ("exit 0\n", 20, "ended the shell: it said nothing"),
        ("sleep 60 & sleep 60\n", 0.5, "has not ended after 0.5 s"),
    ],
)
def test_a_script_that_does_not_come_back_is_what_is_wrong(
    place: JobPlace, script: str, time_limit_s: float, said: str
) -> None:
    place.script.write_text(script)
    (found,) = place.findings(time_limit_s).values()
    assert found.health is Health.BAD
    assert said in found.text


def test_the_script_gets_a_jobs_environment_and_not_ours(place: JobPlace, tmp_path: Path) -> None:
    place.script.write_text(f"env > {tmp_path}/seen; exit 1\n")
    place.findings()
    seen = (tmp_path / "seen").read_text()
    assert "HOME=/" in seen
    assert "SECRET" not in seen


def test_without_a_script_there_is_nothing_to_source(place: JobPlace) -> None:
    place.script.unlink()
    (found,) = place.findings().values()
    assert found.health is Health.SKIPPED
