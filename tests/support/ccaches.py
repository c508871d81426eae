"""Ticket caches as MIT Kerberos writes them, version 4, with tickets of any length."""

from __future__ import annotations

import struct
from pathlib import Path

RENEWABLE = 0x00800000
FORWARDABLE = 0x40000000


def _data(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _principal(*components: str, realm: str = "CERN.CH") -> bytes:
    names = [realm, *components]
    head = struct.pack(">II", 1, len(components))
    return head + b"".join(_data(each.encode()) for each in names)


def credential(
    *server: str, end: int, till: int = 0, flags: int = FORWARDABLE, realm: str = "CERN.CH"
) -> bytes:
    """Return one entry of a cache."""
    key = struct.pack(">H", 18) + _data(b"k" * 32)
    begin = max(end - 90000, 0)
    times = struct.pack(">IIII", begin, begin, end, till)
    address = struct.pack(">IH", 1, 2) + _data(b"\x7f\0\0\1")
    nothing = struct.pack(">I", 0)
    ticket = _data(b"t" * 700) + _data(b"")
    return (
        _principal("user") + _principal(*server, realm=realm) + key + times
        + struct.pack(">BI", 0, flags) + address + nothing + ticket
    )  # fmt: skip


def write_ccache(path: Path, end: float, renewable_till: float | None = None) -> None:
    """Write a cache with a ticket that ends at `end`, and what usually lies beside it."""
    flags = FORWARDABLE | (RENEWABLE if renewable_till is not None else 0)
    path.write_bytes(
        b"\x05\x04" + struct.pack(">HHHII", 12, 1, 8, 0, 0)
        + _principal("user")
        + credential("krb5_ccache_conf_data", "fast_avail", end=0, realm="X-CACHECONF:")
        + credential("krbtgt", "CERN.CH", end=int(end), till=int(renewable_till or 0), flags=flags)
        + credential("krbtgt", "ELSEWHERE", end=int(end) + 9, flags=flags)
        + credential("afs", "cern.ch", end=int(end) + 99)
    )  # fmt: skip
