"""Ticket caches in files, as MIT Kerberos writes them: when the ticket ends.

"Credential cache file format", versions 3 and 4, of MIT's documentation. Keys and the tickets
themselves are passed over. Kernel keyrings and KCM are no files, and are not looked into.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

RENEWABLE = 0x00800000
"""The flag of a ticket that can be renewed (RFC 4120, 5.3, counted as MIT does)."""

TICKET_GRANTING = b"krbtgt"


@dataclass(frozen=True)
class Ticket:
    """A ticket-granting ticket: seconds since the epoch. `renewable_till`: None where it is not."""

    end: float
    renewable_till: float | None = None


def cache_of(env: Mapping[str, str], uid: int) -> Path | None:
    """Return the file that a process with this environment has its ticket in; None for no file."""
    kind, separator, rest = env.get("KRB5CCNAME", f"/tmp/krb5cc_{uid}").partition(":")  # noqa: S108
    if not separator:
        return Path(kind)
    if kind == "FILE":
        return Path(rest)
    if kind != "DIR":
        return None
    if rest.startswith(":"):  # one of the directory's files
        return Path(rest[1:])
    try:
        return Path(rest) / (Path(rest) / "primary").read_text().strip()
    except OSError:
        return Path(rest) / "tkt"


def read_ticket(path: Path) -> Ticket | None:
    """Return the ticket in a cache; None when there is none, or it is no such file."""
    try:
        tickets = list(_tickets(_CacheReader(path.read_bytes())))
    except (OSError, ValueError, struct.error):
        return None
    return max(tickets, key=lambda each: each.end, default=None)


class _CacheReader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._content)

    def numbers(self, layout: str) -> tuple[int, ...]:
        found = struct.unpack_from(f">{layout}", self._content, self._at)
        self._at += struct.calcsize(f">{layout}")
        return found

    def take(self, length: int) -> bytes:
        if length > len(self._content) - self._at:
            raise ValueError("cut short")
        found = self._content[self._at : self._at + length]
        self._at += length
        return found

    def data(self) -> bytes:
        (length,) = self.numbers("I")
        return self.take(length)

    def principal(self) -> list[bytes]:
        """Return the realm and the components."""
        _, components = self.numbers("II")
        return [self.data() for _ in range(1 + components)]

    def skip_list(self) -> None:
        (count,) = self.numbers("I")
        for _ in range(count):
            self.numbers("H")
            self.data()


def _tickets(reader: _CacheReader) -> Iterator[Ticket]:
    (magic,) = reader.numbers("H")
    if magic == 0x0504:
        (length,) = reader.numbers("H")
        reader.take(length)
    elif magic != 0x0503:
        raise ValueError("no ticket cache")
    reader.principal()
    while not reader.is_at_end:
        client, server = reader.principal(), reader.principal()
        reader.numbers("HH" if magic == 0x0503 else "H")
        reader.data()
        _, _, end, renewable_till = reader.numbers("IIII")
        _, flags = reader.numbers("BI")
        reader.skip_list()
        reader.skip_list()
        reader.data()
        reader.data()
        # The one of our own realm: others are made from it.
        if server == [client[0], TICKET_GRANTING, client[0]]:
            yield Ticket(end, renewable_till if flags & RENEWABLE else None)
