"""Jobs that no machine takes are said to be so, once, and as long as that is so."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from auto_iter.daemon.loop import Ending
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.status import Status
from auto_iter.workspace.paths import Workspace
from tests.support.world import World

SAID = "no machine has taken 3 idle jobs since 12:00: lower reco.memory_mb"


def test_jobs_that_no_machine_takes_are_told_once_in_the_log_and_shown_meanwhile() -> None:
    world = World(slots=0)
    world.batch.unmatched = SAID
    with capture_logs() as log:
        world.daemon(stop_after=5).run()
    warned = [each for each in log if each["log_level"] == "warning"]
    assert [each["reason"] for each in warned] == [SAID]
    status = Status.of(Workspace(Path("nowhere")), world.saved, world.clock.now())
    assert SAID in " ".join(status_text(status).split())
    assert status.as_json()["jobs"]["unmatched"] == SAID
    world.slots = 3
    assert world.run() is Ending.DONE
    assert world.saved.progress.unmatched == ""
