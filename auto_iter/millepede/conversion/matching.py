"""How the interface tracker (IFT) matches the spectrometer, track by track."""

from __future__ import annotations

import numpy as np

from auto_iter.detector.stations import IFT
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.conversion.statistics import Spread
from auto_iter.millepede.mille.records import Bools, edges_of
from auto_iter.millepede.solver.local_fit import fit

RANGE_MM = 5.0
"""Farther from where the spectrometer sees the track is another track, or noise."""


def matching(chunk: kf.Chunk, kept: Bools) -> Spread:
    """Return how far hits in the IFT are from the track that the spectrometer alone sees (mm).

    One entry a track of `kept` (one a track of `chunk`) that has hits there: the mean over them of
    measured - extrapolated, along what the strips measure. No cut on hits: tracks that do not
    match are what this is about; they count up to RANGE_MM. The fit is repeated without the hits
    in the IFT, linearly: the track moves by the fit to the other residuals. Empty without any.
    """
    sizes = chunk.sizes
    is_ift = chunk.hits[kf.ALIGN_ID] // 1000 == IFT
    chosen = kept & (np.bincount(chunk.track[is_ift], minlength=len(sizes)) > 0)
    if not chosen.any():
        return Spread()
    used = np.repeat(chosen, sizes)
    record = np.repeat(np.arange(np.count_nonzero(chosen)), sizes[chosen])
    first = edges_of(sizes[chosen])
    inside = is_ift[used]
    rows = np.array([chunk.hits[name][used] for name in kf.TRACK_DERIVATIVES])
    residual, sigma = chunk.hits[kf.RESIDUAL][used], chunk.hits[kf.UNCERTAINTY][used]
    weight = np.zeros(len(residual))
    np.divide(1.0, sigma**2, out=weight, where=~inside & (sigma > 0))
    with np.errstate(all="ignore"):
        again = fit(rows, residual, weight, first, record)
    apart = (residual - again.fitted)[inside]
    sums = np.bincount(record[inside], weights=apart)
    means = (sums / np.bincount(record[inside]))[again.regular]
    means = means[np.abs(means) <= RANGE_MM]
    return Spread(hits=len(means), sum_mm=float(means.sum()), sum_mm2=float((means * means).sum()))
