"""`auto-iter run`: start an alignment, or go on with it when its workspace is there."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.options import Subparsers, add_config_options, positive

if TYPE_CHECKING:
    from auto_iter.alignment.snapshot import Arguments
    from auto_iter.config.schema import Config

EPILOG = """\
A range excludes its end: 400-450 and 400:450 are the 50 files 00400 to 00449.
To continue after an interruption, run the same line again, or `auto-iter resume WORKSPACE`.
For days on a node:  nohup auto-iter run -y 2023 -r 011705 -f 450-500 -i 10 &>>auto_iter.log &
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "run",
        help="run an alignment to its end",
        description="Run an alignment: reconstruct, convert, solve; then again.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_alignment_options(parser)
    parser.add_argument(
        "-i", "--iteration", "--iterations", dest="iterations", type=positive, metavar="N",
        help="maximum number of iterations (default: as many as the strategy's phases take, or "
        "alignment.default_iterations, 10); it ends earlier once converged",
    )  # fmt: skip
    parser.add_argument(
        "--allow-missing", action="store_true", help="continue without raw files that are missing"
    )
    parser.add_argument("--steal-lock", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(call=_run)


def add_alignment_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add what says which raw files are reconstructed, and how."""
    parser.add_argument("-y", "--year", required=required, help="year of the run, e.g. 2023")
    parser.add_argument("-r", "--run", required=required, help="run number, e.g. 011705 or 11705")
    parser.add_argument(
        "-f", "--file", "--files", dest="files", required=required, metavar="FILES",
        help="one raw file (400) or a range without its end (400-450 or 400:450: 50 files)",
    )  # fmt: skip
    stations = parser.add_mutually_exclusive_group()
    stations.add_argument(
        "--fourst", dest="stations", action="store_const", const=4,
        help="4-station mode (with the IFT)",
    )  # fmt: skip
    stations.add_argument(
        "--threest", dest="stations", action="store_const", const=3,
        help="3-station mode (default: what the strategy needs)",
    )  # fmt: skip
    parser.add_argument("--env_script", "--env-script", type=Path, metavar="FILE",
                        help="environment script of the jobs; made when missing "
                        "(default: reco_condor_env.sh)")  # fmt: skip
    parser.add_argument("--calypso_path", "--calypso-path", type=Path, metavar="DIR",
                        help="Calypso's install directory, to make the env script from; "
                        "a script that is there already wins")  # fmt: skip
    parser.add_argument("--raw_dir", "--raw-dir", type=Path, metavar="DIR",
                        help="raw files are <DIR>/<year>/<run>/Faser-Physics-*.raw")  # fmt: skip
    parser.add_argument("--work_dir", "--work-dir", type=Path, metavar="DIR",
                        help="where the workspace is made (default: here)")  # fmt: skip
    parser.add_argument("--batch", metavar="SYSTEM",
                        help="where jobs run: htcondor, local … (default: auto, what is set up "
                        "here)")  # fmt: skip
    parser.add_argument(
        "--strategy",
        help="alignment strategy: a name or a YAML file (default: 3st, with --fourst 4st)",
    )
    add_config_options(parser)


def alignment_config(arguments: argparse.Namespace) -> Config:
    """Return the configuration with the options of `add_alignment_options` worked in."""
    from auto_iter.config.file import load_config

    options = {
        "paths.env_script": arguments.env_script,
        "paths.calypso_install": arguments.calypso_path,
        "paths.raw_dir": arguments.raw_dir,
        "paths.work_dir": arguments.work_dir,
        "batch.system": arguments.batch,
        "alignment.strategy": arguments.strategy,
    }
    # Quoted: `--work_dir 2023` is a directory, not a number.
    given = [f"{key}={json.dumps(str(value))}" for key, value in options.items() if value]
    config = load_config(arguments.config, [*given, *arguments.overrides], os.environ)
    return _with_strategy(config, arguments.stations)


def _with_strategy(config: Config, stations: int | None) -> Config:
    """Return the configuration with the strategy that is made for so many stations."""
    from auto_iter.millepede.strategy.file import AUTO, default_strategy

    if config.alignment.strategy != AUTO:
        return config
    alignment = config.alignment.model_copy(update={"strategy": default_strategy(stations or 3)})
    return config.model_copy(update={"alignment": alignment})


def alignment_arguments(
    arguments: argparse.Namespace, config: Config, iterations: int | None
) -> Arguments:
    """Return what identifies the alignment. Raises UsageError.

    Stations and iterations that nobody gave are those that the strategy needs.
    """
    from auto_iter.alignment.snapshot import Arguments, refuse_iterations
    from auto_iter.millepede.strategy.file import load_strategy
    from auto_iter.rawfiles import RawRange, parse_run, parse_year

    strategy = load_strategy(config.alignment.strategy)
    if iterations is None:
        iterations = strategy.iterations or config.alignment.default_iterations
    refuse_iterations(iterations)
    return Arguments(
        year=parse_year(arguments.year),
        run=parse_run(arguments.run),
        files=RawRange.parse(arguments.files),
        iterations=iterations,
        stations=arguments.stations or (4 if strategy.needs_ift else 3),
    )


def _run(arguments: argparse.Namespace) -> int:
    from auto_iter.daemon.session import SessionOptions, run_session, start

    config = alignment_config(arguments)
    asked = alignment_arguments(arguments, config, arguments.iterations)
    opened = start(asked, config, allow_missing=arguments.allow_missing, now=time.time())
    return run_session(opened, SessionOptions(steal_lock=arguments.steal_lock))
