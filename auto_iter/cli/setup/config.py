"""`auto-iter config`: write, show and check the configuration."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from auto_iter.cli.command import Command, option
from auto_iter.cli.options import CONFIG, SET

config = Command(
    """Write, show, check or import the configuration.

    Settings come from defaults, --config FILE (or auto_iter.yaml, or config.json here), environment
    (AUTO_ITER__SECTION__KEY), --set section.key=value; later ones win.
    """
)


@config.command(
    option(
        "file", nargs="?", type=Path, default=Path("auto_iter.yaml"), metavar="FILE",
        help="where to (default: %(default)s)",
    )
)  # fmt: skip
def init(arguments: argparse.Namespace) -> int:
    """Write a configuration with all settings, their defaults and what they mean."""
    from auto_iter.config.file import default_text
    from auto_iter.errors import UsageError
    from auto_iter.files import write_atomically

    if arguments.file.exists():
        raise UsageError(f"{arguments.file}: exists already; give another name")
    write_atomically(arguments.file, default_text())
    print(f"{arguments.file}: edit it, then `auto-iter config validate --config {arguments.file}`")
    return 0


@config.command(CONFIG, SET)
def show(arguments: argparse.Namespace) -> int:
    """Print all settings as they would be used here."""
    from auto_iter.config.file import dump_config, load_config

    print(dump_config(load_config(arguments.config, arguments.overrides, os.environ)), end="")
    return 0


@config.command(CONFIG, SET)
def validate(arguments: argparse.Namespace) -> int:
    """Check a configuration and the paths in it; say what is wrong in one line."""
    from auto_iter.batch.registry import driver_of, resolve_config
    from auto_iter.config.file import load_config
    from auto_iter.config.presets import tag_chain

    given = load_config(arguments.config, arguments.overrides, os.environ)
    config = resolve_config(given, os.environ)
    paths: dict[str, Path | None] = {
        "paths.raw_dir": config.paths.raw_dir,
        "paths.calypso_install": config.paths.calypso_install,
        "paths.pede_install": config.paths.pede_install,
        "alignment.initial_constants": config.alignment.initial_constants,
        "alignment.survey": config.alignment.survey,
        "simulation.truth": config.simulation.truth,
        "reco.asetup_input": Path(asetup) if (asetup := config.reco.asetup_input) else None,
    }
    chain = tag_chain(config.reco)
    programs = {"reco.writer": chain.writer, "reco.program": config.reco.program}
    paths |= {key: Path(name) for key, name in programs.items() if "/" in name}
    missing = [
        f"{key}: {path}: no such path" for key, path in paths.items() if path and not path.exists()
    ]
    for line in missing:
        print(line)
    driver_of(config).refuse_place(config.paths.work_dir)
    print("the settings are valid" + (f", {len(missing)} paths are missing" if missing else ""))
    return 1 if missing else 0


@config.command(
    option("old", type=Path, metavar="OLD", help="a config.json of the DAG scripts"),
    option("file", nargs="?", type=Path, metavar="FILE", help="e.g. auto_iter.yaml"),
)
def import_(arguments: argparse.Namespace) -> int:
    """Convert the collaboration's config.json (raw, workflow, dag …).

    Show what OLD means here: configuration, strategy, the command to run, and what could not be
    converted. With FILE, configuration and strategy are written there.
    """
    from auto_iter.config.file import validated
    from auto_iter.config.imported import as_yaml, read_dag_config
    from auto_iter.config.schema import Config
    from auto_iter.errors import UsageError
    from auto_iter.files import write_atomically
    from auto_iter.millepede.strategy.file import parse_strategy

    imported = read_dag_config(arguments.old)
    file: Path = arguments.file or Path("auto_iter.yaml")
    strategy = file.with_name(f"{file.stem}_strategy.yaml")
    texts = {}
    if imported.strategy is not None:
        texts[strategy] = f"# from {arguments.old}\n{as_yaml(imported.strategy)}"
        parse_strategy(texts[strategy], str(arguments.old))
        imported.put("alignment", "strategy", str(strategy.absolute()))
    validated(imported.settings, {}, Config)
    texts[file] = f"# from {arguments.old}\n{as_yaml(imported.settings, short_lists=False)}"
    for path, text in texts.items():
        if arguments.file is not None and path.exists():
            raise UsageError(f"{path}: exists already; give another name")
        if arguments.file is not None:
            write_atomically(path, text)
            print(f"written: {path}")
        else:
            print(f"# ---- {path}\n{text}")
    for remark in imported.remarks:
        print(f"not taken: {remark}")
    if arguments.file is None:
        print(f"write it: auto-iter config import {arguments.old} {file}")
    print(f"align with: auto-iter run {' '.join(imported.run)} --config {file}")
    return 0
