"""`auto-iter millepede`: the Mille/pede chain by hand, as a whole or link by link."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.millepede.run import EPILOG, add_run_options, add_solver_options, run
from auto_iter.cli.options import Subparsers, amount, count, positive
from auto_iter.processes.threads import use_one_thread

if TYPE_CHECKING:
    from auto_iter.detector.labels import Scheme


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "millepede",
        help="the Mille/pede chain by hand",
        description="`millepede -i DIRECTORY` runs the whole chain, as `millepede run` does.",
        epilog=EPILOG,
    )
    add_run_options(parser, required=False)
    parser.set_defaults(call=run)
    actions = parser.add_subparsers(metavar="ACTION")
    whole = actions.add_parser(
        "run",
        help="solve the ROOT files of one iteration",
        description="Convert and solve one iteration, whoever reconstructed it.",
        epilog=EPILOG,
    )
    add_run_options(whole, required=True)
    whole.set_defaults(call=run)
    _add_convert(actions)
    _add_solve(actions)
    _add_constants(actions)
    _add_look(actions)


def _add_convert(actions: Subparsers) -> None:
    convert = actions.add_parser(
        "convert",
        help="ROOT files to one Mille binary",
        description="Convert fitted tracks (kfalignment ROOT files) to one Mille binary.",
    )
    convert.add_argument("files", nargs="+", type=Path, metavar="FILE.root", help="fitted tracks")
    convert.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT.bin",
        help="the Mille binary to write",
    )
    _add_label_options(convert)
    convert.add_argument(
        "--workers", type=positive, metavar="N", help="processes (default: as many as processors)"
    )
    _add_cut_options(convert)
    convert.set_defaults(call=_convert)


def _add_cut_options(parser: argparse.ArgumentParser) -> None:
    """Add the cuts; those that are not given have the configuration's defaults."""
    cuts = parser.add_argument_group(
        "cuts",
        "Defaults as in `auto-iter config init`. Tracks whose parameters the hits\n"
        "that are left tell apart by less than --min-independence (0-1) are dropped.",
    )
    for name, kind, field, unit, words in (
        ("--max-chi2", amount, "max_chi2", "CHI2", "largest chi2 of a track"),
        ("--min-pz", amount, "min_pz_gev", "GEV", "least momentum along the beam"),
        ("--max-pz", amount, "max_pz_gev", "GEV", "largest momentum along the beam"),
        ("--min-hits", count, "min_hits", "N", "fewest hits on a track"),
        ("--max-residual", amount, "max_residual_mm", "MM", "largest residual of a hit"),
        ("--min-independence", amount, "min_independence", "SHARE", "see above"),
    ):
        cuts.add_argument(
            name, type=kind, dest=field, metavar=unit, default=argparse.SUPPRESS, help=words
        )


def _add_label_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--modules",
        choices=("x_rz", "all", "off"),
        default="x_rz",
        help="module parameters: x per side and rz (default), all six per side, or none",
    )
    parser.add_argument(
        "--layers",
        choices=("on", "off"),
        default="on",
        help="layer parameters x, y, rx, ry, rz (default: on)",
    )
    parser.add_argument("--layer-z", action="store_true", help="z of layers, too")
    parser.add_argument("--stations", action="store_true", help="station parameters, too")


def _add_solve(actions: Subparsers) -> None:
    solve = actions.add_parser(
        "solve",
        help="what `pede STEERING` does, in the current directory",
        description="Exit code 0 where pede's own is 0-3, else 1.",
    )
    solve.add_argument("steering", type=Path, metavar="STEERING", help="pede's steering file")
    add_solver_options(solve)
    solve.add_argument(
        "--modes",
        type=count,
        default=0,
        metavar="N",
        help="tell the eigenvalue spectrum and the N least determined combinations",
    )
    solve.set_defaults(call=_solve)


def _add_constants(actions: Subparsers) -> None:
    constants = actions.add_parser(
        "constants",
        help="previous constants + millepede.res",
        description="Add what pede found (millepede.res) to the constants behind the tracks.",
    )
    constants.add_argument(
        "-i",
        "--previous",
        type=Path,
        required=True,
        metavar="PREVIOUS.txt",
        help="what the tracks were made with",
    )
    constants.add_argument("result", type=Path, metavar="RES", help="millepede.res")
    constants.add_argument(
        "-o", "--output", type=Path, required=True, metavar="NEW.txt", help="the sum, to be written"
    )
    constants.add_argument("--strategy", help="whose labels (default: as `convert` makes them)")
    _add_label_options(constants)
    constants.set_defaults(call=_constants)


def _add_look(actions: Subparsers) -> None:
    dump = actions.add_parser(
        "dump",
        help="print the records of a Mille binary",
        description="Print the records of a Mille binary, track by track.",
    )
    dump.add_argument("file", type=Path, help="a Mille binary")
    dump.add_argument("-n", "--records", type=count, metavar="N", help="only the first N")
    dump.set_defaults(call=_dump)
    check = actions.add_parser(
        "check",
        help="read a whole Mille binary and sum it up",
        description="Read a whole Mille binary; say how many records and labels it has.",
    )
    check.add_argument("file", type=Path, help="a Mille binary")
    check.set_defaults(call=_check)


def _convert(arguments: argparse.Namespace) -> int:
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


def _solve(arguments: argparse.Namespace) -> int:
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


def _constants(arguments: argparse.Namespace) -> int:
    from auto_iter.millepede.by_hand import add_result
    from auto_iter.millepede.strategy.file import load_strategy

    name = arguments.strategy
    scheme = load_strategy(name).scheme if name is not None else _scheme(arguments)
    add_result(arguments.previous, arguments.result, arguments.output, scheme)
    print(arguments.output)
    return 0


def _dump(arguments: argparse.Namespace) -> int:
    from auto_iter.millepede.mille.text import dump_lines

    for line in dump_lines(arguments.file, arguments.records):
        print(line)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from auto_iter.millepede.mille.text import check

    print(check(arguments.file))
    return 0
