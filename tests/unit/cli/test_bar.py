"""A bar is drawn on a terminal only, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import pty
import select

import pytest

from auto_iter.cli.bar import bar


def test_no_bar_goes_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with bar("raw files", 2) as step:
        step()
    assert stream.getvalue() == ""


def test_a_terminal_shows_how_many_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, inside = pty.openpty()
    with os.fdopen(inside, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with bar("raw files", 2) as step:
            step()
            step()
    shown = ""
    while select.select([screen], [], [], 1)[0]:
        try:
            shown += os.read(screen, 65536).decode()
        except OSError:  # the other end is closed
            break
    os.close(screen)
    assert "raw files" in shown
    assert "2/2" in shown
