"""A reconstruction in shell that does what the simulated Calypso did for the same input.

While it is open, each program is the simulated one, and its output is kept under the raw file's
name and the constants. Once closed, that is all it has: constants that no undisturbed alignment had
find nothing, and the job fails.
"""

from __future__ import annotations

from pathlib import Path

_CLOSED = "closed"

_PROGRAMS = {
    "WriteAlignmentConfig_Faser04.py": """
printf %s "$1" > constants
for name in FASER-05_ALLP200.db FASER-05_Align.pool.root PoolFileCatalog.xml; do
    echo stub > $name
done""",
    "AtlCoolConsole.py": "",
    "AtlCoolCopy": "",
    # it only looks at what the others left
    "python": "",
    "faser_reco_alignment.py": """
name=$(basename "$1" .raw)-kfalignment.root
sum=$(sha256sum < constants)
cp "$CACHE/${sum%% *}-$name" "$name" """,
}

_OPEN = """#!/bin/bash
set -e
if [ -e "$CACHE/closed" ]; then
    :{closed}
    exit
fi
"""

_REAL = 'exec "$FASER_SIMULATION/bin/{name}" "$@"\n'

_REALLY = {
    "WriteAlignmentConfig_Faser04.py": 'printf %s "$1" > constants\n' + _REAL,
    "faser_reco_alignment.py": '"$FASER_SIMULATION/bin/{name}" "$@"\n'
    'name=$(basename "$1" .raw)-kfalignment.root\n'
    "sum=$(sha256sum < constants)\n"
    'cp "$name" "$CACHE/${{sum%% *}}-$name"\n',
}


def write_stubs(directory: Path, cache: Path, install: Path) -> str:
    """Write the programs into `directory`; return the environment script that leads to them."""
    for each in (directory, cache):
        each.mkdir()
    for name, closed in _PROGRAMS.items():
        program = directory / name
        real = _REALLY.get(name, _REAL).format(name=name)
        program.write_text(_OPEN.format(closed=closed) + real)
        program.chmod(0o755)
    return f"source {install}/setup.sh\nexport PATH={directory}:$PATH CACHE={cache}\n"


def close(cache: Path) -> None:
    """Have the programs do from now on only what they did before."""
    (cache / _CLOSED).touch()
