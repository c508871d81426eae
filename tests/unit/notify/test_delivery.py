"""An event reaches the command and the mail; what goes wrong is a line, and takes no longer."""

from __future__ import annotations

import json
import smtplib
import time
from pathlib import Path

import pytest

from auto_iter.alignment.event import Event
from auto_iter.config.notify import Notify
from auto_iter.notify.delivery import Delivery, deliver

EVENT = Event(
    id="w-7", kind="held", at=1.0, words="µ: 2 jobs are held", iteration=3, state="wait_reco",
    files=(400, 401), remedy="look at them",
)  # fmt: skip


def delivery(**settings: object) -> Delivery:
    notify = Notify.model_validate(settings)
    return Delivery(event=EVENT, settings=notify, workspace="/w/Y2023", title="Y2023")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_command_reads_the_event_as_json(tmp_path: Path) -> None:
    hook = script(tmp_path / "hook", f'cat > {tmp_path}/"$1"')
    assert list(deliver(delivery(command=f"{hook} 'an event'"))) == []
    told = json.loads((tmp_path / "an event").read_text())
    assert (told["version"], told["id"], told["kind"]) == (1, "w-7", "held")
    assert (told["files"], told["workspace"]) == (["00400", "00401"], "/w/Y2023")


def test_a_command_that_fails_or_is_not_there_is_a_line(tmp_path: Path) -> None:
    hook = script(tmp_path / "hook", "echo no such room >&2; exit 3")
    (wrong,) = deliver(delivery(command=[str(hook)]))
    assert wrong == f"notify.command: {hook}: exit code 3: no such room"
    (wrong,) = deliver(delivery(command="/no/such/hook"))
    assert wrong == "notify.command: /no/such/hook: No such file or directory"
    (wrong,) = deliver(delivery(command="~nobody-here/hook"))
    assert wrong == "notify.command: ~nobody-here/hook: No such file or directory"


def test_a_command_that_sleeps_is_ended_and_the_mail_goes_out_all_the_same(tmp_path: Path) -> None:
    hook = script(tmp_path / "hook", "sleep 3600 & sleep 3600")
    sendmail = script(tmp_path / "sendmail", f"cat > {tmp_path}/mail")
    began = time.monotonic()
    settings = {"mail": "a@b.ch", "sendmail": str(sendmail), "time_limit_s": 0.2}
    (wrong,) = deliver(delivery(command=str(hook), **settings))
    assert "ended after 0.2 s" in wrong
    assert time.monotonic() - began < 60
    mail = (tmp_path / "mail").read_text()
    assert "Subject: [auto-iter] Y2023: held" in mail
    assert "To: a@b.ch" in mail
    assert "<auto-iter-w-7@" in mail


def test_a_mail_host_that_does_not_answer_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(smtplib, "SMTP", refuse)
    (wrong,) = deliver(delivery(mail="a@b.ch", smtp="mail.host:25"))
    assert wrong == "notify.mail: [Errno 111] Connection refused"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"command": "tell 'unended"}, "is no command line"),
        ({"command": ""}, "at least 1"),
        ({"mail": "nobody"}, "mail"),
        ({"smtp": "host port"}, "smtp"),
        ({"events": ["everything"]}, "events"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_read(
    settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Notify.model_validate(settings)
