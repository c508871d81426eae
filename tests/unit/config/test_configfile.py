"""The configuration: where values come from, and what is said about wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from auto_iter.config.file import default_text, differences, dump_config, load_config
from auto_iter.config.schema import Config
from auto_iter.errors import UsageError


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_shipped_file_has_every_setting_with_its_default() -> None:
    assert yaml.safe_load(default_text()) == Config().model_dump(mode="json")


def test_without_any_file_the_defaults_hold() -> None:
    assert load_config() == Config()


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "alignment: {polling_interval_seconds: 1, strategy: file, default_iterations: 3}"
    )
    env = {"AUTO_ITER__ALIGNMENT__STRATEGY": "env", "AUTO_ITER__ALIGNMENT__DEFAULT_ITERATIONS": "4"}
    config = load_config(file, ["alignment.default_iterations=5"], env)
    alignment = config.alignment
    assert (alignment.polling_interval_seconds, alignment.strategy) == (1, "env")
    assert alignment.default_iterations == 5


def test_the_older_json_is_found_and_read(tmp_path: Path) -> None:
    older = {
        "paths": {
            "calypso_install": "/path/to/calypso/install",
            "pede_install": "/path/to/pede",
            "env_script": "reco_condor_env.sh",
        },
        "htcondor": {
            "job_flavour": "longlunch",
            "request_cpus": 2,
            "max_retries": 3,
            "requirements": '(Machine =!= LastRemoteHost) && (OpSysAndVer =?= "AlmaLinux9")',
        },
        "alignment": {"default_iterations": 7, "polling_interval_seconds": 300},
    }
    (tmp_path / "config.json").write_text(json.dumps(older, indent=2))
    config = load_config()
    assert config.htcondor.request_cpus == 2
    assert config.alignment.default_iterations == 7
    assert config.paths.pede_install == Path("/path/to/pede")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "htcondor:\n  job_flavor: x",
            r"c\.yaml:2: htcondor\.job_flavor: .*did you mean job_flavour",
        ),
        ("alignmnt: {}", r"c\.yaml:1: alignmnt: unknown key; did you mean alignment"),
        ("alignment:\n  polling_interval_seconds: often", r"c\.yaml:2: .*seconds: .*got 'often'"),
        ("alignment:\n\n  default_iterations: 0", r"c\.yaml:3: .*greater than 0, got 0"),
        ("reco: {min_success_fraction: 1.5}", r"min_success_fraction: .*1.5"),
        ("millepede: {cuts: {max_residual_mm: []}}", "max_residual_mm: needs at least one value"),
        ("htcondor: {max_idle: 50}", r"htcondor: max_idle needs spool=false"),
        ('htcondor: {job_flavour: "a\\nqueue 5"}', r"htcondor\.job_flavour: must be .espresso."),
        ('htcondor: {requirements: "a\\nqueue 5"}', r"requirements: holds a line break"),
        ('htcondor: {extra: {"a\\nb": c}}', r"htcondor\.extra: holds a line break"),
        ('paths: {calypso_install: "/a\\n/b"}', r"paths\.calypso_install: holds a line break"),
        ('reco: {arguments: ["--x\\u2028"]}', r"reco\.arguments: holds a line break"),
        ('reco: {geometry_tag: "04"}', r'geometry_tag: reco\.preset holds .*"2024" is 04'),
        ("paths: {raw_url: /eos}", r"paths\.raw_url: "),
        ("htcondor: {deliver_url: 'root://x'}", r"deliver_url needs spool=false"),
        ("a: [1", r"c\.yaml:\d+: "),
        ("just text", "must be sections"),
        ("alignment: 3", "alignment"),
    ],
)
def test_a_wrong_file_is_one_line_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        load_config(file)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("alignment.strategy", "must be key=value"),
        ("alignment.stratgy=x", "did you mean strategy"),
        ("reco.max_attempts=many", r"reco\.max_attempts: .*got 'many'"),
    ],
)
def test_a_wrong_override_is_named(override: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_config(None, [override])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: No such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_what_is_dumped_is_loaded_again(tmp_path: Path) -> None:
    config = load_config(None, ["millepede.cuts.max_residual_mm=[1, 0.2]", "htcondor.extra={a: b}"])
    file = tmp_path / "used.yaml"
    file.write_text(dump_config(config))
    assert load_config(file) == config


def test_differences_name_the_setting() -> None:
    other = load_config(None, ["reco.max_attempts=9"])
    assert differences(Config(), other) == [("reco.max_attempts", 3, 9)]
