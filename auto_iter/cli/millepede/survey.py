"""`auto-iter survey`: what survey measurements would buy, before they are made."""

from __future__ import annotations

import argparse
from pathlib import Path

from auto_iter.cli.command import command, option
from auto_iter.cli.options import ITERATION
from auto_iter.processes.threads import use_one_thread


@command(ITERATION, option("file", type=Path, metavar="FILE", help="the measurements, YAML"))
def survey(arguments: argparse.Namespace) -> int:
    """Tell what survey measurements would buy: weak modes without and with them.

    By the tracks that an iteration was solved with: uncertainties of what is measured and of the
    weakly constrained combinations, without and with the measurements. Changes nothing; values do
    not matter, only their uncertainties.

    FILE has a line for each measurement, in mm and rad; keys are those of
    inputforalign.txt:
      20.y: 0.05 ± 0.05
      "20.y - 10.y": 0.00 ± 0.02
    For an alignment that uses it: auto-iter run … --set alignment.survey=FILE
    """
    use_one_thread()
    from auto_iter.daemon.screen.layout import wrapped
    from auto_iter.ledger.places import workspace_and_iteration
    from auto_iter.millepede.survey import load_survey
    from auto_iter.report.history import read_history
    from auto_iter.report.survey_text import survey_lines

    root, number = workspace_and_iteration(arguments.iteration)
    history = read_history(root).until(number)
    measured = load_survey(arguments.file, history.strategy)
    print("\n".join(wrapped(survey_lines(history, measured))))
    return 0
