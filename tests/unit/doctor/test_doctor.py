"""The doctor finds what is missing, and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.doctor.checks import Health, examine, is_healthy, quota_finding


@pytest.fixture
def healthy(tmp_path: Path) -> dict[str, dict[str, object]]:
    """Make a configuration in whose world nothing is missing."""
    raw, install, work = (tmp_path / name for name in ("raw", "calypso", "work"))
    for directory in (raw, install, work):
        directory.mkdir()
    (install / "setup.sh").write_text("")
    (install / "asetup.faser").write_text("")
    return {
        "paths": {
            "raw_dir": raw,
            "calypso_install": install,
            "env_script": tmp_path / "env.sh",
            "work_dir": work,
        },
        "batch": {"system": "local"},
    }


def findings(tree: dict[str, dict[str, object]]) -> dict[str, tuple[Health, str]]:
    found = examine(Config.model_validate(tree), {"PATH": ""})
    return {each.subject: (each.health, each.remedy) for each in found}


def test_where_nothing_is_missing_the_doctor_is_content(
    healthy: dict[str, dict[str, object]],
) -> None:
    assert is_healthy(examine(Config.model_validate(healthy), {"PATH": ""}))


@pytest.mark.parametrize(
    ("setting", "value", "subject", "remedy"),
    [
        ("paths.raw_dir", "/no/such/place", "raw data", "paths.raw_dir"),
        ("paths.calypso_install", "/no/such/place", "calypso", "--calypso_path"),
        ("paths.calypso_install", None, "environment script", "--calypso_path"),
        ("paths.pede_install", "/no/such/place", "pede", "millepede.solver=builtin"),
        ("alignment.initial_constants", "/no/such/place", "initial constants", "empty file"),
        ("paths.work_dir", "/etc/hostname", "work directory", "paths.work_dir"),
        ("millepede.solver", "pede", "pede", "paths.pede_install"),
    ],
)
def test_what_is_missing_is_bad_and_has_a_remedy(
    setting: str,
    value: object,
    subject: str,
    remedy: str,
    healthy: dict[str, dict[str, object]],
) -> None:
    section, _, key = setting.partition(".")
    healthy.setdefault(section, {})[key] = value
    health, advice = findings(healthy)[subject]
    assert health is Health.BAD
    assert remedy in advice


def test_the_doctor_looks_where_run_looks(
    healthy: dict[str, dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pede").touch(mode=0o755)
    (tmp_path / "start.txt").touch()
    at_home = {name: f"~/{Path(str(path)).name}" for name, path in healthy["paths"].items()}
    healthy["paths"] = {**at_home, "pede_install": "~/pede"}
    healthy["alignment"] = {"initial_constants": "~/start.txt"}
    config = Config.model_validate(healthy)
    found = {each.subject: each.text for each in examine(config, {"PATH": ""})}
    assert is_healthy(examine(config, {"PATH": ""}))
    paths = resolve_config(config, {}).paths
    assert found["pede"] == str(paths.pede_install) == f"{tmp_path}/pede"
    assert found["raw data"] == str(paths.raw_dir) == f"{tmp_path}/raw"
    assert found["work directory"] == str(paths.work_dir) == f"{tmp_path}/work"


def test_a_script_that_wins_over_another_calypso_is_worth_a_warning(
    healthy: dict[str, dict[str, object]],
) -> None:
    script = Path(str(healthy["paths"]["env_script"]))
    script.write_text("source /another/calypso/setup.sh\n")
    assert findings(healthy)["environment script"][0] is Health.WARNING
    script.write_text(f"source {healthy['paths']['calypso_install']}/setup.sh\n")
    assert findings(healthy)["environment script"][0] is Health.OK


def test_without_a_configuration_of_htcondor_that_is_what_is_wrong(
    healthy: dict[str, dict[str, object]],
) -> None:
    healthy["batch"]["system"] = "htcondor"
    healthy["htcondor"] = {"call_timeout_s": 5}
    health, advice = findings(healthy)["htcondor configuration"]
    assert health is Health.BAD
    assert "CONDOR_CONFIG" in advice


def test_a_work_directory_on_eos_is_no_place_for_jobs_that_are_not_spooled(
    healthy: dict[str, dict[str, object]],
) -> None:
    healthy["batch"]["system"] = "htcondor"
    healthy["htcondor"] = {"call_timeout_s": 5, "spool": False}
    healthy["paths"]["work_dir"] = "/eos/user/f/faser"
    assert "htcondor.spool=true" in findings(healthy)["work directory"][1]


def test_a_work_directory_that_a_submit_description_would_expand_is_bad(
    healthy: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    place = tmp_path / "$(HOME)"
    place.mkdir()
    healthy["paths"]["work_dir"] = place
    assert findings(healthy)["work directory"][0] is Health.OK
    healthy["batch"]["system"] = "htcondor"
    healthy["htcondor"] = {"call_timeout_s": 5}
    health, advice = findings(healthy)["work directory"]
    assert health is Health.BAD
    assert "paths.work_dir" in advice


@pytest.mark.parametrize(
    ("line", "health"),
    [
        ("work.faser   10000000   5136912   51%   62%", Health.OK),
        ("work.faser   10000000   9936912   99%<<   62%  <<WARNING", Health.WARNING),
        ("work.faser   no limit   5136912    0%   91%", Health.WARNING),
        ("no percentage at all", Health.OK),
    ],
)
def test_a_quota_nearly_used_up_is_worth_a_warning(line: str, health: Health) -> None:
    assert quota_finding(line).health is health


def test_a_work_directory_that_is_open_to_others_is_remarked_upon(
    healthy: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    place = tmp_path / "open"
    place.mkdir()
    healthy["paths"]["work_dir"] = place
    place.chmod(0o777)
    health, remedy = findings(healthy)["work directory"]
    assert health is Health.WARNING
    assert "others could change" in remedy
    place.chmod(0o1777)
    assert findings(healthy)["work directory"][0] is Health.OK
