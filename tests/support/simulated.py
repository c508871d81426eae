"""Simulated detectors whose alignments take seconds, for tests that run whole commands."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import uproot

from auto_iter.detector.geometry import Constants
from auto_iter.simulation.reconstruct import reconstruct
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


def chi2_per_ndf(
    raw_files: Iterable[Path], constants: Constants, scratch: Path, *, with_ift: bool = True
) -> float:
    """Return Σ chi2 / Σ ndf of all tracks of `raw_files`; with the true constants: the ideal.

    `scratch`: a file that is not there, and is gone again.
    """
    chi2, ndf = 0.0, 0
    for path in raw_files:
        tracks = reconstruct(path, constants, scratch, with_ift=with_ift)
        with uproot.open(scratch) as file:
            tree = file["tree"]
            chi2 += float(tree["fitParam_chi2"].array(library="np").sum())
            ndf += int(tree["nfitParam_align"].array(library="np").sum()) - 5 * tracks
        scratch.unlink()
    return chi2 / ndf
