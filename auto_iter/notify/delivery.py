"""One event on its way out: what the command reads, and what the mail says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

from auto_iter.alignment.attempt import Record
from auto_iter.alignment.event import Event
from auto_iter.config.notify import Notify
from auto_iter.files import expanded
from auto_iter.processes import ends as processes
from auto_iter.rawfiles import spoken

VERSION = 1
SENDMAIL_PLACES = "/usr/sbin:/usr/lib"
LONGEST_ANSWER = 300
"""So many characters of what a command complained of are repeated."""


class Delivery(Record):
    """What the process that delivers is handed."""

    event: Event
    settings: Notify
    workspace: str
    title: str
    """The workspace's name."""

    @property
    def document(self) -> dict[str, Any]:
        """What the command reads; keys may be added, never changed or removed."""
        told = self.event.model_dump(mode="json")
        told["files"] = [spoken(number) for number in self.event.files]
        where = {"workspace": self.workspace, "host": socket.gethostname()}
        return {"version": VERSION, **where, **told}

    def message(self) -> EmailMessage:
        """Return the mail."""
        event = self.event
        message = EmailMessage()
        message["Subject"] = f"[auto-iter] {self.title}: {event.kind}"
        message["To"] = self.settings.mail or ""
        message["From"] = self.settings.mail or ""
        message["Message-ID"] = f"<auto-iter-{event.id}@{socket.gethostname()}>"
        message["Auto-Submitted"] = "auto-generated"
        lines = [event.words]
        lines += [f"what to do: {event.remedy}"] if event.remedy else []
        lines += ["", f"iteration {event.iteration}, state {event.state}", self.workspace]
        lines += [f"auto-iter status {self.workspace}"]
        message.set_content("\n".join(lines) + "\n")
        return message


def deliver(delivery: Delivery) -> Iterator[str]:
    """Tell everybody who is to be told; yield what went wrong, a line for each who was not."""
    if delivery.settings.command is not None:
        yield from _run_command(delivery)
    if delivery.settings.mail is not None:
        try:
            _mail(delivery)
        except (OSError, smtplib.SMTPException, subprocess.SubprocessError) as error:
            yield f"notify.mail: {error}"


def _run_command(delivery: Delivery) -> Iterator[str]:
    command, limit_s = delivery.settings.command or (), delivery.settings.time_limit_s
    try:
        hook = subprocess.Popen(
            [str(expanded(command[0])), *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        yield f"notify.command: {command[0]}: {error.strerror}"
        return
    try:
        _, said = hook.communicate(json.dumps(delivery.document).encode() + b"\n", limit_s)
    except subprocess.TimeoutExpired:
        processes.send(processes.descendants(os.getpid()), signal.SIGKILL)
        yield f"notify.command: {command[0]}: ended after {limit_s:g} s (notify.time_limit_s)"
        return
    if hook.returncode:
        why = said.decode(errors="replace").strip()[-LONGEST_ANSWER:] or "it says nothing"
        yield f"notify.command: {command[0]}: exit code {hook.returncode}: {why}"


def _mail(delivery: Delivery) -> None:
    settings, message = delivery.settings, delivery.message()
    if settings.smtp is not None:
        host, _, port = settings.smtp.partition(":")
        with smtplib.SMTP(host, int(port or 25), timeout=settings.time_limit_s) as server:
            server.send_message(message)
        return
    search = f"{os.environ.get('PATH', '')}:{SENDMAIL_PLACES}"
    program = str(settings.sendmail or "") or shutil.which("sendmail", path=search)
    if program is None:
        raise FileNotFoundError("no sendmail on this machine; set notify.smtp to a mail host")
    subprocess.run(
        [program, "-t", "-i"],
        input=message.as_bytes(),
        timeout=settings.time_limit_s,
        check=True,
        capture_output=True,
    )
