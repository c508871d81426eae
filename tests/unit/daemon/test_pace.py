"""When an iteration's jobs end is foretold from what came since they were submitted."""

from __future__ import annotations

from auto_iter.alignment.snapshot import Snapshot
from tests.support.world import World


def test_what_a_dag_left_behind_tells_nothing_of_the_pace() -> None:
    world = World(iterations=1, slots=1)
    world.reconstruction.outputs[1] = {400}  # nobody here has submitted it
    seen: dict[int, set[float | None]] = {}
    save = world.save

    def saving(snapshot: Snapshot) -> None:
        progress, submitted = snapshot.progress, world.batch.submissions
        if submitted and progress.seen_at == world.clock.now():
            began = next(iter(submitted.values())).submission.submitted_at
            end, elapsed = progress.expected_end, world.clock.now() - began
            parts = None if end is None else (end - began) / max(elapsed, 1.0)
            seen.setdefault(progress.delivered, set()).add(parts)
        save(snapshot)

    world.save = saving  # type: ignore[method-assign]
    world.run()
    assert seen[1] == {None}
    assert seen[2] == {2.0}  # one of its own two is there: as long again
