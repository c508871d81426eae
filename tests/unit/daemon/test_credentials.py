"""A ticket that ends in the midst of an alignment, on a schedd that shows nothing without one."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("classad2")

from auto_iter.alignment.model import Resources
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import HTCondor
from auto_iter.credentials.standing import TicketStanding
from auto_iter.daemon.loop import Daemon, Ending
from auto_iter.daemon.trouble import Passing, judged
from auto_iter.errors import Hindrance, InputError, JobError, PermanentError, ScheddError
from tests.support.ccaches import write_ccache
from tests.support.schedd_twin import ScheddTwin
from tests.support.world import World

HOUR = 3600.0
TOO_EARLY = "Failed to create job ad, errmsg=The credmon has not processed our credentials yet"


class KerberosSite:
    """A schedd and file systems that know us as long as the ticket is good."""

    def __init__(self, directory: Path) -> None:
        self.cache = directory / "ccache"
        self.world = World(iterations=1, settings={"polling_interval_seconds": HOUR})
        self.schedd = ScheddTwin()
        config = HTCondor(spool=False, send_credential=True, job_flavour=None)
        self.world.batch = HTCondorBatch(  # type: ignore[assignment]
            "ws", config, self.schedd,
            records=directory / "keys", monotonic=self.world.clock.now, sleep=lambda _: None,
        )  # fmt: skip
        batch = self.world.reconstruction.batch
        self.world.reconstruction.batch = (  # type: ignore[method-assign]
            lambda *given: replace(batch(*given), resources=Resources(memory_mb=100))
        )
        self.world.credentials = TicketStanding(self.cache, is_needed=True)
        self.world.pass_time = self.pass_time  # type: ignore[method-assign]
        self.ends = self.renew(25)
        self.seen: list[Snapshot] = []
        self.job_takes_h = 30
        self._submitted_at: float | None = None

    def renew(self, hours: float) -> float:
        self.ends = self.world.clock.now() + hours * HOUR
        write_ccache(self.cache, self.ends, self.ends + 100 * HOUR)
        return self.ends

    @property
    def knows_us(self) -> bool:
        return self.world.clock.now() < self.ends

    def pass_time(self, _seconds: float) -> None:
        """Let jobs end after a while, and file systems and schedd forget us with the ticket."""
        self.seen.append(self.world.saved)
        now, files = self.world.clock.now(), self.world.reconstruction
        if self.schedd.queue and self._submitted_at is None:
            self._submitted_at = now
        if self._submitted_at and now - self._submitted_at > self.job_takes_h * HOUR:
            for job in list(self.schedd.queue):
                self.schedd.end(int(job["AutoIterRawFile"]))
                files.outputs[1].add(int(job["AutoIterRawFile"]))
        self.schedd.knows_us = self.knows_us
        files.missing = frozenset() if self.knows_us else files.files

    def daemon(self, stop_after: int | None = None) -> Daemon:
        return self.world.daemon(stop_after=stop_after)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KerberosSite:
    monkeypatch.chdir(tmp_path)
    return KerberosSite(tmp_path)


def test_while_the_ticket_has_ended_it_waits_and_goes_on_by_itself(site: KerberosSite) -> None:
    site.daemon(stop_after=200).run()
    waiting = site.world.saved.hindrance
    assert waiting is not None
    assert waiting.kind is Hindrance.CREDENTIALS
    assert f"ticket in {site.cache} ends" in waiting.reason
    assert site.world.saved.state == "wait_reco"
    asked = len(site.schedd.asked)
    site.daemon(stop_after=20).run()
    assert len(site.schedd.asked) == asked  # nobody is asked what he would not tell us
    site.renew(25)
    assert site.daemon().run() is Ending.DONE
    assert site.world.saved.hindrance is None
    assert site.schedd.asked.count("submit") == 1
    assert (site.world.saved.failures, site.world.saved.losses) == ({}, {})


def test_hours_before_the_ticket_ends_that_is_told_until_it_is_renewed(site: KerberosSite) -> None:
    site.daemon(stop_after=22).run()
    told = [each.ticket_warning is not None for each in site.seen]
    assert told.index(True) == pytest.approx(25 - 6, abs=2)
    site.renew(25)
    site.daemon(stop_after=1).run()
    assert site.world.saved.ticket_warning is None


def test_a_first_submission_that_comes_too_early_is_made_again(site: KerberosSite) -> None:
    site.schedd.submissions_say = [TOO_EARLY] * 5
    site.job_takes_h = 2
    assert site.daemon().run() is Ending.DONE
    assert site.schedd.clusters == 1
    assert site.schedd.asked.count("store_credential") == 6  # a fresh one before each
    assert any(each.hindrance and each.hindrance.kind == "credentials" for each in site.seen)


def refused(path: str, number: int = errno.EACCES) -> OSError:
    return OSError(number, "Permission denied", path)


@pytest.mark.parametrize(
    ("error", "is_needed", "is_valid", "kind"),
    [
        (InputError("raw file missing"), True, False, Hindrance.CREDENTIALS),
        (JobError("all jobs failed"), True, False, Hindrance.CREDENTIALS),
        (ScheddError("AUTHENTICATE:1003"), False, False, Hindrance.CREDENTIALS),
        (ScheddError("AUTHENTICATE:1003"), False, True, Hindrance.SCHEDD),
        (InputError("raw file missing"), False, False, None),
        (InputError("raw file missing"), True, True, None),
        (refused("/eos/user/u/file"), True, True, Hindrance.CREDENTIALS),
        (refused("/afs/cern.ch/file", errno.EPERM), False, True, Hindrance.CREDENTIALS),
        (refused("/data/file"), True, True, None),
        (refused("/data/file"), True, False, Hindrance.CREDENTIALS),
    ],
)
def test_what_goes_wrong_without_a_ticket_is_the_tickets_fault(
    error: Exception, is_needed: bool, is_valid: bool, kind: Hindrance | None, tmp_path: Path
) -> None:
    write_ccache(tmp_path / "cc", 10 * HOUR if is_valid else HOUR)
    standing = TicketStanding(tmp_path / "cc", is_needed=is_needed)
    found = judged(error, standing, 2 * HOUR)
    if kind is None:
        assert isinstance(found, PermanentError)
    else:
        assert isinstance(found, Passing)
        assert found.kind is kind
