"""What the exit codes of the job script mean, and what to do about each.

A test sees that the scripts in `conf/job` give these codes and no others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExitMeaning:
    """What happened in the job, and what a person does about it."""

    meaning: str
    remedy: str


CANNOT_DELIVER, DISK_FULL = 50, 51

EXIT_CODES: dict[int, ExitMeaning] = {
    0: ExitMeaning("the output was delivered", ""),
    10: ExitMeaning(
        "the arguments make no sense", "the job script of this iteration was changed: resume"
    ),
    11: ExitMeaning(
        "an input that travels with the job is missing",
        "resume: the iteration's 1reco is then made again",
    ),
    12: ExitMeaning(
        "the raw file cannot be read", "check paths.raw_dir, and that the job may read it there"
    ),
    20: ExitMeaning(
        "the environment script failed, or a program is missing after it",
        "the log above names it; `auto-iter doctor` sources the script and looks for each program",
    ),
    21: ExitMeaning(
        "no scratch directory could be made", "is the disk of the machine full or read-only?"
    ),
    22: ExitMeaning(
        "the conditions database cannot be copied", "is /cvmfs/faser.cern.ch mounted there?"
    ),
    30: ExitMeaning(
        "the writer of the alignment database failed", "check inputforalign.txt and reco.writer"
    ),
    31: ExitMeaning(
        "the writer's sqlite file is not the expected one, or holds no alignment",
        "reco.writer, reco.sqlite_schema and reco.dbname have to fit together (reco.preset)",
    ),
    32: ExitMeaning(
        "AtlCoolCopy did not put the constants under the tag",
        "check reco.output_tag; is the scratch disk full?",
    ),
    33: ExitMeaning(
        "the constants' pool files were not written, or are not the expected ones",
        "reco.writer and reco.pool_file have to fit together (reco.preset); is the disk full?",
    ),
    34: ExitMeaning(
        "the reconstruction reads another alignment tag than was written",
        "reco.output_tag has to be what its global tag leads to (reco.preset, reco.global_tag)",
    ),
    35: ExitMeaning(
        "the alignment database cannot be read back", "check reco.reader: it prints constants"
    ),
    40: ExitMeaning("the reconstruction failed", "its own message is in the log above"),
    41: ExitMeaning(
        "the reconstruction left no kfalignment file",
        "does reco.program of this Calypso release know --alignment?",
    ),
    42: ExitMeaning(
        "the kfalignment file is empty, cut short or no ROOT file",
        "is the disk of the machine full? Otherwise look at the log above",
    ),
    43: ExitMeaning(
        "the kfalignment file holds no track", "is this a raw file of collisions? Leave it out"
    ),
    CANNOT_DELIVER: ExitMeaning(
        "the output could not be delivered", "check quota and permissions of the workspace"
    ),
    DISK_FULL: ExitMeaning(
        "the disk that the job ran on is full", "nothing: it is run again; make room there"
    ),
    143: ExitMeaning(
        "the job was told to end (SIGTERM) and cleaned up", "nothing: it is run again"
    ),
}

SAME_FOR_EVERY_FILE = frozenset({20, 22, 30, 31, 33, 34})
"""Codes whose cause lies in what all jobs share - environment, programs, tags - not in a raw file.

Where one job ends with such a code the others will too: no further one needs to be tried.
"""

SETTINGS_DISAGREE = frozenset({31, 33, 34})
"""Those of them in which no machine plays a part either: one run of one job has told all."""

_SIGNALLED = 128


def describe_exit(code: int | None, signal: int | None = None) -> str:
    """Return one sentence on how a job script ended."""
    if signal is not None:
        return f"killed by signal {signal}"
    if code is None:
        return "ended without an exit code"
    known = EXIT_CODES.get(code)
    if known is None:
        if _SIGNALLED < code < _SIGNALLED + 65:
            return f"exit code {code}: killed by signal {code - _SIGNALLED}"
        return f"exit code {code}, which is not one of the job script's"
    return f"exit code {code}: {known.meaning}" + (f"; {known.remedy}" if known.remedy else "")
