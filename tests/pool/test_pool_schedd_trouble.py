"""A schedd that is dead or hangs: calls end in time and say so, and all goes on when it is back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.errors import InputError, TransientError
from tests.pool.conftest import Opener, ScheddDaemon, managed, settled
from tests.support.batch_contract import make_batch


def test_a_hung_schedd_costs_a_call_its_time_limit_and_no_more(
    open_batch: Opener, schedd_daemon: ScheddDaemon, tmp_path: Path
) -> None:
    system = open_batch(spool=True, timeout_s=1.0)
    batch = make_batch(tmp_path, system.new_key(1, 1), 10)
    schedd_daemon.stop()
    began = time.monotonic()
    with pytest.raises(
        TransientError, match=r"since [-\d]+ \d\d:\d\d:\d\d: submit: took longer than 1 s"
    ):
        system.submit(batch)
    assert time.monotonic() - began < 10
    with pytest.raises(TransientError, match="query: took longer"):
        system.find(batch.key)
    schedd_daemon.go_on()
    managed(lambda: system.find(batch.key))
    submission = system.submit(batch)
    assert settled(system, submission, lambda tally: tally.is_over).problems == ()


def test_a_stop_ends_the_waiting_for_a_hung_schedd(schedd_daemon: ScheddDaemon) -> None:
    asked_at = time.monotonic() + 0.5
    process = ScheddProcess(timeout_s=60, should_stop=lambda: time.monotonic() > asked_at)
    schedd_daemon.stop()
    try:
        with pytest.raises(TransientError, match="asked to stop"):
            process.count("true")
        assert time.monotonic() - asked_at < 10
    finally:
        process.close()


@pytest.mark.parametrize("spool", [True, False])
def test_a_killed_schedd_comes_back_with_its_queue(
    spool: bool, open_batch: Opener, schedd_daemon: ScheddDaemon, tmp_path: Path
) -> None:
    system = open_batch(spool=spool)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 11, 40))
    settled(system, submission, lambda tally: tally.ended >= 2)
    schedd_daemon.kill()
    with pytest.raises(TransientError, match="has been failing since"):
        system.poll(submission)
    tally = settled(system, submission, lambda tally: tally.ended == 2 and tally.running == 1)
    assert tally.problems == ()
    managed(lambda: system.fetch(submission))
    managed(lambda: system.remove(submission, "end"))
    settled(system, submission, lambda tally: tally.is_over)


def test_a_schedd_that_nobody_knows_is_trouble_and_not_an_empty_queue() -> None:
    process = ScheddProcess(schedd="nobody@nowhere", timeout_s=20)
    try:
        for call in (process.locate, lambda: process.count("true")):
            with pytest.raises(
                TransientError, match=r"schedd nobody@nowhere .* does not know it.*--abandon-schedd"
            ):
                call()
    finally:
        process.close()


def test_who_is_known_again_is_let_in_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Path(os.environ["CONDOR_CONFIG"]).read_text()
    ours = tmp_path / "client.conf"
    ours.write_text(f"{good}\nSEC_CLIENT_AUTHENTICATION_METHODS = CLAIMTOBE\n")
    monkeypatch.setenv("CONDOR_CONFIG", str(ours))
    process = ScheddProcess(timeout_s=20)
    since = set()
    try:
        for _ in range(2):
            with pytest.raises(TransientError, match="is the Kerberos ticket valid") as error:
                process.act("release", ads.NONE, "are we known?")
            since.add(str(error.value).partition("since ")[2][:19])
            process.count("true")  # which answers whoever asks
            time.sleep(1.1)
        assert len(since) == 1
        ours.write_text(good)
        managed(lambda: process.act("release", ads.NONE, "are we known?"))
    finally:
        process.close()


def test_a_child_that_dies_leaves_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    process = ScheddProcess(timeout_s=20)
    try:
        with pytest.raises(TransientError, match=r"its helper process died: <no Python frame>"):
            process.count("true")
    finally:
        process.close()


def test_a_remote_schedd_is_found_by_name_and_collector(calls: ScheddProcess) -> None:
    collector = os.environ["POOL_COLLECTOR"]
    remote = ScheddProcess(schedd=calls.name(), pool=collector, timeout_s=20)
    try:
        assert remote.locate() == calls.locate()
        assert remote.count("true").total == 0
    finally:
        remote.close()


def test_a_description_that_the_schedd_refuses_is_no_trouble_but_an_error(
    open_batch: Opener, tmp_path: Path
) -> None:
    system = open_batch(spool=True, extra={"request_memory": "lots of ("})
    batch = make_batch(tmp_path, system.new_key(1, 1), 10)
    with pytest.raises(InputError, match="refuses to submit"):
        system.submit(batch)
