"""`auto-iter constants`: look at alignment constants, compare them, plot them."""

from __future__ import annotations

import argparse
from pathlib import Path

from auto_iter.cli.options import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser("constants", help="show, compare or plot alignment constants")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser("show", help="print constants as a table")
    show.add_argument("file", type=Path, help="an inputforalign.txt")
    show.set_defaults(call=_show)
    diff = actions.add_parser("diff", help="print where two files of constants differ")
    diff.add_argument("one", type=Path, metavar="A")
    diff.add_argument("other", type=Path, metavar="B")
    diff.set_defaults(call=_diff)
    plot = actions.add_parser("plot", help="plot constants per layer and per module")
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


def _diff(arguments: argparse.Namespace) -> int:
    from auto_iter.detector.constants import read_constants
    from auto_iter.detector.constants_table import difference, format_difference

    one, other = read_constants(arguments.one), read_constants(arguments.other)
    print(format_difference(difference(one, other)))
    return 0


def _plot(arguments: argparse.Namespace) -> int:
    from auto_iter.detector.constants import read_constants
    from auto_iter.report.constants_plot import plot_constants

    output = arguments.output or arguments.file.with_suffix(".png")
    plot_constants(read_constants(arguments.file), output, str(arguments.file))
    print(output)
    return 0
