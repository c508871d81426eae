"""Simulated detectors whose alignments take seconds, for tests that run whole commands."""

from __future__ import annotations

from pathlib import Path

from auto_iter.simulation.simulate import Options, Simulated, simulate
from tests.support import remembered

RECONSTRUCTION = "faser_reco_alignment.py"
_BEFORE = "  polling_interval_seconds: 2\n"


def simulate_for_tests(directory: Path, options: Options, made: Path | None = None) -> Simulated:
    """Simulate a detector; alignments with its configuration make no report.

    Half of the time of a small alignment goes into its plots, which test_report_of_a_run.py sees.
    `made`: where its Calypso keeps what it reconstructed, for who asks the same again.
    """
    simulated = simulate(directory, options)
    text = simulated.config.read_text()
    assert _BEFORE in text
    simulated.config.write_text(text.replace(_BEFORE, f"{_BEFORE}  report: never\n"))
    if made is not None:
        made.mkdir(exist_ok=True)
        program = remembered.program("calypso.faser_reco_alignment(sys.argv[1:])", made)
        (simulated.install / "bin" / RECONSTRUCTION).write_text(program)
    return simulated
