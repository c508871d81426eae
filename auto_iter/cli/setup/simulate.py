"""`auto-iter simulate`: a detector, its raw files and a Calypso, on a machine that has none."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from auto_iter.cli.command import command, group, option
from auto_iter.cli.options import amount, count, positive
from auto_iter.detector.stations import MODES, OPTIONS, WITH_IFT, WITHOUT_IFT

FILES = "400-404"


_DETECTOR = group(
    "the detector",
    "standard deviations; 0 switches off",
    *(
        option(f"--{name}", type=amount, default=default, help=f"{what} (default: %(default)s)")
        for name, default, what in (
            ("layer-shift-um", 100.0, "shift of layers"),
            ("layer-rotation-mrad", 1.0, "rotation of layers"),
            ("module-shift-um", 100.0, "shift of modules"),
            ("module-rotation-mrad", 1.0, "rotation of modules"),
            ("noise", 3.0, "mean number of noise clusters an event"),
            ("inefficiency", 0.02, "probability that a crossed sensor stays silent"),
        )
    ),
)


@command(
    option("directory", type=Path, help="where to write; made when missing"),
    option("-y", "--year", default="2023", help="year of the run (default: %(default)s)"),
    option(
        "-r", "--run", default="011705",
        help="run number (default: %(default)s), or raw files of several runs, as with `run`",
    ),
    option(
        "-f", "--files", "--file",
        help=f"raw files, the end excluded (default: {FILES}, four files)",
    ),
    option(
        "--events", type=positive, default=2500, help="muons in each file (default: %(default)s)"
    ),
    option("--seed", type=count, default=1, help="of all random numbers (default: %(default)s)"),
    option(
        "--stations", type=int, choices=MODES, default=WITHOUT_IFT,
        help="4: with the IFT (default: %(default)s)",
    ),
    option(
        "--move", action="append", default=[], dest="moves", metavar="KEY.PARAMETER=VALUE",
        help="while these files are taken the detector is elsewhere by so much, in mm or rad, e.g. "
        "20.y=0.02: station 2 layer 0 by 20 µm (repeatable)",
    ),
    _DETECTOR,
)  # fmt: skip
def simulate(arguments: argparse.Namespace) -> int:
    """Write a simulated detector: raw files, truth, stand-in Calypso, configuration.

    Write a misaligned detector's raw files, the truth, a stand-in for Calypso, and a configuration
    with which `auto-iter run` aligns it on this machine.

    examples:
      # a detector, and four raw files
      auto-iter simulate sim --files 400-404
      auto-iter run -y 2023 -r 011705 -f 400-404 --config sim/config.yaml
    """
    from auto_iter.cli.bar import bar
    from auto_iter.rawfiles import parse_year
    from auto_iter.several_runs import command_line, parse_run_and_files, parts_of
    from auto_iter.simulation import simulate as simulation
    from auto_iter.simulation.generation import Beam
    from auto_iter.simulation.misalignment import Sizes
    from auto_iter.simulation.moves import parse_move

    is_list = ":" in arguments.run
    given = arguments.files if arguments.files or is_list else FILES
    run, files = parse_run_and_files(arguments.run, given)
    options = simulation.Options(
        year=parse_year(arguments.year),
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
        moves=dict(map(parse_move, arguments.moves)),
    )
    with bar("raw files", len(files)) as step:
        for part in parts_of(run, files):
            asked = replace(options, run=part.run, files=part.files.numbers)
            simulated = simulation.simulate(arguments.directory, asked, step)
    print(f"{files.summary} in {simulated.raw_dir}")
    print(f"truth: {simulated.truth}")
    print(
        f"align with: auto-iter run -y {options.year} {command_line(run, files)} "
        f"-i 10 --config {simulated.config}"
        + (f" {OPTIONS[WITH_IFT]}" if options.beam.stations == WITH_IFT else "")
    )
    return 0
