"""`auto-iter millepede`: the Mille/pede chain by hand, as a whole or link by link."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.command import command, group, option
from auto_iter.cli.millepede.run import EPILOG, SOLVER, run_options, solve_iteration
from auto_iter.cli.options import amount, count, positive
from auto_iter.processes.threads import use_one_thread

if TYPE_CHECKING:
    from auto_iter.detector.labels import Scheme


_LABELS = (
    option(
        "--modules", choices=("x_rz", "all", "off"), default="x_rz",
        help="module parameters: x per side and rz (default), all six per side, or none",
    ),
    option(
        "--layers", choices=("on", "off"), default="on",
        help="layer parameters x, y, rx, ry, rz (default: on)",
    ),
    option("--layer-z", action="store_true", help="z of layers, too"),
    option("--stations", action="store_true", help="station parameters, too"),
)  # fmt: skip
_CUTS = group(
    "cuts",
    "Defaults as in `auto-iter config init`. Tracks whose parameters the hits\n"
    "that are left tell apart by less than --min-independence (0-1) are dropped.",
    *(
        option(name, type=kind, dest=field, metavar=unit, default=argparse.SUPPRESS, help=words)
        for name, kind, field, unit, words in (
            ("--max-chi2", amount, "max_chi2", "CHI2", "largest chi2 of a track"),
            ("--min-pz", amount, "min_pz_gev", "GEV", "least momentum along the beam"),
            ("--max-pz", amount, "max_pz_gev", "GEV", "largest momentum along the beam"),
            ("--min-hits", count, "min_hits", "N", "fewest hits on a track"),
            ("--max-residual", amount, "max_residual_mm", "MM", "largest residual of a hit"),
            ("--min-independence", amount, "min_independence", "SHARE", "see above"),
        )
    ),
)
_BINARY = option("file", type=Path, help="a Mille binary")


@command(*run_options(is_required=False), below=EPILOG)
def millepede(arguments: argparse.Namespace) -> int:
    """The Mille/pede chain by hand.

    `millepede -i DIRECTORY` runs the whole chain, as `millepede run` does.
    """  # noqa: D401 - as in the list of commands
    return solve_iteration(arguments)


@millepede.command(*run_options(is_required=True), below=EPILOG)
def run(arguments: argparse.Namespace) -> int:
    """Convert and solve the ROOT files of one iteration, whoever reconstructed it."""
    return solve_iteration(arguments)


@millepede.command(
    option("files", nargs="+", type=Path, metavar="FILE.root", help="fitted tracks"),
    option(
        "-o", "--output", type=Path, required=True, metavar="OUT.bin",
        help="the Mille binary to write",
    ),
    *_LABELS,
    option(
        "--workers", type=positive, metavar="N", help="processes (default: as many as processors)"
    ),
    _CUTS,
)  # fmt: skip
def convert(arguments: argparse.Namespace) -> int:
    """Convert fitted tracks (kfalignment ROOT files) to one Mille binary."""
    import os

    use_one_thread()
    from auto_iter.cli.millepede.summary import format_statistics
    from auto_iter.config.cuts import TrackCuts
    from auto_iter.millepede.conversion.files import convert_files

    # not validated: by hand, a cut may be 0
    given = TrackCuts.model_fields.keys() & vars(arguments).keys()
    cuts = TrackCuts.model_construct(**{name: getattr(arguments, name) for name in given})
    workers = arguments.workers or len(os.sched_getaffinity(0))
    statistics = convert_files(arguments.files, arguments.output, _scheme(arguments), cuts, workers)
    print(format_statistics(statistics))
    return 0


def _scheme(arguments: argparse.Namespace) -> Scheme:
    from auto_iter.detector.labels import Scheme

    layers = arguments.layers == "on"
    return Scheme(arguments.modules, layers, arguments.layer_z, arguments.stations)


@millepede.command(
    option("steering", type=Path, metavar="STEERING", help="pede's steering file"),
    *SOLVER,
    option(
        "--modes", type=count, default=0, metavar="N",
        help="tell the eigenvalue spectrum and the N least determined combinations",
    ),
)  # fmt: skip
def solve(arguments: argparse.Namespace) -> int:
    """What `pede STEERING` does, in the current directory.

    Exit code 0 where pede's own is 0-3, else 1.
    """  # noqa: D401 - as in the list of commands
    import os
    import sys

    use_one_thread()
    from auto_iter.cli.millepede.summary import format_modes, format_spectrum, names_of
    from auto_iter.detector.labels import Scheme
    from auto_iter.millepede.by_hand import solve_steering
    from auto_iter.millepede.iteration_record import mode_records

    end = solve_steering(
        arguments.steering,
        arguments.solver or "auto",
        arguments.pede,
        os.environ,
        arguments.modes,
    )
    eigenvalues = end.spectrum.eigenvalues.tolist() if end.spectrum is not None else []
    for line in (
        *format_spectrum(eigenvalues),
        *format_modes(mode_records(end), names_of(Scheme())),
    ):
        print(line)
    print(f"exit code {end.ending.code}: {end.ending.meaning}")
    said = f"{end.said}; {end.remedy}" if end.remedy else end.said
    for note in end.notes or filter(None, [said]):
        print(note, file=sys.stderr)
    return 0 if end.ending.is_good_by_hand else 1


@millepede.command(
    option(
        "-i", "--previous", type=Path, required=True, metavar="PREVIOUS.txt",
        help="what the tracks were made with",
    ),
    option("result", type=Path, metavar="RES", help="millepede.res"),
    option(
        "-o", "--output", type=Path, required=True, metavar="NEW.txt",
        help="the sum, to be written",
    ),
    option("--strategy", help="whose labels (default: as `convert` makes them)"),
    *_LABELS,
)  # fmt: skip
def constants(arguments: argparse.Namespace) -> int:
    """Add what pede found (millepede.res) to the constants behind the tracks."""
    from auto_iter.millepede.by_hand import add_result
    from auto_iter.millepede.strategy.file import load_strategy

    name = arguments.strategy
    scheme = load_strategy(name).labels if name is not None else _scheme(arguments)
    add_result(arguments.previous, arguments.result, arguments.output, scheme)
    print(arguments.output)
    return 0


@millepede.command(
    _BINARY, option("-n", "--records", type=count, metavar="N", help="only the first N")
)
def dump(arguments: argparse.Namespace) -> int:
    """Print the records of a Mille binary, track by track."""
    from auto_iter.millepede.mille.text import dump_lines

    for line in dump_lines(arguments.file, arguments.records):
        print(line)
    return 0


@millepede.command(_BINARY)
def check(arguments: argparse.Namespace) -> int:
    """Read a whole Mille binary, and say how many records and labels it has."""
    from auto_iter.millepede.mille import text

    print(text.check(arguments.file))
    return 0
