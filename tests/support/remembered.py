"""The stand-in's reconstruction, which keeps what it made for whoever asks the very same again.

Whole alignments in tests begin with the same raw files and no constants; that costs its numerics
once. What is asked is known by all that goes in: the program itself, its arguments, the raw file
and the conditions. Standard library only, until something has to be reconstructed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PROGRAM = """\
#!/usr/bin/env python
import sys

sys.path.insert(0, {root!r})
from auto_iter.simulation import calypso
from tests.support import remembered

sys.exit(remembered.run(__file__, sys.argv[1:], {made!r}, lambda: {call}))
"""
_SAID = "stdout"


def program(call: str, made: Path) -> str:
    """Return a program that does `call`, and keeps in `made` what comes of it."""
    return _PROGRAM.format(root=str(_ROOT), made=str(made), call=call)


def run(program_file: str, arguments: list[str], made: str, reconstruct: Callable[[], int]) -> int:
    """Reconstruct, or bring what came of it before; return the exit code. Failures are not kept."""
    place = Path(made) / _key(Path(program_file), arguments)
    if not place.is_dir():
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = reconstruct()
        sys.stdout.write(said.getvalue())
        if code == 0:
            _keep(place, Path().glob(f"{Path(arguments[0]).stem}-*"), said.getvalue())
        return code
    for path in place.iterdir():
        if path.name == _SAID:
            sys.stdout.write(path.read_text())
        else:
            shutil.copyfile(path, path.name)
    return 0


def _key(program_file: Path, arguments: list[str]) -> str:
    asked = hashlib.sha256(program_file.read_bytes())
    conditions = Path(os.environ.get("ATLAS_POOLCOND_PATH", "."))
    for words in ("\0".join(arguments[1:]).encode(), *_contents(Path(arguments[0]), conditions)):
        asked.update(hashlib.sha256(words).digest())
    return f"{Path(arguments[0]).stem}-{asked.hexdigest()[:20]}"


def _contents(raw: Path, conditions: Path) -> Iterator[bytes]:
    if raw.is_file():
        yield raw.read_bytes()
    for path in sorted(conditions.glob("*/*")):
        yield path.name.encode()
        yield path.read_bytes()


def _keep(place: Path, outputs: Iterable[Path], said: str) -> None:
    """Keep it whole or not at all: several jobs may do so at the same time."""
    partial = Path(tempfile.mkdtemp(dir=place.parent))
    for path in outputs:
        shutil.copyfile(path, partial / path.name)
    (partial / _SAID).write_text(said)
    try:
        partial.rename(place)
    except OSError:  # another job was faster
        shutil.rmtree(partial)
