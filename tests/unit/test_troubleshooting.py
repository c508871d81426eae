"""The messages that docs/troubleshooting.md explains are those that the program has."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text()


def sources() -> str:
    """Return all texts of the program, those that go over several lines in one piece."""
    files = [path for room in ("auto_iter", "states") for path in (ROOT / room).rglob("*.py")]
    text = "\n".join(path.read_text() for path in files)
    return re.sub(r'"\n\s+(?:f|rf)?"', "", text)


def test_every_message_is_one_of_the_program() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    quoted = [words for row in rows for words in re.findall(r"`([^`]+)`", row.split("|")[1])]
    known = sources()
    assert len(quoted) > 30
    assert [words for words in quoted if words not in known] == []
