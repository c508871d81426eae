"""Simulated detectors whose alignments take seconds, for tests that run whole commands."""

from __future__ import annotations

from pathlib import Path

from auto_iter.simulation.simulate import Options, Simulated, simulate

_BEFORE = "  polling_interval_seconds: 2\n"


def simulate_for_tests(directory: Path, options: Options) -> Simulated:
    """Simulate a detector; alignments with its configuration make no report.

    Half of the time of a small alignment goes into its plots, which test_report_of_a_run.py sees.
    """
    simulated = simulate(directory, options)
    text = simulated.config.read_text()
    assert _BEFORE in text
    simulated.config.write_text(text.replace(_BEFORE, f"{_BEFORE}  report: never\n"))
    return simulated
