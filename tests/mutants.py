"""`python -m tests.mutants`: each defence taken away, and the test that sees it.

Defences against crashes, and against what a site does: tickets that end, jobs that it removes.

Works on a copy. A mutant is one replacement of a text that is there exactly once; when it is not
there any more, that is an error, not a pass. Exit code 1 when a mutant survives.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("auto_iter", "states", "conf", "tests", "setup.cfg", "pyproject.toml")
LIMIT_S = 600

DURABLE = "tests/integration/test_durable.py::"
LOCAL = "tests/integration/test_local_batch.py::"
TICKET = "tests/unit/daemon/test_credentials.py::"
BY_SITE = "tests/unit/batch/htcondor/test_removed_by_site.py::"
A_FILE = f"{DURABLE}test_a_file_is_old_or_new_and_new_once_it_is_written"
AN_OUTPUT = f"{DURABLE}test_a_job_that_has_ended_for_good_has_its_output_for_good"
A_SUBMISSION = f"{DURABLE}test_a_submission_is_found_once_it_was_made_and_whole_or_not_before"


@dataclass(frozen=True)
class Mutant:
    """What is taken away, where, and a test that fails then."""

    name: str
    file: str
    old: str
    new: str
    test: str

    def text(self, root: Path) -> str:
        """Return the mutated file. Raises LookupError when the text is not there once."""
        original = (root / self.file).read_text()
        if original.count(self.old) != 1:
            raise LookupError(f"{self.file}: not there exactly once: {self.old!r}")
        return original.replace(self.old, self.new)


MUTANTS = (
    Mutant(
        "no fsync of the directory after a rename",
        "auto_iter/files.py",
        "        sync_directory(target.parent)\n",
        "",
        A_FILE,
    ),
    Mutant(
        "no fsync of any directory",
        "auto_iter/files.py",
        "    _sync(directory, os.O_DIRECTORY)\n",
        "    pass\n",
        A_FILE,
    ),
    Mutant(
        "no fsync of the directory that an output was brought to",
        "auto_iter/batch/local/starter.py",
        "        sync_directory(self._batch.deliver_to)\n",
        "        pass\n",
        AN_OUTPUT,
    ),
    Mutant(
        "`.bak` written from a damaged file",
        "auto_iter/alignment/checkpoint.py",
        "    if _is_whole(path):",
        "    if path.exists():",
        "tests/unit/alignment/test_checkpoint.py",
    ),
    Mutant(
        "no fsync of the journal at a job's end",
        "auto_iter/batch/local/starter.py",
        "                    self._records.sync()\n",
        "",
        AN_OUTPUT,
    ),
    Mutant(
        "no fsync of the output before its delivery",
        "auto_iter/files.py",
        "        _sync(source)\n",
        "",
        AN_OUTPUT,
    ),
    Mutant(
        "no fsync of the submission's directory",
        "auto_iter/batch/local/records.py",
        "    sync_directory(root)\n",
        "",
        A_SUBMISSION,
    ),
    Mutant(
        "no fsync of the directory of all submissions",
        "auto_iter/batch/local/system.py",
        "        sync_directory(self._home)\n",
        "",
        A_SUBMISSION,
    ),
    Mutant(
        "no fsync of a whole-file write",
        "auto_iter/files.py",
        "            os.fsync(sink.fileno())\n",
        "",
        A_FILE,
    ),
    Mutant(
        "`solution.json` before the constants",
        "auto_iter/millepede/workflow.py",
        "    write_atomically(directory / NEW_CONSTANTS, text)\n",
        '    write_atomically(directory / SOLUTION, record.model_dump_json(indent=1) + "\\n")\n'
        "    write_atomically(directory / NEW_CONSTANTS, text)\n",
        f"{DURABLE}test_a_solution_is_there_only_with_its_constants",
    ),
    Mutant(
        "the old `solution.json` stays while there is no new one",
        "auto_iter/millepede/workflow.py",
        "    (directory / SOLUTION).unlink(missing_ok=True)\n",
        "",
        f"{DURABLE}test_a_solution_is_there_only_with_its_constants",
    ),
    Mutant(
        "a starter that does not check that it owns the job: when it begins",
        "auto_iter/batch/local/starter.py",
        "            if not self._ledger.is_idle(number):\n                return False\n",
        "",
        f"{LOCAL}test_of_two_starters_of_a_job_one_runs_it",
    ),
    Mutant(
        "a starter that does not check that it owns the job: when it delivers",
        "auto_iter/batch/local/starter.py",
        "        if self._job.output and not self._is_ours():",
        "        if False:",
        f"{LOCAL}test_a_starter_that_was_given_up_brings_nothing_home",
    ),
    Mutant(
        "a starter that does not inherit its job's orphans",
        "auto_iter/batch/local/starter.py",
        "        processes.become_subreaper()\n",
        "",
        f"{LOCAL}test_removing_kills_whole_trees_whatever_they_do",
    ),
    Mutant(
        "no sweep after a starter that was killed",
        "auto_iter/batch/local/supervisor.py",
        "        processes.sweep(ledger.marker(number))\n",
        "",
        f"{LOCAL}test_a_job_whose_starter_was_killed_is_lost_and_nothing_of_it_goes_on",
    ),
    Mutant(
        "a starter that keeps the lock of a killed supervisor",
        "auto_iter/batch/local/supervisor.py",
        "            os.close(self._lock)\n            self._bell.close()\n",
        "            self._bell.close()\n",
        f"{LOCAL}test_the_next_supervisor_ends_and_weighs_jobs_that_it_did_not_start",
    ),
    Mutant(
        "a lock that is never refreshed: by the lock",
        "auto_iter/daemon/lock.py",
        "            os.utime(self._descriptor)\n",
        "            pass\n",
        "tests/unit/daemon/test_lock.py",
    ),
    Mutant(
        "a lock that is never refreshed: by the daemon",
        "auto_iter/daemon/loop.py",
        "            self._sink.alive()\n",
        "            pass\n",
        "tests/unit/daemon/test_daemon_trouble.py",
    ),
    Mutant(
        "requests that were taken in are not remembered",
        "states/decisions/requests.py",
        "        snapshot = snapshot.but(taken=tuple(each.id for each in asked))\n",
        "        pass\n",
        "tests/unit/daemon/test_requests_taken.py",
    ),
    Mutant(
        "requests that were taken in are not removed for good",
        "auto_iter/workspace/inbox.py",
        "            sync_directory(self._directory)\n",
        "            pass\n",
        f"{DURABLE}test_a_request_that_was_followed_by_another_is_not_brought_back",
    ),
    Mutant(
        "a way back that was cut short is not completed before anything else",
        "auto_iter/daemon/visits/acceptance.py",
        "    return replace(opened, snapshot=roll_back(opened.workspace, opened.snapshot))\n",
        "    return opened\n",
        "tests/unit/ledger/test_rollback.py::"
        "test_killed_anywhere_it_is_the_old_alignment_or_the_new_one",
    ),
    Mutant(
        "what others wrote into a directory is not durable when it appears",
        "auto_iter/files.py",
        "            if not path.is_symlink():\n                _sync(path)\n",
        "            pass\n",
        "tests/integration/test_ledger.py::test_an_export_survives_a_power_cut",
    ),
    Mutant(
        "what is to be told is not saved with what it is about",
        "auto_iter/daemon/loop.py",
        "        snapshot = self._sink.herald.noticed(snapshot, self._ports.now())\n        if",
        "        if",
        "tests/unit/daemon/test_telling.py",
    ),
    Mutant(
        "a lock that is never refreshed: by the session",
        "auto_iter/daemon/onlookers.py",
        "        self._lock.refresh()\n",
        "",
        "tests/integration/test_fence.py::"
        "test_a_daemon_that_waits_for_its_jobs_shows_other_hosts_that_it_lives",
    ),
    Mutant(
        "a ticket that has ended stops no step",
        "auto_iter/daemon/loop.py",
        "        if absent is not None:\n            return self._try_again(absent)\n",
        "",
        f"{TICKET}test_while_the_ticket_has_ended_it_waits_and_goes_on_by_itself",
    ),
    Mutant(
        "what goes wrong without a ticket is taken for the files' fault, or the schedd's",
        "auto_iter/daemon/trouble.py",
        "    if lapsed is None:\n        return known\n",
        "    return known\n",
        f"{TICKET}test_what_goes_wrong_without_a_ticket_is_the_tickets_fault",
    ),
    Mutant(
        "nobody is warned of a ticket that ends too soon",
        "auto_iter/daemon/trouble.py",
        "    return snapshot.but(ticket_warning=warning)\n",
        "    return snapshot\n",
        f"{TICKET}test_hours_before_the_ticket_ends_that_is_told_until_it_is_renewed",
    ),
    Mutant(
        "a first submission that comes before its credential is final",
        "auto_iter/batch/htcondor/schedd/refusals.py",
        "    if _lacks_credential(call, kind, message):\n",
        "    if False:\n",
        f"{TICKET}test_a_first_submission_that_comes_too_early_is_made_again",
    ),
    Mutant(
        "no fresh credential before a submission",
        "auto_iter/batch/htcondor/system.py",
        "            schedd.store_credential()\n",
        "            pass\n",
        f"{TICKET}test_a_first_submission_that_comes_too_early_is_made_again",
    ),
    Mutant(
        "a held job that the site removed is told as removed, and no more",
        "auto_iter/batch/htcondor/ads.py",
        '    if ad.get("LastJobStatus") == HELD:\n',
        "    if False:\n",
        f"{BY_SITE}test_a_held_job_that_the_site_removes_keeps_the_reason_of_its_hold",
    ),
    Mutant(
        "remedies for a hold do not heed when the site removes it",
        "auto_iter/batch/htcondor/system.py",
        "        pause_s = min(remedy.pause_s, limit_s / 4)\n",
        "        pause_s = remedy.pause_s\n",
        f"{BY_SITE}test_remedies_come_well_before_the_site_removes",
    ),
    Mutant(
        "a job that the site removed is a failed try as any other",
        "states/decisions/removed_jobs.py",
        "frozenset({Trouble.EXPIRED, Trouble.OVERRAN})",
        "frozenset[Trouble]()",
        "tests/unit/daemon/test_removed_jobs.py",
    ),
    Mutant(
        "a job that overran its flavour is told as removed, and no more",
        "auto_iter/batch/htcondor/ads.py",
        "    if limit_s is None or not has_run or ran_s < float(limit_s):\n",
        "    if True:\n",
        f"{BY_SITE}test_a_job_that_ran_longer_than_its_flavour_asks_for_the_next_one",
    ),
    Mutant(
        "what overran its flavour is submitted with the same one",
        "auto_iter/batch/htcondor/submit.py",
        "        flavour_for(job.time_s, config.job_flavour) if",
        "        config.job_flavour if",
        f"{BY_SITE}test_what_needs_more_time_gets_it_in_its_own_job",
    ),
    Mutant(
        "no cap on flavours",
        "auto_iter/batch/htcondor/flavours.py",
        "if than_s < most <= SECONDS[cap]]",
        "if than_s < most]",
        f"{BY_SITE}test_beyond_the_cap_a_file_is_given_up",
    ),
    Mutant(
        "no file is tried before all others",
        "states/decisions/canary.py",
        "    return None if recipe == snapshot.proven else recipe\n",
        "    return None\n",
        "tests/unit/daemon/test_canary.py::test_two_files_that_fail_are_enough",
    ),
)


def main() -> int:
    """Try all mutants, print a table, and return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy"
        _copy_to(copy)
        wrong = _failed(copy, sorted({mutant.test for mutant in MUTANTS}))
        if wrong:
            print(f"without any mutant there fails: {wrong}")
            return 1
        survivors = 0
        print("| taken away | in | seen by |\n|---|---|---|", flush=True)
        for mutant in MUTANTS:
            caught = _tried(copy, mutant)
            survivors += not caught
            print(f"| {mutant.name} | `{mutant.file}` | {caught or 'NOBODY'} |", flush=True)
    print(f"\nmutants: {len(MUTANTS)}; survivors: {survivors}")
    return int(survivors > 0)


def _copy_to(copy: Path) -> None:
    copy.mkdir()
    for each in COPIED:
        source = ROOT / each
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / each, ignore=ignored)
        else:
            shutil.copy(source, copy / each)


def _tried(copy: Path, mutant: Mutant) -> str:
    """Return the test that fails with the mutant, empty when none does."""
    place = copy / mutant.file
    original = place.read_text()
    place.write_text(mutant.text(copy))
    try:
        return _failed(copy, [mutant.test])
    finally:
        place.write_text(original)


def _failed(copy: Path, tests: list[str]) -> str:
    """Return the first of the tests that fails; empty when all pass. Raises RuntimeError."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
            "--timeout", "120", *tests,
        ],
        cwd=copy,
        # what an editable installation would find is not the copy
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    return found[1]


if __name__ == "__main__":
    sys.exit(main())
