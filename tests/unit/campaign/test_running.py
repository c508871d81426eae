"""A campaign starts what is not done, once each and so many at a time, and waits for all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Failure, Snapshot
from auto_iter.campaign.plan import Campaign, Interval, read_campaign
from auto_iter.campaign.running import Watch, run
from auto_iter.campaign.standing import standing

LASTS_S = 10.0


@dataclass
class Campaigners:
    """Daemons that end after ten seconds, done unless they are `doomed`."""

    time: float = 0.0
    doomed: frozenset[str] = frozenset()
    begun: list[tuple[str, float]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    most_at_once: int = 0
    running: int = 0

    def start(self, interval: Interval) -> CampaignDaemon:
        self.begun.append((interval.name, self.time))
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        write(interval, "wait_reco")
        return CampaignDaemon(self, interval, self.time + LASTS_S)

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def watch(self) -> Watch:
        return Watch(self.start, standing, self.wait, self.told.append, lambda: self.time, 1.0)


@dataclass
class CampaignDaemon:
    world: Campaigners
    interval: Interval
    ends_at: float
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None and self.world.time >= self.ends_at:
            fails = self.interval.name in self.world.doomed
            write(self.interval, "failed" if fails else "done")
            self.code = int(fails)
            self.world.running -= 1
        return self.code


def write(interval: Interval, state: str) -> None:
    workspace = interval.workspace
    workspace.root.mkdir(exist_ok=True)
    arguments = Arguments(
        year=interval.year, run=interval.run, files=interval.files, iterations=3, stations=3
    )
    failure = Failure(state="pede", reason="singular", at=0.0) if state == "failed" else None
    snapshot = Snapshot(
        workspace_id="w", arguments=arguments, state=state, iteration_started_at=0, failure=failure
    )
    checkpoint.save(workspace.checkpoint, snapshot)


def campaign_of(directory: Path, settings: str) -> Campaign:
    path = directory / "campaign.yaml"
    rows = "".join(f"  - {{run: {n}, files: 4, name: r{n}}}\n" for n in range(1, 5))
    path.write_text(f"year: 2023\n{settings}\nintervals:\n{rows}")
    return read_campaign(path)


def test_each_is_started_once_and_so_many_at_a_time(tmp_path: Path) -> None:
    world = Campaigners()
    seen = run(campaign_of(tmp_path, "parallel: 2\nstagger_s: 3"), world.watch())
    assert [name for name, _ in world.begun] == ["r1", "r2", "r3", "r4"]
    assert world.most_at_once == 2
    starts = [at for _, at in world.begun]
    assert all(later - at >= 3 for at, later in itertools.pairwise(starts))
    assert all(each.is_done for each in seen)
    assert any("r4" in line and "done" in line for line in world.told)


def test_what_is_done_is_left_alone_and_a_failure_stops_no_other(tmp_path: Path) -> None:
    campaign = campaign_of(tmp_path, "stagger_s: 0")
    write(campaign.intervals[1], "done")
    world = Campaigners(doomed=frozenset({"r3"}))
    seen = run(campaign, world.watch())
    assert [name for name, _ in world.begun] == ["r1", "r3", "r4"]
    assert [each.is_done for each in seen] == [True, True, False, True]
    assert [each.exit_code for each in seen] == [0, 0, 1, 0]
    assert any("r3" in line and "singular" in line for line in world.told)


def test_what_failed_is_tried_again_by_the_next_call(tmp_path: Path) -> None:
    campaign = campaign_of(tmp_path, "stagger_s: 0")
    run(campaign, Campaigners(doomed=frozenset({"r3"})).watch())
    again = Campaigners()
    seen = run(campaign, again.watch())
    assert [name for name, _ in again.begun] == ["r3"]
    assert all(each.is_done for each in seen)
