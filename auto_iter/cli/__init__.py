"""The command line: parse, call, print. Nothing is decided here.

Each command is a function (`command`) in a module; what it needs is imported when it is called, so
that `status` starts in a blink.
"""

from __future__ import annotations

from auto_iter.cli.main import main

__all__ = ["main"]
