"""A status as a screenful for a person, in 80 columns whatever the alignment says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from auto_iter.alignment.figures import FIGURES, figures_of, hold_out_lines, jobs_in_words
from auto_iter.daemon.screen.layout import COLUMNS, clipped, unbroken, wrapped
from auto_iter.daemon.status import Record, Status
from auto_iter.rawfiles import spoken
from auto_iter.times import moment, roughly, to_the_minute

SHOWN_FILES = 10
"""So many failing and so many held files are described; a screen has room for no more."""

_PHASE_COLUMNS = 10


def status_text(status: Status, columns: int = COLUMNS) -> str:
    """Return where an alignment is, what is wrong, and what its iterations found."""
    lines = [
        *_headline(status),
        *_by_hand(status),
        *_hindrance(status),
        *_ticket(status),
        *_crowded(status),
        *_jobs(status),
        *([] if status.remark is None else [status.remark]),
        *_failure(status),
        *history_table(status.record["history"]),
        *hold_out_lines(status.record["history"]),
    ]
    return "\n".join(wrapped(lines, columns))


def end_in_words(status: Status) -> str | None:
    """Return when the alignment is expected to be done; None where nobody can tell."""
    end = status.end
    if end is None:
        return None
    done, most = len(status.record["history"]), status.record["arguments"]["iterations"]
    at = end.in_words(status.now)
    return f"expected to finish {at}, if it takes all {most} iterations ({done} done)"


def _headline(status: Status) -> list[str]:
    record = status.record
    where = f"iteration {record['iteration']} of {record['arguments']['iterations']}"
    if record["strategy"]:
        where += f" ({_place(status)})"
    lines = [f"{status.workspace.root.name}: {status.state}, {where}"]
    if record["verdict"] is not None:
        lines.append(record["verdict"]["sentence"])
    return [*lines, *_who(status)]


def _who(status: Status) -> list[str]:
    root, holder = status.workspace.root, status.holder
    if holder is not None and not status.is_silent:
        return [f"daemon: pid {holder.pid} on {holder.host}, since {holder.since}"]
    if holder is not None:
        return _silent(status, f"pid {holder.pid} on {holder.host}")
    if status.is_under_dagman:
        follow = unbroken(f"auto-iter dag status {root}")
        return [f"handed to DAGMan; follow it with: {follow}"]
    if status.is_over:
        return ["no daemon is running"]
    return [f"no daemon is running; resume with: {unbroken(status.workspace.resume_command)}"]


def _silent(status: Status, daemon: str) -> list[str]:
    """Say that a daemon may be gone: its host down, it stopped, the disk out of its reach."""
    lines = [f"its daemon, {daemon}, has given no sign of life for {roughly(status.silent_s)}"]
    if status.is_over:
        return lines
    go_on = unbroken(status.workspace.resume_command)
    return [*lines, f"look there; where it is gone, go on with: {go_on}"]


def _place(status: Status) -> str:
    """Say the strategy, and the phase where it is not called the same."""
    strategy, phase = status.record["strategy"], status.record["phase_name"]
    if phase.lower() == strategy.lower():
        return f"strategy {strategy}"
    return f"strategy {strategy}, phase {phase}, its iteration {status.within}"


def _by_hand(status: Status) -> list[str]:
    """Tell what a person has asked for that still holds, and what is left out."""
    paused, skipped, lines = status.record["paused"], status.record["skipped"], list[str]()
    if status.is_paused:
        since = to_the_minute(paused["since"])
        go_on = unbroken(status.workspace.resume_command)
        lines.append(f"paused since {since} by {paused['by']}; go on: {go_on}")
    lost = {str(number) for number in status.record["lost"]}
    for words, numbers in (
        ("by hand", skipped.keys() - lost),
        ("since an iteration did without (reco.lost_files: same)", lost),
    ):
        told = (f"{spoken(int(n))} (from iteration {skipped[n]})" for n in sorted(numbers, key=int))
        if numbers:
            lines.append(f"left out {words}: {' '.join(told)}")
    return lines


def _hindrance(status: Status) -> list[str]:
    hindrance = status.record["hindrance"]
    if hindrance is None or status.is_over:
        return []
    since = to_the_minute(hindrance["since"])
    what = f"waiting for {hindrance['kind']}" if hindrance.get("kind") else "waiting"
    if not status.has_daemon:
        return [f"had been {what} since {since}: {hindrance['reason']}"]
    return [f"{what} since {since}; retries automatically: {hindrance['reason']}"]


def _ticket(status: Status) -> list[str]:
    warning = status.record.get("ticket_warning")
    return [] if warning is None or status.is_over else [warning]


def _crowded(status: Status) -> list[str]:
    words = status.record.get("crowded")
    return [f"little room: {words}"] if words and not status.is_over else []


def _jobs(status: Status) -> list[str]:
    progress = status.record["progress"]
    if status.is_over:
        return []
    end = end_in_words(status)
    after = [] if end is None else [end]
    if not progress["wanted"]:
        return after
    line = (
        f"files: {progress['delivered']} of {progress['wanted']} reconstructed; jobs: "
        f"{jobs_in_words(progress)}"
    )
    if progress["seen_at"] is not None:
        line += f" (as of {time.strftime('%H:%M:%S', time.localtime(progress['seen_at']))})"
    if status.jobs_end is not None:
        line += f"; expected to finish at {moment(status.jobs_end, status.now)}"
    canary = status.canary
    first = [] if canary is None else [f"trying one file first: {spoken(canary)}; the rest follows"]
    unmatched = [progress["unmatched"]] if progress.get("unmatched") else []
    machines = ", ".join(status.record["avoid_machines"])
    avoided = [f"machines avoided: {machines}"] if machines else []
    files = [*_few(_failing(status), "fail"), *_few(_held(status), "are held")]
    return [line, *after, *first, *unmatched, *avoided, *files]


def _failing(status: Status) -> list[str]:
    counts: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for kind, how in (("failures", "failed"), ("losses", "lost")):
        for number, count, reason in status.troubles(kind):
            counts.setdefault(number, []).append(f"{count} {how}")
            reasons[number] = reason
    return [
        f"  file {number}: {', '.join(counts[number])}, last: {reasons[number]}"
        for number in sorted(counts)
    ]


def _held(status: Status) -> list[str]:
    record, reasons = status.record, status.record["troubles"]
    told = {*record["failures"], *record["losses"]}
    numbers = [each for each in record["held_since"] if each in reasons and each not in told]
    return [
        f"  file {spoken(int(each))}: {_for_how_long(status, each)}{reasons[each]}"
        for each in sorted(numbers, key=int)
    ]


def _for_how_long(status: Status, number: str) -> str:
    """Say how long a job has been held of the time after which the site removes it."""
    limit_s = status.record["held_limit_s"]
    if limit_s is None:
        return ""
    held_s = max(0.0, status.now - status.record["held_since"][number])
    so_far = f"{held_s // 3600:.0f} h" if held_s >= 3600 else f"{held_s // 60:.0f} min"
    return f"held {so_far} of {limit_s / 3600:g} h, "


def _few(lines: list[str], what: str) -> list[str]:
    more = len(lines) - SHOWN_FILES
    return [*lines[:SHOWN_FILES], f"  and {more} more {what}"] if more > 0 else lines


def _failure(status: Status) -> list[str]:
    failure = status.record["failure"]
    if failure is None:
        return []
    lines = [f"failed in {failure['state']}: {failure['reason']}"]
    if failure["remedy"]:
        lines.append(f"what to do: {failure['remedy']}")
    return [*lines, f"then run: {unbroken(status.workspace.resume_command)}"]


def history_table(history: Sequence[Record]) -> list[str]:
    """Return a row for each finished iteration; nothing where there is none."""
    if not history:
        return []
    phases = {each.get("phase", "") for each in history}
    width = min(max(map(len, phases)), _PHASE_COLUMNS) if len(phases) > 1 else 0
    head = "iter " + (f"{'phase':<{width}} " if width else "")
    head += "files " + " ".join(f"{each.heading:>{each.width}}" for each in FIGURES.values())
    rows = [_row(each, width) for each in history]
    accepted = [each for each in history if each.get("by_hand")]
    by_hand = [f"iteration {each['iteration']}: {each['by_hand']}" for each in accepted]
    return [f"{head} {'time':>8}", *rows, *by_hand]


def _row(each: Record, width: int) -> str:
    phase = f"{clipped(each.get('phase', ''), width):<{width}} " if width else ""
    values = figures_of(each)
    columns = " ".join(f"{values[name]:{f.width}.{f.decimals}f}" for name, f in FIGURES.items())
    took = timedelta(seconds=round(each["finished_at"] - each["started_at"]))
    return f"{each['iteration']:4d} {phase}{each['files']:5d} {columns} {took!s:>8}"
