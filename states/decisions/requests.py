"""What people ask for, worked into the snapshot: pause, go on, give tries back, leave files out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from auto_iter.alignment.requests import Pause, Request, Wish
from auto_iter.alignment.snapshot import Snapshot
from states.decisions.outputs import without
from states.step import Note, Ports

TOLD = 20
"""So many raw files are named in a line of the log."""

_OF_TRIES = ("failures", "losses", "troubles", "exit_codes", "releases")
"""What a raw file is without once it has its tries back."""


def taken_in(snapshot: Snapshot, requests: Iterable[Request]) -> tuple[Snapshot, tuple[Note, ...]]:
    """Return the snapshot with all requests worked in that it does not know of yet.

    It remembers them all, so that those whose files are still there are not done a second time.
    """
    asked = tuple(requests)
    new = [each for each in asked if each.id not in snapshot.taken]
    for each in new:
        snapshot = _EFFECTS[each.wish](snapshot, each)
    if new:
        snapshot = snapshot.but(taken=tuple(each.id for each in asked))
    return snapshot, tuple(map(_note, new))


def _paused(snapshot: Snapshot, request: Request) -> Snapshot:
    if snapshot.paused is not None:
        return snapshot
    return snapshot.but(paused=Pause(since=request.at, by=request.by))


def _going_on(snapshot: Snapshot, request: Request) -> Snapshot:
    if snapshot.paused is None:
        return snapshot
    # The time that an iteration takes does not begin before it does.
    began = request.at if snapshot.state == "prepare" else snapshot.iteration_started_at
    return snapshot.but(paused=None, iteration_started_at=began)


def _with_tries(snapshot: Snapshot, request: Request) -> Snapshot:
    given = frozenset(request.files)
    changes = {
        name: {n: each for n, each in getattr(snapshot, name).items() if n not in given}
        for name in _OF_TRIES
    }
    return snapshot.but(**changes, cause=None)


def _skipping(snapshot: Snapshot, request: Request) -> Snapshot:
    # What is solved is solved with them.
    is_solved = snapshot.state in {"next_iteration", "done"}
    first = snapshot.iteration + 1 if is_solved else snapshot.iteration
    skipped = {**dict.fromkeys(request.files, first), **snapshot.skipped}
    # What a person leaves out is not lost any more: `reco.lost_files: retry` has no say in it.
    lost = tuple(number for number in snapshot.lost if number not in request.files)
    return _with_tries(snapshot, request).but(skipped=skipped, lost=lost)


def _cleaned(snapshot: Snapshot, request: Request) -> Snapshot:
    history = tuple(
        each.model_copy(update={"cleaned_at": request.at})
        if each.iteration in request.iterations and each.cleaned_at is None
        else each
        for each in snapshot.history
    )
    return snapshot.but(history=history)


_EFFECTS: Mapping[Wish, Callable[[Snapshot, Request], Snapshot]] = {
    "pause": _paused,
    "go on": _going_on,
    "retry": _with_tries,
    "skip": _skipping,
    "cleaned": _cleaned,
}

_PHRASES: Mapping[Wish, str] = {
    "pause": "paused by hand",
    "go on": "goes on by hand",
    "retry": "tries given back by hand",
    "skip": "raw files left out by hand",
    "cleaned": "iterations cleaned by hand",
}


def _note(request: Request) -> Note:
    fields: dict[str, object] = {"by": request.by}
    if request.files:
        fields |= {"number": len(request.files), "files": list(request.files[:TOLD])}
    if request.iterations:
        fields |= {"iterations": list(request.iterations), "freed_bytes": request.freed_bytes}
    return Note(_PHRASES[request.wish], fields, "warning" if request.wish == "skip" else "info")


def end_skipped(snapshot: Snapshot, ports: Ports) -> Snapshot:
    """Remove the jobs of raw files that are left out, of one submission; return what is then.

    May be repeated: the same snapshot comes back where there is none.
    """
    for attempt in snapshot.live_attempts:
        unwanted = sorted(filter(attempt.may_bring, snapshot.skipped))
        if unwanted:
            ports.batch.remove(attempt.submission, "left out by hand", unwanted)
            return without(snapshot, attempt.key, unwanted)
    return snapshot
