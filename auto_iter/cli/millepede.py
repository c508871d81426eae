"""`auto-iter millepede`: the Mille/pede chain by hand, as a whole or link by link."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.options import Subparsers, add_config_options

if TYPE_CHECKING:
    from auto_iter.config import Config
    from auto_iter.millepede.labels import Scheme
    from auto_iter.millepede.place import Place

EPILOG = """\
In a workspace, an iteration that is reconstructed and has no constants yet gets its own: those that
`resume` would find. Everything else is a what-if, in iterNN/3millepede.by-hand/NAME, from which
nothing goes on, unless --accept says so. Elsewhere the outcome is in 3millepede, and replaces
what was there.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "millepede",
        help="the Mille/pede chain by hand",
        description="`millepede -i DIRECTORY` runs the whole chain, as `millepede run` does.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    parser.add_argument(
        "--name", help="what to call a what-if: iterNN/3millepede.by-hand/NAME (default: strategy)"
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="make these the constants that count; what came after them is set aside as outdated",
    )
    parser.add_argument("--iteration", type=int, metavar="N", help="(default: from iterNN)")
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
        "--workers", type=int, metavar="N", help="(default: as many as processors)"
    )
    convert.add_argument("--max-chi2", type=float, default=2000.0)
    convert.add_argument("--min-pz", type=float, default=100.0, metavar="GEV")
    convert.add_argument("--max-pz", type=float, default=5000.0, metavar="GEV")
    convert.add_argument("--min-hits", type=int, default=15)
    convert.add_argument("--max-residual", type=float, default=0.05, metavar="MM")
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
        type=int,
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
    dump.add_argument("-n", "--records", type=int, metavar="N", help="only the first N")
    dump.set_defaults(call=_dump)
    check = actions.add_parser("check", help="read a whole Mille binary and sum it up")
    check.add_argument("file", type=Path)
    check.set_defaults(call=_check)


def _run(arguments: argparse.Namespace) -> int:
    from auto_iter.errors import UsageError
    from auto_iter.millepede.place import find_place

    if arguments.input is None:
        raise UsageError("which iteration? `auto-iter millepede -i DIRECTORY`, or an ACTION")
    place = find_place(arguments.input)
    config = _config(arguments, place)
    if arguments.accept:
        return _accepted(arguments, place, config)
    reason = _why_a_what_if(arguments, place, config)
    if reason is None and place.workspace is not None:
        return _own(place, place.workspace)
    output = _what_if(arguments, place, config)
    print(f"new constants: {output / 'inputforalign.txt'}")
    if reason is not None:
        print(f"a what-if, from which nothing goes on ({reason}); --accept would make it count")
    return 0


def _config(arguments: argparse.Namespace, place: Place) -> Config:
    import os

    from auto_iter.configfile import load_config
    from auto_iter.settled import with_absolute_paths

    file = arguments.config
    if file is None and place.workspace is not None:
        own = place.workspace / "config.yaml"
        file = own if own.is_file() else None
    return with_absolute_paths(load_config(file, arguments.overrides, os.environ))


def _why_a_what_if(arguments: argparse.Namespace, place: Place, config: Config) -> str | None:
    """Return why the outcome is not the iteration's own; None when it is, or in no workspace."""
    from auto_iter.app import open_workspace
    from auto_iter.errors import AutoIterError
    from auto_iter.links import why_not_own

    if place.workspace is None:
        return None if arguments.name is None else "by its name"
    if not place.is_an_iteration:
        return f"{place.root.name} is no iteration of the alignment"
    try:
        own = open_workspace(place.workspace).config
        differs = own != config or _asks_for_something_else(arguments, own)
        known = "other settings than the alignment's"
        return known if differs else why_not_own(place.workspace, place.number)
    except AutoIterError as error:
        return str(error)


def _asks_for_something_else(arguments: argparse.Namespace, own: Config) -> bool:
    strategy, number = arguments.strategy, arguments.iteration
    return (
        strategy not in (None, own.alignment.strategy)
        or number is not None
        or arguments.name is not None
        or arguments.solver is not None
        or arguments.pede is not None
        or arguments.allow_bad
        or arguments.modes
    )


def _own(place: Place, workspace: Path) -> int:
    """Make the very solution that the daemon would make, and go on from it."""
    from auto_iter.links import solve_own
    from auto_iter.millepede.requests import SolutionRecord
    from auto_iter.millepede.summary import format_solution

    code = solve_own(workspace, place.number)
    if code == 0:
        solution = place.root / "3millepede" / "solution.json"
        print(format_solution(SolutionRecord.model_validate_json(solution.read_bytes())))
        print(f"constants of iteration {place.number}: {place.root}/3millepede/inputforalign.txt")
        print(f"next by hand: auto-iter reco … -i {place.number + 1}")
    return code


def _accepted(arguments: argparse.Namespace, place: Place, config: Config) -> int:
    from auto_iter.errors import UsageError
    from auto_iter.links import accept, refuse_unfit

    if place.workspace is None or not place.is_an_iteration:
        raise UsageError(
            f"--accept: {place.root} is no iteration of an alignment (WORKSPACE/iterNN)"
        )
    refuse_unfit(place.workspace, place.number)  # better now than after minutes
    output = _what_if(arguments, place, config)
    code = accept(place.workspace, place.number, output)
    if code == 0:
        print(f"constants of iteration {place.number}: {place.root}/3millepede/inputforalign.txt")
    return code


def _what_if(arguments: argparse.Namespace, place: Place, config: Config) -> Path:
    """Convert and solve in a directory of its own; return that."""
    import os

    _use_one_thread()
    from auto_iter.millepede.by_hand import Choices, run_iteration
    from auto_iter.millepede.strategy import load_strategy
    from auto_iter.millepede.summary import format_modes, format_solution

    strategy = arguments.strategy or config.alignment.strategy
    choices = Choices(
        strategy=strategy,
        iteration=arguments.iteration,
        solver=arguments.solver,
        pede_install=arguments.pede,
        allow_bad=arguments.allow_bad,
        modes=arguments.modes,
    )
    output = place.output(arguments.name, Path(strategy).stem)
    record = run_iteration(place, output, config, choices, os.environ)
    print(format_solution(record))
    for line in format_modes(record.weakest_modes, load_strategy(strategy).scheme):
        print(line)
    return output


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
    from auto_iter.millepede.summary import format_modes, format_spectrum

    end = solve_steering(
        arguments.steering,
        arguments.solver or "auto",
        arguments.pede,
        os.environ,
        arguments.modes,
    )
    eigenvalues = end.spectrum.eigenvalues.tolist() if end.spectrum is not None else []
    for line in (*format_spectrum(eigenvalues), *format_modes(mode_records(end), Scheme())):
        print(line)
    print(f"exit code {end.ending.code}: {end.ending.meaning}")
    for note in (end.said, end.remedy, *end.notes):
        if note:
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
