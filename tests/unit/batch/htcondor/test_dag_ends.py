"""How a Millepede node ended, as its event log has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.batch.htcondor.dagman.ends import NodeEnd, last_end

SUBMITTED = """\
000 ({cluster}.000.000) 2026-11-30 18:29:00 Job submitted from host: <127.0.0.1:9731?addrs=x>
    DAG Node: M01
...
001 ({cluster}.000.000) 2026-11-30 18:29:02 Job executing on host: <127.0.0.1:9731?addrs=x>
\tSlotName: slot1_3@lxbatch7
\tCpus = 1
...
"""
ENDED = """\
005 ({cluster}.000.000) 2026-11-30 18:29:09 Job terminated.
\t{how}
\t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Remote Usage
...
"""
HELD = """\
012 ({cluster}.000.000) 2026-11-30 18:29:09 Job was held.
\tmemory usage exceeded request_memory
\tCode 34 Subcode 102
...
"""
REMOVED = """\
009 ({cluster}.000.000) 2026-11-30 18:39:09 Job was aborted.
\tThe job attribute PeriodicRemove expression 'JobStatus == 5' evaluated to TRUE
...
"""


def returned(cluster: int, code: int) -> str:
    how = f"(1) Normal termination (return value {code})"
    return (SUBMITTED + ENDED).format(cluster=cluster, how=how)


def the_end(place: Path, *events: str, after: int = 10) -> NodeEnd | None:
    (place / "millepede.log").write_text("".join(events))
    return last_end(place, after)


def ended(place: Path, *events: str) -> NodeEnd:
    end = the_end(place, *events)
    assert end is not None
    return end


@pytest.mark.parametrize(
    ("code", "words"),
    [(11, "could not begin"), (75, "interrupted"), (127, "the Python is not there"), (64, "turn")],
)
def test_an_exit_code_is_told_in_words(code: int, words: str, tmp_path: Path) -> None:
    end = ended(tmp_path, returned(12, code))
    assert not end.is_good
    assert (end.exit_code, end.machine, end.tries) == (code, "lxbatch7", 1)
    assert f"exit code {code}: " in end.meaning
    assert words in end.meaning
    assert end.remedy


def test_a_node_that_is_through_is_no_trouble(tmp_path: Path) -> None:
    assert ended(tmp_path, returned(12, 0)).is_good
    assert ended(tmp_path, returned(12, 11), returned(13, 100)).is_good


def test_a_signal_may_be_for_memory(tmp_path: Path) -> None:
    text = (SUBMITTED + ENDED).format(cluster=12, how="(0) Abnormal termination (signal 9)")
    end = ended(tmp_path, text)
    assert (end.signal, end.exit_code) == (9, None)
    assert "signal 9 (out of memory?)" in end.meaning
    assert "dag.memory_mb" in end.remedy
    script = ended(tmp_path, returned(12, 143))
    assert (script.signal, script.exit_code) == (15, 143)


def test_a_removal_is_told_by_the_hold_that_led_to_it(tmp_path: Path) -> None:
    end = ended(tmp_path, (SUBMITTED + HELD + REMOVED).format(cluster=12))
    assert end.meaning == "taken off the queue: memory usage exceeded request_memory"
    by_hand = REMOVED.replace("The job attribute", "via condor_rm (by user faser) #")
    assert "condor_rm" in ended(tmp_path, (SUBMITTED + by_hand).format(cluster=12)).meaning


def test_the_last_try_counts_and_so_do_those_before(tmp_path: Path) -> None:
    end = ended(tmp_path, returned(12, 75), returned(13, 11))
    assert (end.exit_code, end.tries) == (11, 2)


def test_a_try_that_runs_and_those_of_another_dag_have_no_end(tmp_path: Path) -> None:
    assert the_end(tmp_path, returned(12, 75), SUBMITTED.format(cluster=13)) is None
    assert the_end(tmp_path, returned(12, 75), after=12) is None
    assert last_end(tmp_path / "nowhere", 0) is None
