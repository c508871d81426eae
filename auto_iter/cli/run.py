"""`auto-iter run`: start an alignment, or go on with it when its workspace is there."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auto_iter.cli.command import Option, command, one_of, option
from auto_iter.cli.options import CONFIG, END_CODES, SET, positive
from auto_iter.detector.stations import WITH_IFT, WITHOUT_IFT

if TYPE_CHECKING:
    from auto_iter.alignment.arguments import Arguments
    from auto_iter.config.schema import Config

DRY_RUN: Final = option(
    "--dry-run", action="store_true",
    help="only print what would be submitted, and what room it takes; nothing is written",
)  # fmt: skip
ALLOW_MISSING: Final = option(
    "--allow-missing", action="store_true", help="continue without raw files that are missing"
)


def alignment_options(*, is_required: bool = True) -> tuple[Option, ...]:
    """Return what says which raw files are reconstructed, and how."""
    return (
        option("-y", "--year", required=is_required, help="year of the run, e.g. 2023"),
        option(
            "-r", "--run", required=is_required,
            help="run number, e.g. 011705 or 11705; or the raw files of several runs in one fit, "
            "without -f: 011705:400-450,011710:0-50 (@0.5 behind a range: its weight)",
        ),
        option(
            "-f", "--file", "--files", dest="files", metavar="FILES",
            help="one raw file (400) or a range without its end (400-450 or 400:450: 50 files)",
        ),
        one_of(
            option(
                "--fourst", dest="stations", action="store_const", const=WITH_IFT,
                help="4-station mode (with the IFT)",
            ),
            option(
                "--threest", dest="stations", action="store_const", const=WITHOUT_IFT,
                help="3-station mode (default: what the strategy needs)",
            ),
        ),
        option(
            "--env_script", "--env-script", type=Path, metavar="FILE",
            help="environment script of the jobs; made when missing "
            "(default: reco_condor_env.sh)",
        ),
        option(
            "--calypso_path", "--calypso-path", type=Path, metavar="DIR",
            help="Calypso's install directory, to make the env script from; a script that is there "
            "already wins",
        ),
        option(
            "--raw_dir", "--raw-dir", type=Path, metavar="DIR",
            help="raw files are <DIR>/<year>/<run>/Faser-Physics-*.raw",
        ),
        option(
            "--work_dir", "--work-dir", type=Path, metavar="DIR",
            help="where the workspace is made (default: here)",
        ),
        option(
            "--batch", metavar="SYSTEM",
            help="where jobs run: htcondor, local … (default: auto, what is set up here)",
        ),
        option(
            "--strategy",
            help="alignment strategy: a name or a YAML file (default: 3st, with --fourst 4st)",
        ),
        CONFIG,
        SET,
    )  # fmt: skip


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
    return config.but("alignment", strategy=default_strategy(stations or WITHOUT_IFT))


def alignment_arguments(
    arguments: argparse.Namespace, config: Config, iterations: int | None
) -> Arguments:
    """Return what identifies the alignment. Raises UsageError.

    Stations and iterations that nobody gave are those that the strategy needs.
    """
    from auto_iter.alignment.arguments import Arguments, refuse_iterations
    from auto_iter.millepede.strategy.file import load_strategy
    from auto_iter.rawfiles import parse_year
    from auto_iter.several_runs import parse_run_and_files

    strategy = load_strategy(config.alignment.strategy)
    if iterations is None:
        iterations = strategy.iterations or config.alignment.default_iterations
    refuse_iterations(iterations)
    run, files = parse_run_and_files(arguments.run, arguments.files)
    return Arguments(
        year=parse_year(arguments.year),
        run=run,
        files=files,
        iterations=iterations,
        stations=arguments.stations or (WITH_IFT if strategy.needs_ift else WITHOUT_IFT),
    )


@command(
    *alignment_options(),
    option(
        "-i", "--iteration", "--iterations", dest="iterations", type=positive, metavar="N",
        help="maximum number of iterations (default: as many as the strategy's phases take, or "
        "alignment.default_iterations, 10); it ends earlier once converged",
    ),
    ALLOW_MISSING,
    DRY_RUN,
    option("--steal-lock", action="store_true", help=argparse.SUPPRESS),
    below=END_CODES,
)  # fmt: skip
def run(arguments: argparse.Namespace) -> int:
    """Run an alignment to its end.

    Run an alignment: reconstruct, convert, solve; then again.

    A range excludes its end: 400-450 and 400:450 are the 50 files 00400 to 00449. To continue after
    an interruption, run the same line again, or `auto-iter resume WORKSPACE`.
    """
    from auto_iter.daemon.session import SessionOptions, run_session, start

    config = alignment_config(arguments)
    asked = alignment_arguments(arguments, config, arguments.iterations)
    if arguments.dry_run:
        from auto_iter.daemon.visits.rehearsal import rehearse_run

        ahead = rehearse_run(asked, config, allow_missing=arguments.allow_missing)
        print("it is done: nothing would be submitted" if ahead is None else ahead)
        return 0
    opened = start(asked, config, allow_missing=arguments.allow_missing)
    return run_session(opened, SessionOptions(steal_lock=arguments.steal_lock))
