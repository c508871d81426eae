"""What a ticket allows, by cache and clock."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from auto_iter.credentials.ccache import Ticket, cache_of, read_ticket
from auto_iter.credentials.standing import MARGIN_S, SETTLING_S, TicketStanding
from tests.support.ccaches import write_ccache

NOW = 1_700_000_000.0
HOUR = 3600.0


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "ccache"


@pytest.mark.parametrize("till", [None, 1_700_400_000])
def test_the_ticket_of_our_own_realm_is_found_among_others(cache: Path, till: int | None) -> None:
    write_ccache(cache, NOW, till)
    assert read_ticket(cache) == Ticket(NOW, till)


@pytest.mark.skipif(shutil.which("klist") is None, reason="no Kerberos here")
def test_kerberos_itself_reads_the_twin_of_a_cache(cache: Path) -> None:
    write_ccache(cache, 4e9)
    said = subprocess.run(["klist", "-c", cache], capture_output=True, text=True, check=True)
    assert "krbtgt/CERN.CH@CERN.CH" in said.stdout
    assert "krbtgt/ELSEWHERE@CERN.CH" in said.stdout


def test_what_is_no_cache_has_no_ticket(cache: Path) -> None:
    assert read_ticket(cache) is None
    write_ccache(cache, NOW)
    whole = cache.read_bytes()
    for content in (b"", b"\x05\x02", whole[:40], whole[:-800], b"#!/bin/sh\n" * 99):
        cache.write_bytes(content)
        assert read_ticket(cache) is None, content[:20]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (None, "/tmp/krb5cc_5001"),  # noqa: S108 - the default of Kerberos
        ("/run/cc", "/run/cc"),
        ("FILE:/run/cc", "/run/cc"),
        ("DIR::/run/d/tkt7", "/run/d/tkt7"),
        ("DIR:/not/there", "/not/there/tkt"),
        ("KEYRING:persistent:5001", None),
        ("KCM:", None),
    ],
)
def test_the_cache_is_where_the_environment_says(name: str | None, found: str | None) -> None:
    env = {} if name is None else {"KRB5CCNAME": name}
    assert cache_of(env, 5001) == (None if found is None else Path(found))


def test_a_ticket_that_ends_stops_everything_until_shortly_after_it_is_renewed(cache: Path) -> None:
    standing = TicketStanding(cache, is_needed=True)
    write_ccache(cache, NOW + HOUR)
    assert standing.lapsed(NOW) is None
    late = NOW + HOUR - MARGIN_S
    assert f"ticket in {cache} ends " in (standing.lapsed(late) or "")
    write_ccache(cache, NOW + 26 * HOUR)
    assert "just been renewed" in (standing.lapsed(late + 1) or "")  # AFS may not know yet
    assert standing.lapsed(late + 1 + SETTLING_S) is None


def test_a_ticket_that_was_there_and_is_gone_has_ended(cache: Path) -> None:
    standing = TicketStanding(cache, is_needed=True)
    assert standing.lapsed(NOW) is None  # perhaps nobody needs one
    write_ccache(cache, NOW + HOUR)
    assert standing.lapsed(NOW) is None
    cache.unlink()
    assert "no Kerberos ticket" in (standing.lapsed(NOW) or "")


def test_a_cache_that_was_named_should_have_a_ticket(cache: Path) -> None:
    standing = TicketStanding(cache, is_needed=True, is_expected=True)
    assert f"kinit -c {cache}" in (standing.lapsed(NOW) or "")


def test_a_cache_that_is_no_file_is_trusted_although_it_was_named() -> None:
    cache = cache_of({"KRB5CCNAME": "KCM:"}, 5001)
    standing = TicketStanding(cache, is_needed=True, is_expected=True)
    assert standing.lapsed(NOW) is None
    assert standing.warning(NOW, NOW + 1000 * HOUR) is None


def test_a_clock_that_is_set_back_after_a_renewal_is_no_long_wait(cache: Path) -> None:
    standing = TicketStanding(cache, is_needed=True, is_expected=True)
    assert standing.lapsed(NOW) is not None
    write_ccache(cache, NOW + 26 * HOUR)
    assert standing.lapsed(NOW - 5 * HOUR) is None


@pytest.mark.parametrize(
    ("ends_in_h", "renewable_h", "needed_h", "said"),
    [
        (24, 120, None, None),
        (24, 120, 100, None),
        (24, 120, 130, "can be renewed until .*, and the alignment is expected to take longer"),
        (24, None, 20, None),
        (24, None, 30, "cannot be renewed, ends .*, and the alignment"),
        (5, 120, None, "the Kerberos ticket ends .*; kinit -c"),
        (5, 120, 100, "the Kerberos ticket ends "),
        (5, 120, 3, None),
    ],
)
def test_hours_ahead_a_person_is_told(
    ends_in_h: int, renewable_h: int | None, needed_h: int | None, said: str | None, cache: Path
) -> None:
    till = None if renewable_h is None else NOW + renewable_h * HOUR
    write_ccache(cache, NOW + ends_in_h * HOUR, till)
    needed = None if needed_h is None else NOW + needed_h * HOUR
    warning = TicketStanding(cache, is_needed=True).warning(NOW, needed)
    assert TicketStanding(cache, is_needed=False).warning(NOW, needed) is None
    if said is None:
        assert warning is None
    else:
        assert warning is not None
        assert re.search(said, warning)
