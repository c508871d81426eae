"""The POST script of reconstruction nodes: what DAGMan is told after each try."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from auto_iter.alignment.model import Trouble
from auto_iter.batch.htcondor.dagman.nodes import (
    bring_home,
    failures,
    needed_memory,
    needed_time,
)
from auto_iter.batch.htcondor.dagman.submit import policy_text
from auto_iter.batch.htcondor.dagman.text import Nodes
from auto_iter.batch.htcondor.flavours import SECONDS
from auto_iter.config.batch import HTCondor
from auto_iter.rawfiles import file_tag, with_run
from auto_iter.workspace.paths import Iteration as Paths
from conf.job.dag_post import NO_EXIT_CODE, NOBODY, NOT_AGAIN, memory_text

SCRIPT = Path(__file__).parents[4] / "conf/job/dag_post.py"

RAN = """\
000 (012.000.000) 2026-11-25 15:53:14 Job submitted from host: <127.0.0.1:9730>
...
001 (012.000.000) 2026-11-25 15:53:15 Job executing on host: <127.0.0.1:9730>
\tSlotName: slot1_1@{machine}
\tCpus = 1
...
"""
HELD = """\
012 (012.000.000) 2026-11-25 15:54:15 Job was held.
\t{reason}
\tCode {code} Subcode {subcode}
...
"""
ENDED = """\
005 (012.000.000) 2026-11-25 15:55:15 Job terminated.
\t(1) Normal termination (return value {code})
\tPartitionable Resources :    Usage  Request Allocated
\t   Memory (MB)          :      700     {request}     {request}
...
"""
REMOVED = """\
009 (012.000.000) 2026-11-25 15:56:15 Job was aborted.
\tThe job attribute PeriodicRemove expression evaluated to TRUE
...
"""


class NodeOfIteration:
    """An iteration's `1reco`, and the script at work in it."""

    def __init__(self, root: Path, fraction: float, canary: int | None = None) -> None:
        self.reco = root / "iter01/1reco"
        (self.reco / "logs").mkdir(parents=True)
        nodes = Nodes(2, (*range(400, 405), 409), held_out=frozenset({409}), canary=canary)
        config = HTCondor(max_retries=3, flavour_cap="tomorrow")
        (root / "dag.json").write_text(policy_text(nodes, fraction, 500, config))

    def ended(
        self, number: int, code: int, log: str = RAN.format(machine="one"), retry: int = 0
    ) -> int:
        """Return what DAGMan is told when a try ended with `code`; three more are allowed."""
        with (self.reco / f"logs/reco_{file_tag(number)}.log").open("a") as events:
            events.write(log)
        words = [self.reco, file_tag(number), code, retry]
        command = [sys.executable, str(SCRIPT), *map(str, words)]
        ran = subprocess.run(command, check=False, capture_output=True, text=True)
        assert not ran.stderr
        return ran.returncode


@pytest.fixture
def iteration(tmp_path: Path) -> NodeOfIteration:
    """Give an iteration of five raw files of which one may fail, and a held-out one."""
    return NodeOfIteration(tmp_path, 0.8)


@pytest.mark.parametrize("number", [402, with_run(11705, 402)])
def test_a_failure_is_noted_and_tried_again_until_it_succeeds(
    iteration: NodeOfIteration, number: int
) -> None:
    assert iteration.ended(number, 40) == 40
    (problem,) = failures(iteration.reco).values()
    assert (problem.number, problem.exit_code, problem.machine) == (number, 40, "one")
    assert iteration.ended(number, 0, retry=1) == 0
    assert failures(iteration.reco) == {}


def test_the_last_try_of_as_many_files_as_may_fail_is_no_failure(
    iteration: NodeOfIteration,
) -> None:
    assert iteration.ended(402, 40, retry=3) == 0
    assert iteration.ended(403, 40, retry=2) == 40
    assert iteration.ended(403, 40, retry=3) == NOT_AGAIN
    assert failures(iteration.reco).keys() == {402, 403}


def test_without_the_canary_nothing_goes_on_though_one_may_fail(tmp_path: Path) -> None:
    iteration = NodeOfIteration(tmp_path, 0.8, canary=400)
    assert iteration.ended(400, 40) == 40
    assert iteration.ended(400, 40, retry=3) == NOT_AGAIN
    assert iteration.ended(401, 40, retry=3) == 0


