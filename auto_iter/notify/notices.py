"""What people have to be told of an alignment: a pure function of the snapshot, settings and time.

What happens once is told once. What lasts - held jobs, a stall, something in the way - is told
after a while of patience, all jobs in one event, and again at most every `repeat_s`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auto_iter.alignment.event import Event, Kind, Notices, Told
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.notify import Notify
from auto_iter.rawfiles import spoken

LASTING = frozenset({"held", "stalled", "waiting"})

USUAL_FACTOR = 3.0
LEAST_STALL_S = 4 * 3600.0
FIRST_STALL_S = 12 * 3600.0
"""How long no job may end: three of the longest iteration so far, but so long at least; in the
first one, where nothing is usual yet, so long."""


@dataclass(frozen=True)
class _Finding:
    """Something to tell. `since`: when it came to be; what was told before that was another one."""

    kind: Kind
    words: str
    about: str = ""
    remedy: str = ""
    files: tuple[int, ...] = ()
    verdict: str | None = None
    exit_code: int | None = None
    since: float = 0.0


def noticed(snapshot: Snapshot, now: float, settings: Notify) -> Snapshot:
    """Return the snapshot that remembers what is to be told now; the same where nothing is new."""
    if not settings.is_on:
        return snapshot
    notices = _moved(snapshot, now)
    for finding in _findings(snapshot, now, settings, notices):
        if finding.kind in settings.events and _is_news(finding, notices, now, settings):
            notices = _with(notices, finding, snapshot, now)
    return snapshot if notices == snapshot.notices else snapshot.but(notices=notices)


def _moved(snapshot: Snapshot, now: float) -> Notices:
    failures, losses = sum(snapshot.failures.values()), sum(snapshot.losses.values())
    ended = (snapshot.progress.delivered, failures, losses)
    mark = " ".join(map(str, (snapshot.state, snapshot.iteration, *ended)))
    if mark == snapshot.notices.mark:
        return snapshot.notices
    return snapshot.notices.model_copy(update={"mark": mark, "moved_at": now})


def _is_news(finding: _Finding, notices: Notices, now: float, settings: Notify) -> bool:
    told = notices.told.get(_key(finding))
    if told is None:
        return True
    if finding.kind in LASTING:
        return now - told.at >= settings.repeat_s
    # By time as well: an alignment that was rolled back may end with as many iterations again.
    return told.about != finding.about or told.at < finding.since


def _key(finding: _Finding) -> str:
    """Return what is told apart: a full disk and a schedd that is down may be both in the way."""
    return f"waiting {finding.about}" if finding.kind == "waiting" else finding.kind


def _with(notices: Notices, finding: _Finding, snapshot: Snapshot, now: float) -> Notices:
    number = notices.number + 1
    event = Event(
        id=f"{snapshot.workspace_id}-{number}",
        at=now,
        iteration=snapshot.iteration,
        state=snapshot.state,
        **{name: each for name, each in vars(finding).items() if name != "since"},
    )
    told = {**notices.told, _key(finding): Told(about=finding.about, at=now)}
    change = {"number": number, "outbox": (*notices.outbox, event), "told": told}
    return notices.model_copy(update=change)


def _findings(
    snapshot: Snapshot, now: float, settings: Notify, notices: Notices
) -> Iterator[_Finding]:
    yield from _ends(snapshot)
    yield from _course(snapshot)
    if snapshot.state not in {"done", "failed", "stopped"}:
        yield from _held(snapshot, now, settings)
        yield from _waiting(snapshot, now, settings)
        yield from _stalled(snapshot, settings, notices)
        if snapshot.crowded:  # once an alignment; log and status tell it in every iteration
            yield _Finding("crowded", f"little room: {snapshot.crowded}", about="directories")


def _ends(snapshot: Snapshot) -> Iterator[_Finding]:
    verdict, failure = snapshot.verdict, snapshot.failure
    if snapshot.state == "done" and verdict is not None:
        yield _Finding(
            "finished",
            verdict.sentence,
            about=str(len(snapshot.history)),
            verdict=str(verdict.word),
            exit_code=verdict.word.exit_code,
            since=_ended_at(snapshot),
        )
    if snapshot.state == "failed" and failure is not None:
        words = f"failed in {failure.state}: {failure.reason}"
        yield _Finding("failed", words, about=str(failure.at), remedy=failure.remedy, exit_code=1)


def _ended_at(snapshot: Snapshot) -> float:
    return snapshot.history[-1].finished_at if snapshot.history else 0.0


def _course(snapshot: Snapshot) -> Iterator[_Finding]:
    """How the constants develop: a phase that converged, an alignment that gets worse."""
    last = snapshot.history[-1] if snapshot.history else None
    ends = last is not None and (last.ends_phase or snapshot.state == "done")
    if last is not None and ends and last.converged:
        words = f"phase {last.phase} has converged in iteration {last.iteration}"
        yield _Finding("converged", words, about=str(last.iteration), since=last.finished_at)
    verdict = snapshot.verdict
    if verdict is not None and verdict.word is Word.DIVERGING:
        about = f"verdict {len(snapshot.history)}"
        yield _Finding("diverging", verdict.sentence, about=about, since=_ended_at(snapshot))
    elif snapshot.remarks:
        yield _Finding("diverging", "; ".join(snapshot.remarks), about=str(snapshot.iteration))


def _held(snapshot: Snapshot, now: float, settings: Notify) -> Iterator[_Finding]:
    long = [n for n, since in snapshot.held_since.items() if now - since >= settings.patience_s]
    if not long:
        return
    first = min(long, key=lambda number: (snapshot.held_since[number], number))
    hours = (now - snapshot.held_since[first]) / 3600
    why = snapshot.troubles.get(first, "no reason is known")
    jobs = "1 job is" if len(long) == 1 else f"{len(long)} jobs are"
    words = f"{jobs} held, the first for {hours:.1f} h, of raw file {spoken(first)}: {why}"
    yield _Finding("held", words, about=spoken(first), files=tuple(sorted(long)))


def _waiting(snapshot: Snapshot, now: float, settings: Notify) -> Iterator[_Finding]:
    hindrance = snapshot.hindrance
    if hindrance is None or now - hindrance.since < settings.patience_s:
        return
    minutes = (now - hindrance.since) / 60
    what = str(hindrance.kind) or "what is in the way"
    words = f"waiting for {what} for {minutes:.0f} min: {hindrance.reason}"
    yield _Finding("waiting", words, about=str(hindrance.kind))


def _stalled(snapshot: Snapshot, settings: Notify, notices: Notices) -> Iterator[_Finding]:
    seen = snapshot.progress.seen_at
    if not snapshot.live_attempts or seen is None:
        return
    # Counted up to the last look: while nobody looked, jobs may have ended.
    idle_s = seen - notices.moved_at
    if idle_s <= _longest_stall(snapshot, settings):
        return
    progress = snapshot.progress
    words = (
        f"no job has ended for {idle_s / 3600:.1f} h: {progress.delivered} of {progress.wanted} "
        f"raw files are reconstructed; jobs: {progress.jobs_in_words}"
    )
    words += f"; {progress.unmatched}" if progress.unmatched else ""
    yield _Finding("stalled", words)


def _longest_stall(snapshot: Snapshot, settings: Notify) -> float:
    if settings.stalled_after_s is not None:
        return settings.stalled_after_s
    lengths = [each.finished_at - each.started_at for each in snapshot.history]
    return max(LEAST_STALL_S, USUAL_FACTOR * max(lengths)) if lengths else FIRST_STALL_S
