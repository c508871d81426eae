"""What pede tells only in words: figures in `millepede.log`, reasons on its output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from auto_iter.millepede.rejects import Rejects

_RECORDS = re.compile(r"NREC =\s+(\d+)")
_CHI2 = re.compile(r"Sum\(Chi\^2\)/Sum\(Ndf\) =\s+([-+.\dEeDd]+)\s+/ \(\s+(\d+)\s+-\s+(\d+)\s+\)")
_REJECTS = re.compile(r"Data rejected in last iteration:\s*\n(.*)")
_ANY_REJECTS = re.compile(r"Data rejected in .*:\s*\n(.*)")
_BANNER = "arningWarning"
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
    text = _text(path)
    records, chi2, rejects = _RECORDS.search(text), _CHI2.search(text), _REJECTS.search(text)
    return FitFigures(
        records=int(records[1]) if records else 0,
        rejects=sum(map(int, _COUNT.findall(rejects[1]))) if rejects else 0,
        chi2=float(chi2[1].replace("D", "E")) if chi2 else 0.0,
        ndf=int(chi2[2]) - int(chi2[3]) if chi2 else 0,
    )


@dataclass(frozen=True)
class Complaints:
    """What pede's output says when not all is well: its warnings, and what it rejected last."""

    warnings: tuple[str, ...] = ()
    rejects: Rejects = field(default_factory=Rejects)


def read_output(path: Path) -> Complaints:
    """Return the complaints in what pede printed; none where there is no such file.

    The warnings stand between two banners, each with a line of advice (`=>`) that is left out.
    """
    text = _text(path)
    rejected = _ANY_REJECTS.findall(text)
    kinds = [int(count) for count in _COUNT.findall(rejected[-1])] if rejected else []
    is_whole = len(kinds) == len(fields(Rejects))
    return Complaints(tuple(_between_banners(text)), Rejects(*kinds) if is_whole else Rejects())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _between_banners(text: str) -> Iterator[str]:
    lines = text.splitlines()
    banners = [number for number, line in enumerate(lines) if _BANNER in line]
    for line in lines[banners[0] : banners[-1]] if banners else ():
        if line.strip() and _BANNER not in line and "=>" not in line:
            yield " ".join(line.split())