def test_a_held_out_file_may_always_fail(iteration: NodeOfIteration) -> None:
    assert iteration.ended(409, 40, retry=3) == 0
    assert iteration.ended(402, 40, retry=3) == 0  # the one of the fit
    assert iteration.ended(403, 40, retry=3) == NOT_AGAIN
    assert iteration.ended(409, 40, retry=3) == 0


def test_a_file_that_was_given_up_and_fails_again_does_not_count_twice(
    iteration: NodeOfIteration,
) -> None:
    for _ in range(2):
        assert iteration.ended(402, 40, retry=3) == 0


def test_no_file_may_fail_where_all_are_wanted(tmp_path: Path) -> None:
    assert NodeOfIteration(tmp_path, 1.0).ended(402, 41, retry=3) == NOT_AGAIN


def test_what_another_try_would_end_with_too_is_not_tried(iteration: NodeOfIteration) -> None:
    assert iteration.ended(400, 43) == 0  # the one that may fail
    assert iteration.ended(401, 43) == NOT_AGAIN


@pytest.mark.parametrize("code", [31, 33, 34])
def test_settings_that_do_not_fit_together_end_the_dag_at_once(
    code: int, iteration: NodeOfIteration
) -> None:
    assert iteration.ended(402, code) == NOBODY


def test_what_is_the_same_for_all_ends_the_dag_once_several_machines_say_so(
    iteration: NodeOfIteration,
) -> None:
    told = [
        iteration.ended(400 + n, 20, RAN.format(machine=machine))
        for n, machine in enumerate(("one", "one", "two", "three"))
    ]
    assert told == [20, 20, 20, NOBODY]


def test_one_success_speaks_for_what_is_the_same_for_all(iteration: NodeOfIteration) -> None:
    assert iteration.ended(404, 0) == 0
    for n, machine in enumerate(("one", "two", "three")):
        assert iteration.ended(400 + n, 20, RAN.format(machine=machine)) == 20


def test_a_signal_and_a_removal_are_told_as_what_they_are(iteration: NodeOfIteration) -> None:
    assert 0 < iteration.ended(400, -9) < NOBODY
    assert 0 < iteration.ended(401, -1004, RAN.format(machine="two") + REMOVED) < NOBODY
    found = failures(iteration.reco)
    assert found[400].signal == 9
    assert "PeriodicRemove" in found[401].reason


SITE = HELD.format(reason="memory usage 700 MB above RequestMemory 500 MB", code=26, subcode=34)
CGROUP = HELD.format(reason="Job has gone over cgroup memory limit", code=34, subcode=102)
DISK = HELD.format(reason="Disk usage exceeded", code=34, subcode=104)


@pytest.mark.parametrize("held", [SITE, CGROUP])
def test_memory_that_was_needed_is_kept(held: str, iteration: NodeOfIteration) -> None:
    ran = RAN.format(machine="one")
    iteration.ended(402, 0, ran + held + ran + ENDED.format(code=0, request=1050))
    assert needed_memory(iteration.reco) == {402: 1050}
    assert (iteration.reco / "memory.sub").read_text() == memory_text({402: 1050}, 500)
    iteration.ended(403, 0, ran + held + ran + ENDED.format(code=0, request=900))
    assert needed_memory(iteration.reco) == {402: 1050, 403: 900}
    assert (iteration.reco / "memory.sub").read_text() == memory_text({402: 1050, 403: 900}, 500)


def test_no_more_than_the_cap_is_kept_and_nothing_for_other_holds(
    iteration: NodeOfIteration,
) -> None:
    ran = RAN.format(machine="one")
    iteration.ended(402, 0, ran + DISK + ran + ENDED.format(code=0, request=1050))
    iteration.ended(403, 0, ran + ENDED.format(code=0, request=500))
    assert needed_memory(iteration.reco) == {}
    iteration.ended(404, 40, ran + CGROUP + ran + ENDED.format(code=40, request=99_999))
    assert needed_memory(iteration.reco) == {404: HTCondor().holds.memory_cap_mb}


