"""The stand-in's installation directory: what `calypso_install` points at.

`setup.sh` puts `bin/` first on PATH and names the DBRelease; `ATLASLocalRootBase/` stands in for
the one on CVMFS. The programs run in the interpreter that wrote the installation.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from auto_iter.files import write_atomically
from auto_iter.simulation.conditions import write_release

_SETUP = """\
# Stand-in for a Calypso installation, written by `auto-iter simulate`. Source it from bash.
FASER_SIMULATION=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export FASER_SIMULATION
export FASER_DBRELEASE="$FASER_SIMULATION/DBRelease/current"
# one job, one thread: what it writes must not depend on the machine it runs on
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
export PATH="$FASER_SIMULATION/bin:$PATH"
"""
_LOCAL_SETUP = """\
# Stand-in for ATLASLocalRootBase's setup: all that a job needs of it is asetup.
asetup() {
    echo "asetup (stand-in): $*"
}
"""
_ASETUP_INPUT = "# Stand-in: the real one names the releases that Calypso needs.\n"
_ASETUP = '#!/bin/sh\necho "asetup (stand-in): $*"\n'
_PROGRAM = """\
#!/usr/bin/env python
# Stand-in of auto-iter's simulation.
import sys

from auto_iter.simulation import calypso

sys.exit(calypso.{call})
"""
_CALLS = {
    "faser_reco_alignment.py": "faser_reco_alignment(sys.argv[1:])",
    # as the collaboration's, since March 2026: the name says 04, the files 05
    "WriteAlignmentConfig_Faser04.py": 'write_alignment_config("05", sys.argv[1:])',
    "ReadAlignmentConfig.py": "read_alignment_config(sys.argv[1:])",
    "AtlCoolConsole.py": "atl_cool_console(sys.argv[1:])",
    "AtlCoolCopy": "atl_cool_copy(sys.argv[1:])",
}


def write_install(install: Path) -> None:
    """Write the stand-in Calypso to the directory `install`, made when missing."""
    programs = install / "bin"
    release = install / "DBRelease" / "current" / "sqlite200"
    user = install / "ATLASLocalRootBase" / "user"
    for directory in (programs, release, user):
        directory.mkdir(parents=True, exist_ok=True)
    write_atomically(install / "setup.sh", _SETUP)
    write_atomically(user / "atlasLocalSetup.sh", _LOCAL_SETUP)
    write_atomically(install / "asetup.faser", _ASETUP_INPUT)
    write_release(release / "ALLP200.db")
    interpreter = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n'
    stand_ins = {name: _PROGRAM.format(call=call) for name, call in _CALLS.items()}
    for name, text in ({"python": interpreter, "asetup": _ASETUP} | stand_ins).items():
        write_atomically(programs / name, text, mode=0o755)
