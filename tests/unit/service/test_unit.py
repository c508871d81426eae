"""The unit of an alignment: systemd takes every line of it, and it says what was meant."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from auto_iter.errors import AutoIterError, UsageError
from auto_iter.service.manager import UserManager, in_words
from auto_iter.service.unit import Unit, kept_environment, quoted, unit_name

ENVIRONMENT = {"PATH": "/usr/bin:/opt/a b", "_CONDOR_X": 'a"b$c\\d%h'}


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    root = tmp_path / "50% of $it" / "Y2023_R011705_F400-450"
    return Unit(root, Path(sys.executable), "lxplus904.cern.ch", ENVIRONMENT, "8G")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_has_no_complaint_about_it(unit: Unit, tmp_path: Path) -> None:
    path = tmp_path / unit.name
    path.write_text(unit.text)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    verified = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(path)],
        env={"XDG_RUNTIME_DIR": str(runtime), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_it_resumes_the_workspace_with_the_python_and_on_the_host_of_its_installation(
    unit: Unit,
) -> None:
    lines = unit.text.splitlines()
    workspace = str(unit.root).replace("%", "%%").replace("$", "$$")
    assert f'ExecStart="{sys.executable}" -m auto_iter resume --stay-paused "{workspace}"' in lines
    assert "ConditionHost=lxplus904.cern.ch" in lines
    assert 'Environment="PATH=/usr/bin:/opt/a b"' in lines
    assert 'Environment="_CONDOR_X=a\\"b$c\\\\d%%h"' in lines
    assert {"Type=notify", "Restart=on-failure", "MemoryMax=8G"} <= set(lines)


def test_what_restarting_cannot_help_is_not_restarted(unit: Unit) -> None:
    settings = dict(line.split("=", 1) for line in unit.text.splitlines() if "=" in line)
    assert set(settings["RestartPreventExitStatus"].split()) == set("123456")
    assert settings["SuccessExitStatus"] == "143"


def test_two_alignments_of_the_same_name_have_two_units(unit: Unit) -> None:
    other = replace(unit, root=Path("/elsewhere") / unit.root.name)
    assert unit.name != other.name == unit_name(other.root)
    assert other.name.startswith("auto-iter-Y2023_R011705_F400-450-")


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be told"):
        quoted("a\nExecStart=/bin/rm")


@pytest.mark.parametrize(
    ("given", "asked", "kept"),
    [
        ({}, None, None),
        ({"KRB5CCNAME": "FILE:/tmp/krb5cc_5001_Ab3"}, None, "FILE:/run/user/5001/auto-iter.ccache"),
        ({"KRB5CCNAME": "KEYRING:session:x"}, None, "FILE:/run/user/5001/auto-iter.ccache"),
        ({"KRB5CCNAME": "FILE:/home/user/ccache"}, None, "FILE:/home/user/ccache"),
        ({"KRB5CCNAME": "FILE:/tmp/krb5cc_5001_Ab3"}, "/home/cc", "FILE:/home/cc"),
        ({}, "KCM:5001", "KCM:5001"),
    ],
)
def test_a_ticket_cache_that_ends_with_the_login_is_not_the_services(
    given: dict[str, str], asked: str | None, kept: str | None
) -> None:
    assert kept_environment(given, 5001, asked).get("KRB5CCNAME") == kept


def test_what_is_no_business_of_a_daemon_stays_behind() -> None:
    env = {"PATH": "/usr/bin", "EOS_PASSWORD": "x", "AUTO_ITER__RECO__PROGRAM": "p", "TZ": "a\nb"}
    kept = kept_environment(env, 5001, None)
    assert kept == {"PATH": "/usr/bin", "AUTO_ITER__RECO__PROGRAM": "p"}


RUNS = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running"}
ENDED = {"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code"}


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "no service is installed"),
        (
            RUNS | {"StatusText": "pede, iteration 2 of 9", "NRestarts": "0"},
            "pede, iteration 2 of 9",
        ),
        (RUNS | {"StatusText": "pede", "NRestarts": "2"}, "pede (restarted 2 times)"),
        (
            {"LoadState": "loaded", "ActiveState": "activating", "SubState": "start-pre"},
            "waits until workspace and program can be read: is there a ticket?",
        ),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "Result": "watchdog"},
            "ended (watchdog) and is started again in a minute",
        ),
        (ENDED | {"ExecMainStatus": "1"}, "ended (exit code 1); journalctl --user -u u.service"),
        (
            {"ActiveState": "inactive", "Result": "success"},
            "does not run; systemctl --user start u.service",
        ),
    ],
)
def test_how_it_stands_is_said_in_a_line(properties: dict[str, str], said: str) -> None:
    assert in_words(properties, "u.service") == said


def test_where_systemd_does_not_serve_the_user_that_is_said_and_nothing_written(
    unit: Unit, tmp_path: Path
) -> None:
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "c")}
    manager = UserManager(env)
    for ask in (manager.properties, manager.uninstall):
        with pytest.raises(
            AutoIterError, match=r"does not serve this user here: .*nohup"
        ) as caught:
            ask(unit.name)
        assert "\n" not in str(caught.value)
    with pytest.raises(AutoIterError, match="does not serve"):
        manager.install(unit.name, unit.text)
    assert not (tmp_path / "c").exists()
