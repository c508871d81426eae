"""`auto-iter campaign`: an alignment for each range of raw files, and where the detector moved."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.command import command, option
from auto_iter.processes.threads import use_one_thread

if TYPE_CHECKING:
    from auto_iter.campaign.plan import Campaign
    from auto_iter.campaign.standing import Standing


@command(
    option(
        "action", nargs="?", choices=("status", "report"),
        help="look at it, or report on what is done, without starting anything",
    ),
    option("file", type=Path, metavar="FILE", help="campaign.yaml"),
)  # fmt: skip
def campaign(arguments: argparse.Namespace) -> int:
    """One alignment for each range of raw files: where did the detector move?

    Run one alignment for each interval of a campaign, and report them together: each constant over
    time, each interval tested against the one before.

    campaign.yaml, least:
      year: 2023
      intervals:
        - {run: 011705, files: 400-450}
        - {run: 011710, files: 0-50}

    Ctrl-C or a kill ends the watching only: the alignments go on, and the same line takes them up.
    Exit code: that of `status --exit-code` for all intervals; 0: all converged.
    """  # noqa: D400 - a question
    from auto_iter.campaign.plan import read_campaign
    from auto_iter.campaign.standing import lines, standing

    read = read_campaign(arguments.file)
    if arguments.action == "status":
        print("\n".join(lines([standing(each) for each in read.intervals])))
        return 0
    if arguments.action == "report":
        return _report(read, [standing(each) for each in read.intervals])
    seen = _run(read)
    for each in seen:
        if not each.is_done:
            said = read.said(each.interval)
            print(f"{each.interval.name}: {each.verdict}; what it said: {said}", file=sys.stderr)
    _report(read, seen)
    from auto_iter.cli.looking.status import most_urgent

    return most_urgent([each.exit_code for each in seen])


def _run(campaign: Campaign) -> Sequence[Standing]:
    from auto_iter.campaign.running import Watch, run, start_daemon
    from auto_iter.campaign.standing import standing
    from auto_iter.daemon.lock import locked

    _refuse_what_cannot_run(campaign)
    with locked(campaign.file.with_suffix(".lock")) as lock:

        def wait(seconds: float) -> None:
            lock.refresh()
            time.sleep(seconds)

        watch = Watch(
            start=lambda interval: start_daemon(campaign, interval),
            look=standing,
            wait=wait,
            tell=lambda line: print(line, flush=True),
            now=time.monotonic,
        )
        try:
            return run(campaign, watch)
        except KeyboardInterrupt:
            print(
                f"the alignments go on; the same line takes them up, and `auto-iter campaign "
                f"status {campaign.file}` looks at them",
                file=sys.stderr,
            )
            raise


def _refuse_what_cannot_run(campaign: Campaign) -> None:
    """Raise UsageError or InputError for what would be refused days later, interval by interval."""
    from auto_iter.campaign.standing import standing
    from auto_iter.cli.main import build_parser
    from auto_iter.cli.run import alignment_arguments, alignment_config
    from auto_iter.daemon.session import start
    from auto_iter.errors import UsageError

    for interval in campaign.intervals:
        if standing(interval).is_done:
            continue
        parsed = build_parser("run").parse_args(["run", *interval.command, *campaign.common])
        config = alignment_config(parsed)
        asked = alignment_arguments(parsed, config, parsed.iterations)
        try:
            opened = start(asked, config, allow_missing=parsed.allow_missing, dry_run=True)
        except UsageError as error:
            # a setting for all of them may be wrong for one
            raise UsageError(f"{campaign.file}: {interval.name}: {error}") from None
        if opened.workspace.root != interval.workspace.root.absolute():
            raise UsageError(
                f"{campaign.file}: paths.work_dir is set to {opened.workspace.root.parent}; say "
                "`work_dir:` in the campaign instead"
            )


def _report(campaign: Campaign, seen: Sequence[Standing]) -> int:
    use_one_thread()
    from auto_iter.campaign.findings import find
    from auto_iter.campaign.text import finding_lines
    from auto_iter.campaign.writing import write_campaign
    from auto_iter.daemon.screen.layout import wrapped

    findings = find(campaign, seen)
    written = write_campaign(campaign, findings)
    print("\n".join(wrapped([*finding_lines(findings), *map(str, written)])))
    return 0
