"""The jobs of an alignment over time: of some raw files where there are many."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auto_iter.batch.courses import Course, job_logs, read_course

MOST_FILES = 48
MOST_LOGS = 1500
"""So many logs are read at most: on AFS each costs some milliseconds."""


@dataclass(frozen=True)
class JobCourses:
    """The courses of `shown` raw files, by iteration; `files`: how many there are."""

    courses: Mapping[int, list[Course]]
    shown: tuple[int, ...]
    files: int

    @property
    def begin(self) -> float:
        """When the first of them was submitted."""
        return min(s.begin for each in self.courses.values() for c in each for s in c.spans)


def read_jobs(logs: Mapping[int, Path], until: float) -> JobCourses | None:
    """Return what the logs in each iteration's directory tell; None where there are none.

    Of many raw files those with the longest logs are shown, for there most happened, and as many
    others, evenly.
    """
    found: dict[int, dict[int, Path]] = {}
    for iteration, directory in logs.items():
        with contextlib.suppress(OSError):
            found[iteration] = job_logs(directory)
    files = sorted({number for each in found.values() for number in each})
    most = max(4, min(MOST_FILES, MOST_LOGS // max(len(found), 1)))
    shown = files if len(files) <= most else _some(files, found, most)
    courses: dict[int, list[Course]] = {}
    for iteration, paths in found.items():
        for number in shown:
            if number in paths:
                with contextlib.suppress(OSError):
                    courses.setdefault(iteration, []).append(
                        read_course(number, paths[number], until)
                    )
    if not any(course.spans for each in courses.values() for course in each):
        return None
    return JobCourses(courses, tuple(shown), len(files))


def _some(files: list[int], found: Mapping[int, Mapping[int, Path]], most: int) -> list[int]:
    sizes = dict.fromkeys(files, 0)
    for paths in found.values():
        for number, path in paths.items():
            with contextlib.suppress(OSError):
                sizes[number] += path.stat().st_size
    longest = sorted(files, key=lambda number: -sizes[number])[: most // 2]
    evenly = files[:: max(1, -(-len(files) // (most - len(longest))))]
    return sorted({*longest, *evenly})
