"""`auto-iter constants`: look at alignment constants, where they come from, compare, plot them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from auto_iter.cli.command import Command, option
from auto_iter.cli.options import WORKSPACE, the_workspace
from auto_iter.errors import InputError

_PLACE = "an inputforalign.txt, an iteration (WORKSPACE/iterNN), or a workspace: its result"
_FILE = option("file", type=Path, metavar="FILE", help=_PLACE)

constants = Command("Show, compare or plot constants, in µm and mrad, and where they come from.")


@constants.command(_FILE)
def show(arguments: argparse.Namespace) -> int:
    """Print constants as a table, by component."""
    from auto_iter.detector.constants import read_constants
    from auto_iter.detector.constants_table import format_table
    from auto_iter.ledger.places import constants_at

    print(format_table(read_constants(constants_at(arguments.file))))
    return 0


@constants.command(
    WORKSPACE, option("--json", action="store_true", help="the manifests, for programs")
)
def log(arguments: argparse.Namespace) -> int:
    """Print an alignment's chain of evidence, iteration by iteration."""
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.ledger.text import log_lines
    from auto_iter.workspace.manifest import chain

    opened = open_workspace(the_workspace(arguments.workspace))
    links = list(chain(opened.workspace, opened.snapshot.history))
    if arguments.json:
        told = [
            {
                "iteration": link.record.iteration,
                "hash": link.record.manifest,
                "fault": link.fault,
                "manifest": None
                if link.manifest is None
                else json.loads(link.manifest.model_dump_json()),
            }
            for link in links
        ]
        print(json.dumps(told, indent=1))
    else:
        print("\n".join(log_lines(links)))
    return 1 if any(link.fault for link in links if link.record.manifest) else 0


@constants.command(
    option("one", type=Path, metavar="A", help=_PLACE),
    option("other", type=Path, metavar="B", help=_PLACE),
)
def diff(arguments: argparse.Namespace) -> int:
    """Print where constants differ; of two alignments also whether it is one detector.

    Print the constants that differ between A and B, and by how much: B - A.
    """
    from auto_iter.detector.constants import read_constants
    from auto_iter.detector.constants_table import difference, format_difference
    from auto_iter.ledger.places import constants_at, directory_of

    one, other = (read_constants(constants_at(each)) for each in (arguments.one, arguments.other))
    print(format_difference(difference(one, other)))
    places = [directory_of(each) for each in (arguments.one, arguments.other)]
    if None not in places:
        from auto_iter.processes.threads import use_one_thread

        use_one_thread()
        from auto_iter.daemon.screen.layout import wrapped
        from auto_iter.ledger.difference import difference as compared
        from auto_iter.ledger.sample import sample
        from auto_iter.ledger.text import agreement_lines

        print()
        try:
            first, second = (
                sample(str(path), path / "3millepede", path.parent / "strategy.yaml")
                for path in places
                if path is not None
            )
            told = list(agreement_lines(compared(first, second)))
        except InputError as error:  # `clean` takes away what it needs
            told = [f"whether it is one detector cannot be told: {error}"]
        print("\n".join(wrapped(told)))
    return 0


@constants.command(
    _FILE,
    option("-o", "--output", type=Path, help="*.png, *.pdf or *.svg (default: a PNG beside FILE)"),
)
def plot(arguments: argparse.Namespace) -> int:
    """Plot constants, per layer and per module."""
    from auto_iter.detector.constants import read_constants
    from auto_iter.ledger.places import constants_at
    from auto_iter.report.constants_plot import plot_constants

    file = constants_at(arguments.file)
    output = arguments.output or file.with_suffix(".png")
    plot_constants(read_constants(file), output, str(file))
    print(output)
    return 0
