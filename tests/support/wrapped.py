"""What tests read on a screen of 80 columns."""

from __future__ import annotations


def in_one_line(told: str) -> str:
    """Return a text without its line breaks: they are where a terminal wants them."""
    return " ".join(told.split())
