"""`watch` ends at `q`, whatever else was typed."""

from __future__ import annotations

import os
import sys

import pytest

from auto_iter.daemon.screen import terminal


@pytest.mark.parametrize(("typed", "ends"), [(b"q", True), (b"xyq", True), (b"xy", False)])
def test_a_key_that_ends_it_is_seen_among_others(
    typed: bytes, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard, stdin = os.openpty()
    with os.fdopen(stdin) as typing:
        monkeypatch.setattr(sys, "stdin", typing)
        with terminal._keys() as pressed:  # noqa: SLF001 - the rest of it draws
            os.write(keyboard, typed)
            assert pressed(30) is ends
    os.close(keyboard)