def test_what_earlier_iterations_needed_is_not_forgotten(iteration: NodeOfIteration) -> None:
    (iteration.reco / "memory.json").write_text(json.dumps({"401": 2000}))
    ran = RAN.format(machine="one")
    iteration.ended(402, 0, ran + SITE + ran + ENDED.format(code=0, request=1050))
    assert needed_memory(iteration.reco) == {401: 2000, 402: 1050}


BY_THE_SITE = "The system macro SYSTEM_PERIODIC_REMOVE expression '...' evaluated to TRUE"


def ran_until(hours: int, reason: str = BY_THE_SITE, event: str = "") -> str:
    """Return the log of a job that was removed after so many hours, and a minute."""
    began = RAN.format(machine="one").replace("2026-11-25 15:53:15", "2026-11-25 00:00:00.123")
    day, hour = divmod(hours, 24)
    removed = (
        f"009 (012.000.000) 2026-11-{25 + day} {hour:02d}:01:00 Job was aborted.\n\t{reason}\n"
    )
    return f"{began}{event}{removed}...\n"


ABORTED = -1004


def test_a_file_whose_job_ran_too_long_asks_for_the_next_flavour_and_loses_no_try(
    tmp_path: Path,
) -> None:
    iteration = NodeOfIteration(tmp_path, 1.0)
    assert iteration.ended(402, ABORTED, ran_until(2)) == NO_EXIT_CODE
    (problem,) = failures(iteration.reco).values()
    assert (problem.trouble, problem.limit_s) == (Trouble.OVERRAN, 7200)
    assert problem.reason == "ran 2:01 h, the limit of longlunch"
    assert needed_time(iteration.reco) == {402: SECONDS["workday"]}
    assert (iteration.reco / "flavour.sub").read_text() == (
        'flavour = ifThenElse($(rawfile) == 402, "workday", "longlunch")\n'
    )
    for retry in (1, 2, 3):  # it may fail three times all the same, and once more
        assert iteration.ended(402, 40, retry=retry) == 40
    assert iteration.ended(402, 40, retry=4) == NOT_AGAIN


def test_a_job_that_needs_more_than_the_longest_flavour_is_not_tried_again(
    tmp_path: Path,
) -> None:
    iteration = NodeOfIteration(tmp_path, 1.0)
    told = [iteration.ended(402, ABORTED, ran_until(h), n) for n, h in enumerate((2, 8, 24))]
    assert told == [NO_EXIT_CODE, NO_EXIT_CODE, NOT_AGAIN]
    (problem,) = failures(iteration.reco).values()
    assert problem.reason == "ran 24:01 h, the limit of tomorrow"
    assert needed_time(iteration.reco) == {402: SECONDS["tomorrow"]}


@pytest.mark.parametrize(
    "log",
    [
        ran_until(1),
        ran_until(2, "via condor_rm (by user faser)"),
        ran_until(2, event=HELD.format(reason="no input", code=13, subcode=2)),
        ran_until(2) + RAN.format(machine="two") + ENDED.format(code=40, request=500),
    ],
    ids=["too soon", "by a person", "while it was held", "an earlier try"],
)
def test_other_removals_are_no_time_limit(log: str, iteration: NodeOfIteration) -> None:
    iteration.ended(402, ABORTED, log)
    assert needed_time(iteration.reco) == {}
    assert failures(iteration.reco)[402].limit_s is None


def test_the_script_is_python_3_9s() -> None:
    compile(SCRIPT.read_text(), str(SCRIPT), "exec", dont_inherit=True)
    import ast

    ast.parse(SCRIPT.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("run", [11705, None])
def test_only_what_did_not_fail_is_brought_home(
    iteration: NodeOfIteration, run: int | None
) -> None:
    paths = Paths(iteration.reco.parent, run)
    good, bad = (n if run else with_run(11705, n) for n in (402, 403))
    paths.kfalignment.mkdir()
    other = [] if run else [with_run(11710, 403)]
    for number in (good, bad, *other):
        place = paths.job_directory(number)
        place.mkdir(parents=True)
        (place / paths.output_name(number)).write_text("tracks")
    iteration.ended(bad, 40)
    bring_home(paths.root)
    assert {paths.number_of(each.name) for each in paths.kfalignment.iterdir()} == {good, *other}
