"""The course of a job is read from its log, HTCondor's or the local batch system's."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.batch.courses import Course, Kind, read_course

CONDOR = """\
000 (12.003.000) 2026-11-25 01:00:00 Job submitted from host: <10.0.0.1:9618?addrs=10.0.0.1>
...
001 (12.003.000) 2026-11-25 01:01:00 Job executing on host: <10.0.0.2:9618>
...
006 (12.003.000) 2026-11-25 01:02:00 Image size of job updated: 35
...
012 (12.003.000) 2026-11-25 01:03:00 Job was held.
\tError from slot1: memory usage exceeded
\tCode 34 Subcode 0
...
013 (12.003.000) 2026-11-25 01:10:00 Job was released.
...
001 (12.003.000) 2026-11-25 01:11:00 Job executing on host: <10.0.0.2:9618>
...
005 (12.003.000) 2026-11-25 01:20:00 Job terminated.
\t(1) Normal termination (return value {code})
...
"""
LOCAL = """\
2026-11-25 01:00:00 submitted as 2.400
2026-11-25 01:01:00 executing on vm, starter 10588
2026-11-25 01:03:00 held: more memory than it asked for
2026-11-25 01:10:00 released
2026-11-25 01:11:00 executing on vm, starter 10600
2026-11-25 01:20:00 ended: {end}
"""
ENDS = {
    "condor": (CONDOR.format(code=0), CONDOR.format(code=40)),
    "local": (
        LOCAL.format(end="exit code 0 (10.3 s, at most 113 MB)"),
        LOCAL.format(end="exit code 40"),
    ),
}
COURSE: list[tuple[Kind, int]] = [
    ("waiting", 1),
    ("running", 2),
    ("held", 7),
    ("waiting", 1),
    ("running", 9),
]


def course_of(tmp_path: Path, text: str, until: float = 4e9) -> Course:
    path = tmp_path / "reco_00400.log"
    path.write_text(text)
    return read_course(400, path, until)


def minutes(course: Course) -> list[tuple[Kind, int]]:
    return [(span.kind, round((span.end - span.begin) / 60)) for span in course.spans]


@pytest.mark.parametrize("system", ENDS)
def test_waiting_running_and_holds_are_told_apart(tmp_path: Path, system: str) -> None:
    sound, failed = ENDS[system]
    course = course_of(tmp_path, sound)
    assert minutes(course) == COURSE
    assert (course.attempts, course.holds, course.failed_at) == (1, 1, [])
    assert len(course_of(tmp_path, failed).failed_at) == 1


@pytest.mark.parametrize("system", ENDS)
def test_a_second_attempt_follows_in_the_same_log(tmp_path: Path, system: str) -> None:
    sound, failed = ENDS[system]
    course = course_of(tmp_path, failed + sound)
    assert (course.attempts, len(course.failed_at)) == (2, 1)
    assert minutes(course)[:5] == COURSE


@pytest.mark.parametrize("system", ENDS)
def test_a_job_that_runs_lasts_until_now(tmp_path: Path, system: str) -> None:
    begun = ENDS[system][0].split("012 (")[0].split("2026-11-25 01:03")[0]
    since = course_of(tmp_path, begun).spans[-1].begin
    course = course_of(tmp_path, begun, since + 600)
    assert minutes(course)[-1] == ("running", 10)


def test_what_is_no_log_tells_nothing(tmp_path: Path) -> None:
    assert course_of(tmp_path, "\0\xff garbage\n2026-13-99 submitted\n").spans == []
    assert course_of(tmp_path, "000 (1.0.0) 2026-99-99 01:00:00 Job submitted\n").spans == []
