"""The figures that pede leaves only in `millepede.log`: records, rejects, chi2 after the fit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_RECORDS = re.compile(r"NREC =\s+(\d+)")
_CHI2 = re.compile(r"Sum\(Chi\^2\)/Sum\(Ndf\) =\s+([-+.\dEeDd]+)\s+/ \(\s+(\d+)\s+-\s+(\d+)\s+\)")
_REJECTS = re.compile(r"Data rejected in last iteration:\s*\n(.*)")
_COUNT = re.compile(r"(\d+)\s+\(")


@dataclass(frozen=True)
class FitFigures:
    """`ndf` is reduced by the fitted parameters; what the log does not tell is 0."""

    records: int = 0
    rejects: int = 0
    chi2: float = 0.0
    ndf: int = 0

    @property
    def chi2_ndf(self) -> float:
        """Return chi2/ndf; 0 without degrees of freedom."""
        return self.chi2 / self.ndf if self.ndf > 0 else 0.0


def read_log(path: Path) -> FitFigures:
    """Return the figures of a `millepede.log`; zeros where it has none."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return FitFigures()
    records, chi2, rejects = _RECORDS.search(text), _CHI2.search(text), _REJECTS.search(text)
    return FitFigures(
        records=int(records[1]) if records else 0,
        rejects=sum(map(int, _COUNT.findall(rejects[1]))) if rejects else 0,
        chi2=float(chi2[1].replace("D", "E")) if chi2 else 0.0,
        ndf=int(chi2[2]) - int(chi2[3]) if chi2 else 0,
    )
