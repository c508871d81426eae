"""Hold-out: raw files that are reconstructed like all others and stay out of the fit.

Their tracks judge constants that they had no part in. Which files is decided by rule, so that all
iterations, whoever makes them, leave out the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from auto_iter.alignment.attempt import Record
from auto_iter.errors import UsageError
from auto_iter.rawfiles import run_and_number


def held_out(files: Iterable[int], excluded: Iterable[int], fraction: float) -> frozenset[int]:
    """Return which of an alignment's raw files stay out of its fits, spread evenly over them.

    `excluded`: those that were missing from the beginning. Files that a person leaves out later do
    not count: the choice is the same before and after. None for `fraction` 0; else at least one is
    out, and of each run at least one is in. Raises UsageError where no run has more than one file.
    """
    if not fraction:
        return frozenset()
    numbers = sorted(set(files) - set(excluded))
    by_run = [
        list(of_run) for _, of_run in groupby(numbers, lambda each: run_and_number(each, 0)[0])
    ]
    spare = [each for of_run in by_run if len(of_run) > 1 for each in of_run]
    if not spare:
        of_one, who = (" of one run", "each has") if len(by_run) > 1 else ("", "there is")
        raise UsageError(
            f"alignment.hold_out {fraction:g}: takes two raw files at least{of_one}, one for "
            f"the fit and one to judge it; {who} only one"
        )
    count = min(max(round(fraction * len(numbers)), 1), len(spare) - 1)
    out = {spare[(2 * i + 1) * len(spare) // (2 * count)] for i in range(count)}
    return frozenset(out.difference(of_run[0] for of_run in by_run if out.issuperset(of_run)))


class HoldOut(Record):
    """What held-out tracks show, as reconstructed with the constants of an iteration.

    `largest_mean_um`: of the modules' mean residuals, with its sign, in `worst_module`;
    `rms_width_um`: of their widths; both of hits after all cuts. `qop_bias_per_tev`: half the
    difference between the mean |q/p| of positive and negative tracks, which a curvature bias (a
    sagitta) common to all of them makes; with its statistical error (1/TeV). `ift_mean_um`,
    `ift_width_um`: how far tracks are in the interface tracker from where the spectrometer alone
    sees them, where 4 stations are reconstructed; the mean with its error. None: not known.
    """

    files: int
    tracks: int
    chi2_ndf: float
    ndf: int
    largest_mean_um: float | None = None
    worst_module: str = ""
    rms_width_um: float | None = None
    qop_bias_per_tev: float | None = None
    qop_bias_error_per_tev: float | None = None
    ift_mean_um: float | None = None
    ift_mean_error_um: float | None = None
    ift_width_um: float | None = None


class Judgement(Record):
    """Held-out tracks before and after: the first and the last iteration of the last phase.

    `after` is None where only one of them was judged. `warning`: what they speak against, in words.
    """

    iteration: int
    before: HoldOut
    last_iteration: int
    after: HoldOut | None = None
    warning: str = ""
