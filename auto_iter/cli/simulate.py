"""`auto-iter simulate`: a detector, its raw files and a Calypso, on a machine that has none."""

from __future__ import annotations

import argparse
from pathlib import Path

from auto_iter.cli.options import Subparsers, amount, count, positive


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="write a simulated detector: raw files, truth, stand-in Calypso, configuration",
    )
    parser.add_argument("directory", type=Path, help="where to write; made when missing")
    parser.add_argument("-y", "--year", default="2023")
    parser.add_argument("-r", "--run", default="011705", help="run number (default: %(default)s)")
    parser.add_argument(
        "-f",
        "--files",
        "--file",
        default="400-404",
        help="raw files, the end excluded (default: %(default)s, four files)",
    )
    parser.add_argument("--events", type=positive, default=2500, help="muons in each file")
    parser.add_argument("--seed", type=count, default=1)
    parser.add_argument("--stations", type=int, choices=(3, 4), default=3)
    _add_detector(parser)
    parser.set_defaults(call=_simulate)


def _add_detector(parser: argparse.ArgumentParser) -> None:
    detector = parser.add_argument_group("the detector", "standard deviations; 0 switches off")
    for name, default, what in (
        ("layer-shift-um", 100.0, "shift of layers"),
        ("layer-rotation-mrad", 1.0, "rotation of layers"),
        ("module-shift-um", 100.0, "shift of modules"),
        ("module-rotation-mrad", 1.0, "rotation of modules"),
        ("noise", 3.0, "mean number of noise clusters an event"),
        ("inefficiency", 0.02, "probability that a crossed sensor stays silent"),
    ):
        detector.add_argument(
            f"--{name}", type=amount, default=default, help=f"{what} (default: %(default)s)"
        )


def _simulate(arguments: argparse.Namespace) -> int:
    from auto_iter.rawfiles import RawRange, parse_run, parse_year
    from auto_iter.simulation.generation import Beam
    from auto_iter.simulation.misalignment import Sizes
    from auto_iter.simulation.simulate import Options, simulate

    files = RawRange.parse(arguments.files)
    options = Options(
        year=parse_year(arguments.year),
        run=parse_run(arguments.run),
        files=files.numbers,
        seed=arguments.seed,
        beam=Beam(
            stations=arguments.stations,
            events=arguments.events,
            noise_hits=arguments.noise,
            inefficiency=arguments.inefficiency,
        ),
        sizes=Sizes(
            arguments.layer_shift_um / 1e3,
            arguments.layer_rotation_mrad / 1e3,
            arguments.module_shift_um / 1e3,
            arguments.module_rotation_mrad / 1e3,
        ),
    )
    simulated = simulate(arguments.directory, options)
    print(f"{files.summary} in {simulated.raw_dir}")
    print(f"truth: {simulated.truth}")
    print(
        f"align with: auto-iter run -y {options.year} -r {options.run:06d} -f {files.text} "
        f"-i 10 --config {simulated.config}" + (" --fourst" if options.beam.stations == 4 else "")
    )
    return 0
