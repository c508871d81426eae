"""A campaign's alignments ask the real schedd together, and find the same constants as apart."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from auto_iter.alignment.model import Submission
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options
from tests.pool.alignments import (
    DONE,
    HTCONDOR,
    LIMIT_S,
    PoolDetector,
    auto_iter,
    made_detector,
    with_hook,
)
from tests.pool.conftest import Opener, wait_for
from tests.support.batch_contract import make_batch
from tests.support.simulated import simulate_for_tests

FIRST, INTERVALS, FILES_EACH = 400, 3, 3
JOBS_LAST_S = 90
POLLS_EVERY_S = 3

QUERY = re.compile(r"\(QUERY_JOB_ADS\w*\)")


def detector_of_the_campaign(place: Path) -> PoolDetector:
    place.mkdir()
    files = tuple(range(FIRST, FIRST + INTERVALS * FILES_EACH))
    options = Options(files=files, beam=Beam(events=300, stations=3))
    simulate_for_tests(place, options, place / "made")
    return made_detector(place)


def queries() -> int:
    """Return how often the schedd was asked for jobs, by the log of the commands it got."""
    logs = Path(os.environ["POOL_DIR"], "home", os.environ["USER"], "condor/log")
    return sum(
        len(QUERY.findall(log.read_text(errors="replace"))) for log in logs.glob("SchedLog*")
    )


def ran(place: Path, detector: PoolDetector, hook: str, *settings: str) -> dict[str, bytes]:
    """Run the campaign in a place; return all constants."""
    place.mkdir()
    files = [f"{n}-{n + FILES_EACH}" for n in range(FIRST, FIRST + INTERVALS * FILES_EACH, 3)]
    sets = [
        *(each for each in HTCONDOR if "interval" not in each),
        f"htcondor.min_poll_interval_s={POLLS_EVERY_S}",
        f"alignment.polling_interval_seconds={POLLS_EVERY_S}",
        hook,
        *settings,
    ]
    rows = "".join(f"  - {{run: 011705, files: {each}}}\n" for each in files)
    (place / "campaign.yaml").write_text(
        f"year: 2023\nconfig: {detector.config}\niterations: 1\nparallel: {INTERVALS}\n"
        f"stagger_s: 1\nset: {json.dumps(sets)}\nintervals:\n{rows}"
    )
    done = subprocess.run(
        auto_iter("campaign", "campaign.yaml"),
        cwd=place, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode in DONE, done.stdout + done.stderr
    found = place.glob("Y*/iter*/*/inputforalign.txt")
    return {str(path.relative_to(place)): path.read_bytes() for path in found}


def test_a_campaign_asks_once_for_all_and_finds_the_same_constants(
    tmp_path: Path, site: Callable[[str], None], calls: ScheddProcess
) -> None:
    detector = detector_of_the_campaign(tmp_path / "detector")
    hook = with_hook(detector, tmp_path, f"sleep {JOBS_LAST_S}\n")
    before = queries()
    site("SCHEDD_DEBUG = D_COMMAND\nMAX_SCHEDD_LOG = 100 Mb")
    wait_for(lambda: calls.count("true").total == 0 and queries() > before, "no log of commands")

    def asked(place: Path, *settings: str) -> tuple[int, dict[str, bytes]]:
        start = queries()
        constants = ran(place, detector, hook, *settings)
        return queries() - start, constants

    together, shared = asked(tmp_path / "together")
    apart, separate = asked(tmp_path / "apart", "htcondor.shared_polls=null")
    print(f"queries that the schedd saw: {together} together, {apart} apart")
    assert len(shared) == 2 * INTERVALS
    assert shared == separate
    assert (tmp_path / "together/campaign.polls").is_dir()
    assert not (tmp_path / "apart/campaign.polls").exists()
    # While jobs run, a third and what everybody still asks now and then; at their ends, as apart.
    assert together < 0.8 * apart


def test_the_schedd_counts_by_cluster_as_it_counts_each(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=True)
    submissions = [
        system.submit(make_batch(tmp_path / str(n), system.new_key(1, n), *numbers))
        for n, numbers in enumerate([(10, 11, 20), (40, 41, 42, 43), (44, 12)], start=1)
    ]
    running = f"{ads.of(submissions[1])} && JobStatus == 2"
    wait_for(lambda: calls.count(running).total == 4, "they do not run")
    assert calls.act("hold", f"{running} && AutoIterRawFile == 43", "for the test") == 1

    def of(submission: Submission) -> str:
        return ads.of(submission)

    def agree() -> bool:
        """Jobs move on meanwhile: only what stayed as it was can be compared."""
        before = [calls.count(of(each)) for each in submissions]
        each = " || ".join(f"({of(submission)})" for submission in submissions)
        together = calls.count_by_cluster(each)
        after = [calls.count(of(each)) for each in submissions]
        if before != after or not (after[0].completed == 3 and after[1].held == 1):
            return False
        assert [together[int(each.cluster)] for each in submissions] == after
        return True

    wait_for(agree, "the jobs do not come to rest")
    assert calls.count_by_cluster(ads.NONE) == {}
