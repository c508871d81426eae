"""`auto-iter constants`: look at alignment constants, where they come from, compare, plot them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.options import Subparsers, add_workspace_argument, the_workspace

if TYPE_CHECKING:
    from auto_iter.ledger.sample import Sample

_PLACE = "an inputforalign.txt, an iteration (WORKSPACE/iterNN), or a workspace: its result"


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "constants",
        help="show, compare or plot alignment constants, and where they come from",
        description="Look at alignment constants, in µm and mrad, and at where they come from.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser(
        "show",
        help="print constants as a table",
        description="Print the constants of a file as a table, by component.",
    )
    show.add_argument("file", type=Path, help="an inputforalign.txt")
    show.set_defaults(call=_show)
    log = actions.add_parser(
        "log", help="print an alignment's chain of evidence, iteration by iteration"
    )
    add_workspace_argument(log)
    log.add_argument("--json", action="store_true", help="the manifests, for programs")
    log.set_defaults(call=_log)
    diff = actions.add_parser(
        "diff",
        help="print where constants differ; of two alignments also whether it is one detector",
        description="Print the constants that differ between A and B, and by how much: B - A.",
    )
    diff.add_argument("one", type=Path, metavar="A", help=_PLACE)
    diff.add_argument("other", type=Path, metavar="B", help=_PLACE)
    diff.set_defaults(call=_diff)
    plot = actions.add_parser(
        "plot",
        help="plot constants per layer and per module",
        description="Plot the constants of a file, per layer and per module.",
    )
    plot.add_argument("file", type=Path, help="an inputforalign.txt")
    plot.add_argument(
        "-o", "--output", type=Path, help="*.png, *.pdf or *.svg (default: a PNG beside FILE)"
    )
    plot.set_defaults(call=_plot)


def _show(arguments: argparse.Namespace) -> int:
    from auto_iter.detector.constants import read_constants
    from auto_iter.detector.constants_table import format_table

    print(format_table(read_constants(arguments.file)))
    return 0


def _log(arguments: argparse.Namespace) -> int:
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


def _diff(arguments: argparse.Namespace) -> int:
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
        from auto_iter.ledger.comparison import agreement
        from auto_iter.ledger.text import agreement_lines

        print()
        first, second = (_sample(path) for path in places if path is not None)
        print("\n".join(wrapped(agreement_lines(agreement(first, second)))))
    return 0


def _sample(iteration: Path) -> Sample:
    from auto_iter.ledger.sample import sample

    return sample(str(iteration), iteration / "3millepede", iteration.parent / "strategy.yaml")


def _plot(arguments: argparse.Namespace) -> int:
    from auto_iter.detector.constants import read_constants
    from auto_iter.report.constants_plot import plot_constants

    output = arguments.output or arguments.file.with_suffix(".png")
    plot_constants(read_constants(arguments.file), output, str(arguments.file))
    print(output)
    return 0
