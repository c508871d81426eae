"""`auto-iter survey`: what survey measurements would buy, before they are made."""

from __future__ import annotations

import argparse
from pathlib import Path

from auto_iter.cli.options import Subparsers
from auto_iter.processes.threads import use_one_thread

EPILOG = """\
FILE has a line for each measurement, in mm and rad; keys are those of
inputforalign.txt:
  20.y: 0.05 ± 0.05
  "20.y - 10.y": 0.00 ± 0.02
For an alignment that uses it: auto-iter run … --set alignment.survey=FILE
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "survey",
        help="tell what survey measurements would buy: weak modes without and with them",
        description="By the tracks that an iteration was solved with: uncertainties of what is "
        "measured and of the weakly constrained combinations, without and with the measurements. "
        "Changes nothing; values do not matter, only their uncertainties.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "iteration",
        type=Path,
        metavar="ITERATION",
        help="WORKSPACE/iterNN, or a workspace: its result",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the measurements, YAML")
    parser.set_defaults(call=_survey)


def _survey(arguments: argparse.Namespace) -> int:
    use_one_thread()
    from auto_iter.daemon.screen.layout import wrapped
    from auto_iter.ledger.places import workspace_and_iteration
    from auto_iter.millepede.survey import load_survey
    from auto_iter.report.history import read_history
    from auto_iter.report.survey_text import survey_lines

    root, number = workspace_and_iteration(arguments.iteration)
    history = read_history(root).until(number)
    survey = load_survey(arguments.file, history.strategy)
    print("\n".join(wrapped(survey_lines(history, survey))))
    return 0
