"""next_iteration: the history, the report, and whether to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from auto_iter.alignment.history import Divergence, IterationRecord
from auto_iter.alignment.judges.expectation import end_of
from auto_iter.alignment.judges.standing import ConvergenceLimits
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.schema import Alignment
from states.decisions import convergence, hold_out
from states.decisions.sample import with_sample
from states.step import Fire, Note, Outcome, Ports

NOTHING_FAILED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "failure": None,
        "failures": {},
        "losses": {},
        "troubles": {},
        "exit_codes": {},
        "examples": {},
        "disk_full_at": None,
        "cause": None,
        "releases": {},
        "held_since": {},
    }
)
"""What a new iteration begins with, and what a person gives back who resumes a failed one."""


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Record the iteration; go on, in this phase or the next one, or finish."""
    solution = snapshot.solution
    if solution is None:
        raise RuntimeError(
            "next_iteration without a solution: the table lets nothing else lead here"
        )
    stage, settings = snapshot.stage, ports.policy.alignment
    phase, is_last = ports.plan.phase(stage), ports.plan.is_last(stage)
    limits = convergence.limits_of(phase, settings)
    of_phase = [each for each in snapshot.history if each.iteration >= snapshot.phase_began]
    word = convergence.word_of(of_phase, solution, stage.within, phase, limits)
    ends_early = _ends_early(word, settings)
    is_over = stage.within == phase.iterations or ends_early
    record = _record(snapshot, solution, ports).model_copy(
        update={
            "converged": None if limits.excess(solution) is None else word is Word.CONVERGED,
            "word": word,
            "chi2_ndf_change": _change(of_phase, solution),
            "ends_phase": is_over and not is_last,
        }
    )
    divergence = snapshot.divergence if snapshot.by_hand is None else None
    if divergence is not None:
        ends = {"word": Word.DIVERGING, "converged": False, "ends_phase": False}
        record = record.model_copy(update=ends)
    record = record.model_copy(update={"manifest": ports.millepede.seal(snapshot, record)})
    recorded, said = with_sample(
        snapshot.but(history=(*snapshot.history, record), by_hand=None),
        record.left_out,
        ports.policy.reco.lost_files,
    )
    if divergence is not None:
        return _finished(recorded.but(settled=True, verdict=_bad(divergence, recorded, ports)), ())
    notes = (*_accepted(snapshot), *said, *_notes(record, limits, is_over=is_over))
    if (is_over and is_last) or snapshot.iteration >= snapshot.arguments.iterations:
        found = ports.reconstruction.found_by(snapshot.iteration)
        verdict = convergence.verdict(recorded.history, ports.plan, settings, found)
        settled = is_last and ends_early
        return _finished(recorded.but(settled=settled, verdict=verdict), notes)
    ports.millepede.report()
    now = ports.now()
    begun = begin_next(recorded, now)
    return Fire("iterate", begun, (*notes, *_expected(begun, now)))


def _expected(begun: Snapshot, now: float) -> tuple[Note, ...]:
    """Say when the alignment ends if it takes all its iterations."""
    end = end_of(begun.model_dump(mode="json"), now, jobs_end=None)
    if end is None:
        return ()
    done, most = len(begun.history), begun.arguments.iterations
    return (Note("expected to finish", {"at": end.in_words(now), "done": f"{done} of {most}"}),)


def _ends_early(word: Word | None, settings: Alignment) -> bool:
    if word is Word.CONVERGED:
        return settings.stop_when_converged
    return word in convergence.STUCK and settings.stop_when_stuck


def _change(of_phase: Sequence[IterationRecord], solution: SolutionSummary) -> float | None:
    if not of_phase:
        return None
    return solution.chi2_ndf_of_tracks - of_phase[-1].chi2_ndf_of_tracks


def _bad(divergence: Divergence, snapshot: Snapshot, ports: Ports) -> Verdict:
    """Return that it diverges: what counts are the constants from before it got worse."""
    good = divergence.good
    begins_anew = good == snapshot.phase_began and ports.plan.phase(snapshot.stage).begins_anew
    constants = ports.reconstruction.constants_of(good)
    sentence = f"diverging: {divergence.sentence}; the last good constants are {constants}"
    judged = hold_out.judgement(snapshot.history)
    return Verdict(
        word=Word.DIVERGING,
        sentence=sentence + hold_out.in_words(judged),
        hold_out=judged,
        constants=constants,
        found_by=0 if begins_anew else good - 1,
    )


def _finished(snapshot: Snapshot, notes: tuple[Note, ...]) -> Fire:
    verdict = snapshot.verdict
    fields = {} if verdict is None else _said(verdict)
    level = "info" if verdict is not None and verdict.converged else "warning"
    return Fire("finish", snapshot, (*notes, Note("finished", fields, level)))


def _said(verdict: Verdict) -> dict[str, object]:
    return {
        "word": str(verdict.word),
        "verdict": verdict.sentence,
        "constants": verdict.constants,
        "found_by": verdict.found_by,
    }


def _notes(
    record: IterationRecord, limits: ConvergenceLimits, *, is_over: bool
) -> tuple[Note, ...]:
    if not is_over:
        return ()
    fields: dict[str, object] = {"phase": record.phase, "max_pull": round(record.max_pull, 3)}
    if record.converged:
        return (Note("converged", fields),)
    fields["word"] = str(record.word or Word.USED_UP)
    fields["moves"] = convergence.movement(record, limits)
    return (Note("phase ends without convergence", fields, "warning"),)


def begin_next(snapshot: Snapshot, now: float) -> Snapshot:
    """Return the snapshot at the start of the iteration after the last one in the history."""
    iteration = snapshot.iteration + 1
    if snapshot.history and snapshot.history[-1].ends_phase:
        snapshot = snapshot.but(phase=snapshot.phase + 1, phase_began=iteration)
    return begin(snapshot, iteration, now)


def _accepted(snapshot: Snapshot) -> tuple[Note, ...]:
    by_hand = snapshot.by_hand
    if by_hand is None:
        return ()
    fields: dict[str, object] = {"constants": by_hand.words, "replaced": by_hand.replaced}
    if by_hand.outdated is not None:
        fields["outdated"] = by_hand.outdated
    return (Note("constants accepted by hand", fields, "warning"),)


def begin(snapshot: Snapshot, iteration: int, now: float) -> Snapshot:
    """Return the snapshot at the start of an iteration: nothing submitted, nothing failed."""
    return snapshot.but(
        iteration=iteration,
        iteration_started_at=now,
        constants="",
        intent=None,
        attempts=(),
        submitted_up_to=None,
        queue_limit=None,
        **NOTHING_FAILED,
        quantile_at=None,
        rerun="no",
        progress={},
        made_again="",
        remarks=(),
        divergence=None,
        solution=None,
        by_hand=None,
        settled=False,
        verdict=None,
    )


def _record(snapshot: Snapshot, solution: SolutionSummary, ports: Ports) -> IterationRecord:
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    again = (snapshot.made_again,) if snapshot.made_again else ()
    return IterationRecord(
        iteration=snapshot.iteration,
        within=snapshot.stage.within,
        started_at=snapshot.iteration_started_at,
        finished_at=ports.now(),
        attempts=len(snapshot.attempts),
        files=len(delivered),
        left_out=tuple(sorted((ports.reconstruction.wanted() | set(snapshot.skipped)) - delivered)),
        by_hand=None if snapshot.by_hand is None else snapshot.by_hand.words,
        **dict(solution) | {"warnings": (*again, *snapshot.remarks, *solution.warnings)},
    )
