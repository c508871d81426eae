"""`auto-iter config`: write, show and check the configuration."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from auto_iter.cli.options import Subparsers, add_config_options


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser("config", help="write, show or check the configuration")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    init = actions.add_parser("init", help="write a commented configuration with all defaults")
    init.add_argument("file", nargs="?", type=Path, default=Path("auto_iter.yaml"))
    init.set_defaults(call=_init)
    show = actions.add_parser("show", help="print the configuration as it would be used")
    add_config_options(show)
    show.set_defaults(call=_show)
    validate = actions.add_parser("validate", help="check a configuration and the paths in it")
    add_config_options(validate)
    validate.set_defaults(call=_validate)


def _init(arguments: argparse.Namespace) -> int:
    from auto_iter.configfile import default_text
    from auto_iter.errors import UsageError
    from auto_iter.files import write_atomically

    if arguments.file.exists():
        raise UsageError(f"{arguments.file}: exists already; give another name")
    write_atomically(arguments.file, default_text())
    print(f"{arguments.file}: edit it, then `auto-iter config validate --config {arguments.file}`")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from auto_iter.configfile import dump_config, load_config

    print(dump_config(load_config(arguments.config, arguments.overrides, os.environ)), end="")
    return 0


def _validate(arguments: argparse.Namespace) -> int:
    from auto_iter.configfile import load_config
    from auto_iter.settled import with_absolute_paths

    given = load_config(arguments.config, arguments.overrides, os.environ)
    config = with_absolute_paths(given)
    paths = {
        "paths.raw_dir": config.paths.raw_dir,
        "paths.calypso_install": config.paths.calypso_install,
        "paths.pede_install": config.paths.pede_install,
        "alignment.initial_constants": config.alignment.initial_constants,
        "simulation.truth": config.simulation.truth,
    }
    missing = [
        f"{key}: {path}: no such path" for key, path in paths.items() if path and not path.exists()
    ]
    for line in missing:
        print(line)
    print("the settings are valid" + (f", {len(missing)} paths are missing" if missing else ""))
    return 1 if missing else 0
