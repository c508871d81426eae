"""The options of a steering file: defaults, and the table of keywords that change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

METHODS = (
    "diagonalization",
    "inversion",
    "fullMINRES",
    "sparseMINRES",
    "fullMINRES-QLP",
    "sparseMINRES-QLP",
    "decomposition",
    "fullLAPACK",
    "unpackedLAPACK",
)


MOST_INTERNAL_ITERATIONS = 1000


@dataclass(frozen=True)
class PedeOptions:
    """What the solver is asked to do; the defaults are pede's (mpmod.f90)."""

    method: str = "sparseMINRES"
    iterations: int = 1
    convergence: float = 0.0
    chi2_cut: float = 0.0
    chi2_cut_second: float = 0.0
    huge_cut: float = 50.0
    down_weighting: int = 0
    down_weight_cut: float = 0.0
    entries: int = 25
    accepted_entries: int = 10
    iterate_entries: int = 0
    count_records: bool = False
    default_presigma: float = 0.0
    regularise: bool = False
    regularisation: float = 1.0
    matrix_iterations: int = 0
    line_search: int = 2
    elimination: bool = True
    skip_empty_constraints: bool = False
    weighted_constraints: bool = False
    feasible_start: bool = True
    subito: bool = False
    force: bool = False
    scale_global: float = 1.0
    scale_local: float = 1.0
    max_records: int = 0
    print_counts: int = 0
    global_correlations: bool = False
    read_error_is_end: bool = False


Numbers = Sequence[float]
Changes = dict[str, float | bool]
"""New values of `PedeOptions`, by field."""
Keyword = Callable[[Numbers], Changes]


def _chisqcut(numbers: Numbers) -> Changes:
    if not numbers:
        return {"chi2_cut": 1.0, "chi2_cut_second": 1.0}
    first = numbers[0] if numbers[0] >= 1 else -1.0
    second = max(numbers[1], 1.0) if len(numbers) > 1 else 1.0
    return {"chi2_cut": first, "chi2_cut_second": min(second, first) if first >= 1 else second}


def _entries(numbers: Numbers) -> Changes:
    given = [round(n) if n > 0.5 else 0 for n in numbers]
    asked = zip(("entries", "accepted_entries"), given, strict=False)
    changes: Changes = {field: value for field, value in asked if value}
    if len(given) > 2 and given[2]:
        changes["iterate_entries"] = round(numbers[0] * numbers[2])
    return changes


def _regularise(numbers: Numbers) -> Changes:
    given = zip(("regularisation", "default_presigma"), numbers, strict=False)
    return {"regularise": True, **dict(given)}


def _down_weighting(numbers: Numbers) -> Changes:
    iterations = round(numbers[0])
    if iterations > MOST_INTERNAL_ITERATIONS:
        raise ValueError(f"{iterations} iterations of down-weighting would never end")
    return {"down_weighting": max(iterations, 2) if iterations > 0 else iterations}


def _max_records(numbers: Numbers) -> Changes:
    return {"max_records": round(numbers[0])} if numbers and numbers[0] > 0 else {}


def _scale(numbers: Numbers) -> Changes:
    if not numbers:
        return {}
    return {"scale_global": numbers[0], "scale_local": numbers[min(1, len(numbers) - 1)]}


def _first(field: str, kind: Callable[[float], float], default: float | None = None) -> Keyword:
    """Return a change of one field to the first number (to `default` when there is none)."""

    def change(numbers: Numbers) -> Changes:
        value = kind(numbers[0]) if numbers else default
        return {} if value is None else {field: value}

    return change


def _switch(field: str, *, to: bool = True) -> Keyword:
    return lambda _: {field: to}


def _ignore(_: Numbers) -> Changes:
    return {}


# in pede's order, because the first that matches counts
KEYWORDS: dict[str, Keyword] = {
    "print": _ignore,
    "debug": _ignore,
    "entries": _entries,
    "printrecord": _ignore,
    "maxrecord": _max_records,
    "cache": _ignore,
    "chisqcut": _chisqcut,
    "hugecut": _first("huge_cut", lambda n: max(n, 1.0)),
    "linesearch": _first("line_search", round),
    "localfit": _ignore,
    "regularization": _regularise,
    "regularisation": _regularise,
    "presigma": _first("default_presigma", float),
    "matiter": _first("matrix_iterations", round),
    "matmoni": _ignore,
    "bandwidth": _ignore,
    "outlierdownweighting": _down_weighting,
    "dwfractioncut": _first("down_weight_cut", lambda n: min(n, 0.5)),
    "pullrange": _ignore,
    "subito": _switch("subito"),
    "force": _switch("force"),
    "memorydebug": _ignore,
    "globalcorr": _switch("global_correlations"),
    "printcounts": _first("print_counts", lambda n: round(n) if n > 0 else 1, 1),
    "weightedcons": _first("weighted_constraints", lambda n: round(n) > 0, True),
    "skipemptycons": _switch("skip_empty_constraints"),
    "withelimination": _switch("elimination"),
    "withmultipliers": _switch("elimination", to=False),
    "monitorresiduals": _ignore,
    "monitorpulls": _ignore,
    "monitorprogress": _ignore,
    "scaleerrors": _scale,
    "iterateentries": _first("iterate_entries", round, 2**31 - 1),
    "threads": _ignore,
    "compress": _ignore,
    "countrecords": _switch("count_records"),
    "errlabels": _ignore,
    "pairentries": _ignore,
    "wolfe": _ignore,
    "mrestol": _ignore,
    "mrestranscond": _ignore,
    "mresmode": _ignore,
    "nofeasiblestart": _switch("feasible_start", to=False),
    "histprint": _ignore,
    "readerroraseof": _switch("read_error_is_end"),
    "closeandreopen": _ignore,
    "closeandreprocess": _ignore,
    "lapackwitherrors": _ignore,
    "withlapackelimination": _ignore,
    "checkparametergroups": _ignore,
    "outlierfracwarnthreshold": _ignore,
}
NOT_WRITTEN = {"monitorresiduals": "millepede.mon", "monitorpulls": "millepede.mon"}
"""Keywords for files beside the result, which the built-in solver leaves out with a remark."""
NEEDS_A_NUMBER = (
    "regularization",
    "regularisation",
    "presigma",
    "matiter",
    "outlierdownweighting",
    "dwfractioncut",
)
REFUSED = {
    "checkinput": "the built-in solver only solves",
    "rootfiles": "Mille records in ROOT files are not read",
    "postprocessing": "commands in a steering file are not run",
    "maxlocalcond": "the condition of local fits is not cut on",
    "resolveredundancycons": "redundant constraints are not resolved",
    "comment": "comments are not copied to millepede.res",
}
