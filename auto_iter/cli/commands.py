"""All subcommands, in the order of `--help`."""

from __future__ import annotations

from auto_iter.cli import (
    config,
    constants,
    dag,
    doctor,
    fetch,
    logs,
    reco,
    resume,
    run,
    simulate,
    status,
    stop,
)
from auto_iter.cli.millepede import links as millepede

ALL = (
    run.add_parser,
    resume.add_parser,
    status.add_parser,
    logs.add_parser,
    stop.add_parser,
    dag.add_parser,
    reco.add_parser,
    fetch.add_parser,
    millepede.add_parser,
    constants.add_parser,
    config.add_parser,
    doctor.add_parser,
    simulate.add_parser,
)
