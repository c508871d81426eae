"""`auto-iter millepede`: the Mille/pede chain by hand, as a whole or link by link."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.options import Subparsers, add_config_options, amount, count, positive

if TYPE_CHECKING:
    from auto_iter.millepede.labels import Scheme


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "millepede",
        help="the Mille/pede chain by hand",
        description="`millepede -i DIRECTORY` runs the whole chain, as `millepede run` does.",
    )
    _add_run_options(parser, required=False)
    parser.set_defaults(call=_run)
    actions = parser.add_subparsers(metavar="ACTION")
    run = actions.add_parser("run", help="solve the ROOT files of one iteration")
    _add_run_options(run, required=True)
    run.set_defaults(call=_run)
    _add_convert(actions)
    _add_solve(actions)
    _add_constants(actions)
    _add_look(actions)


def _add_run_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "-i",
        "--input",
        type=Path,
        required=required,
        metavar="DIRECTORY",
        help="an iteration, its 1reco, or its 2kfalignment with the ROOT files",
    )
    parser.add_argument("--strategy", help="name, or a YAML file (default: configuration)")
    parser.add_argument("--iteration", type=positive, metavar="N", help="(default: from iterNN)")
    parser.add_argument("--allow-bad", action="store_true", help="go on without bad ROOT files")
    parser.add_argument(
        "--modes", action="store_true", help="tell which combinations the data hardly fix"
    )
    add_config_options(parser)
    _add_solver_options(parser)


def _add_solver_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--solver", choices=("auto", "builtin", "pede"))
    parser.add_argument("--pede", type=Path, metavar="PATH", help="pede or its directory")


def _add_convert(actions: Subparsers) -> None:
    convert = actions.add_parser("convert", help="ROOT files to one Mille binary")
    convert.add_argument("files", nargs="+", type=Path, metavar="FILE.root")
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.bin")
    _add_label_options(convert)
    convert.add_argument(
        "--workers", type=positive, metavar="N", help="(default: as many as processors)"
    )
    convert.add_argument("--max-chi2", type=amount, default=2000.0)
    convert.add_argument("--min-pz", type=amount, default=100.0, metavar="GEV")
    convert.add_argument("--max-pz", type=amount, default=5000.0, metavar="GEV")
    convert.add_argument("--min-hits", type=count, default=15)
    convert.add_argument("--max-residual", type=amount, default=0.05, metavar="MM")
    convert.add_argument(
        "--min-independence",
        type=amount,
        default=1e-8,
        metavar="SHARE",
        help="tracks whose parameters the hits tell apart less are dropped (0-1, default: 1e-8)",
    )
    convert.set_defaults(call=_convert)


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
    solve.add_argument("steering", type=Path, metavar="STEERING")
    _add_solver_options(solve)
    solve.add_argument(
        "--modes",
        type=count,
        default=0,
        metavar="N",
        help="tell the eigenvalue spectrum and the N least determined combinations",
    )
    solve.set_defaults(call=_solve)


def _add_constants(actions: Subparsers) -> None:
    constants = actions.add_parser("constants", help="previous constants + millepede.res")
    constants.add_argument("-i", "--previous", type=Path, required=True, metavar="PREVIOUS.txt")
    constants.add_argument("result", type=Path, metavar="RES")
    constants.add_argument("-o", "--output", type=Path, required=True, metavar="NEW.txt")
    constants.add_argument("--strategy", help="whose labels (default: as `convert` makes them)")
    _add_label_options(constants)
    constants.set_defaults(call=_constants)


def _add_look(actions: Subparsers) -> None:
    dump = actions.add_parser("dump", help="print the records of a Mille binary")
    dump.add_argument("file", type=Path)
    dump.add_argument("-n", "--records", type=count, metavar="N", help="only the first N")
    dump.set_defaults(call=_dump)
    check = actions.add_parser("check", help="read a whole Mille binary and sum it up")
    check.add_argument("file", type=Path)
    check.set_defaults(call=_check)


def _run(arguments: argparse.Namespace) -> int:
    import os

    from auto_iter.configfile import load_config
    from auto_iter.errors import UsageError

    if arguments.input is None:
        raise UsageError("which iteration? `auto-iter millepede -i DIRECTORY`, or an ACTION")
    _use_one_thread()
    from auto_iter.millepede.by_hand import Choices, run_iteration
    from auto_iter.millepede.summary import format_modes, format_solution

    file = arguments.config or _workspace_config(arguments.input)
    config = load_config(file, arguments.overrides, os.environ)
    choices = Choices(
        strategy=arguments.strategy,
        iteration=arguments.iteration,
        solver=arguments.solver,
        pede_install=arguments.pede,
        allow_bad=arguments.allow_bad,
        modes=arguments.modes,
    )
    record, directory = run_iteration(arguments.input, config, choices, os.environ)
    print(format_solution(record))
    names = {each.label: each.name for each in record.parameters}
    for line in format_modes(record.weakest_modes, names):
        print(line)
    print(f"new constants: {directory / 'inputforalign.txt'}")
    return 0


def _workspace_config(directory: Path) -> Path | None:
    """Return the configuration of the workspace that an iteration belongs to, if it does."""
    for place in list(directory.absolute().parents)[:2]:
        if (place / "state.yaml").is_file() and (place / "config.yaml").is_file():
            return place / "config.yaml"
    return None


def _convert(arguments: argparse.Namespace) -> int:
    import os

    _use_one_thread()
    from auto_iter.millepede.convert import TrackCuts
    from auto_iter.millepede.parallel import convert_by_workers
    from auto_iter.millepede.summary import format_statistics

    cuts = TrackCuts(
        arguments.max_chi2,
        arguments.min_pz,
        arguments.max_pz,
        arguments.min_hits,
        arguments.max_residual,
        arguments.min_independence,
    )
    workers = arguments.workers or len(os.sched_getaffinity(0))
    statistics = convert_by_workers(
        arguments.files, arguments.output, _scheme(arguments), cuts, workers
    )
    print(format_statistics(statistics))
    return 0


def _scheme(arguments: argparse.Namespace) -> Scheme:
    from auto_iter.millepede.labels import Scheme

    layers = arguments.layers == "on"
    return Scheme(arguments.modules, layers, arguments.layer_z, arguments.stations)


def _solve(arguments: argparse.Namespace) -> int:
    import os
    import sys

    _use_one_thread()
    from auto_iter.millepede.by_hand import solve_steering
    from auto_iter.millepede.iteration_record import mode_records
    from auto_iter.millepede.labels import Scheme
    from auto_iter.millepede.summary import format_modes, format_spectrum, names_of

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
    from auto_iter.millepede.strategy import load_strategy

    name = arguments.strategy
    scheme = load_strategy(name).scheme if name is not None else _scheme(arguments)
    add_result(arguments.previous, arguments.result, arguments.output, scheme)
    print(arguments.output)
    return 0


def _dump(arguments: argparse.Namespace) -> int:
    from auto_iter.millepede.mille import dump_lines

    for line in dump_lines(arguments.file, arguments.records):
        print(line)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from auto_iter.millepede.mille import check

    print(check(arguments.file))
    return 0


def _use_one_thread() -> None:
    """Before numpy is imported: threads would change the order of sums, and the last digits."""
    import os

    names: Sequence[str] = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    os.environ.update(dict.fromkeys(names, "1"))
