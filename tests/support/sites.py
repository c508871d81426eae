"""Stand-ins for the collaboration's set-ups, around the simulation's Calypso.

What differs between them is what a preset is for: which programs Calypso brings and which each
user keeps beside the scripts, whether those are executable, what the writer calls its files, which
global tag the reconstruction takes, and which direction it can be told to leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options
from tests.support import remembered
from tests.support.simulated import RECONSTRUCTION, simulate_for_tests

_PROGRAM = """\
#!/usr/bin/env python
import sys

from auto_iter.simulation import calypso

sys.exit({code})
"""
WRITER = "WriteAlignmentConfig_Faser04.py"
_CONSOLE = "AtlCoolConsole.py"


@dataclass(frozen=True)
class Site:
    """The configuration for a set-up, and the settings that its users need."""

    config: Path
    settings: tuple[str, ...]


def site_of_march_2026(
    directory: Path,
    stations: int = 3,
    files: tuple[int, ...] = (400, 401),
    made: Path | None = None,
) -> Site:
    """Make a site whose writer and reconstruction lie beside the scripts, with mode 644.

    The writer named 04 makes files named 05; AtlCoolConsole.py returns 1 though all is well.
    """
    config, programs = _simulated(directory, stations, files)
    scripts = directory / "scripts"
    writer = scripts / "templates" / WRITER
    writer.parent.mkdir(parents=True)
    for name in (WRITER, RECONSTRUCTION):
        (programs / name).unlink()
    _write(writer, 'calypso.write_alignment_config("05", sys.argv[1:])', 0o644)
    _write(scripts / RECONSTRUCTION, "calypso.faser_reco_alignment(sys.argv[1:])", 0o644, made)
    _write(programs / _CONSOLE, "calypso.atl_cool_console(sys.argv[1:]) or 1", 0o755)
    return Site(config, (f"reco.writer={writer}", f"reco.program={scripts / RECONSTRUCTION}"))


def site_until_2025(directory: Path, made: Path | None = None) -> Site:
    """Make a site where all is on PATH and named 04, and backward tracks do not exist."""
    config, programs = _simulated(directory)
    reconstruct = 'calypso.faser_reco_alignment(sys.argv[1:], global_tag="OFLCOND-FASER-04")'
    _write(programs / WRITER, 'calypso.write_alignment_config("04", sys.argv[1:])', 0o755)
    answer = f'2 if "--noForward" in sys.argv else {reconstruct}'
    _write(programs / RECONSTRUCTION, answer, 0o755, made)
    return Site(config, ("reco.preset=2024",))


def _simulated(
    directory: Path, stations: int = 3, files: tuple[int, ...] = (400, 401)
) -> tuple[Path, Path]:
    beam = Beam(events=450, stations=stations)
    simulated = simulate_for_tests(directory, Options(files=files, beam=beam))
    return simulated.config, simulated.install / "bin"


def _write(program: Path, code: str, mode: int, made: Path | None = None) -> None:
    text = _PROGRAM.format(code=code) if made is None else remembered.program(code, made)
    program.write_text(text)
    program.chmod(mode)
