"""Whether our ticket is good, and for how long: judged from the cache and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auto_iter.credentials.ccache import Ticket, read_ticket
from auto_iter.times import to_the_minute

MARGIN_S = 60.0
"""Nothing is begun with a ticket that ends so soon."""

SETTLING_S = 60.0
"""So long after a ticket was renewed, AFS and EOS may not have heard of it."""

WARN_AHEAD_S = 6 * 3600.0
"""A ticket that ends within this time is worth a warning, when nobody has renewed it."""


@dataclass
class TicketStanding:
    """What the ticket in the cache allows. `cache`: None where there is no file to look at.

    `is_needed`: files or jobs of this alignment cannot be reached without. `is_expected`: somebody
    named the cache, so that there should be a ticket in it.
    """

    cache: Path | None
    is_needed: bool
    is_expected: bool = False
    _lapsed_at: float | None = None

    def lapsed(self, now: float) -> str | None:
        """Return why nothing can be done in our name just now; None where it can, or may."""
        if self.cache is None:
            return None  # a keyring's, say: whether there is one is not for us to see
        ticket = self._ticket()
        if ticket is not None and ticket.end - MARGIN_S > now:
            self.is_expected = True
            # A clock that was set back must not make that a wait of hours.
            if self._lapsed_at is None or not 0 <= now - self._lapsed_at < SETTLING_S:
                self._lapsed_at = None
                return None
            return "the Kerberos ticket has just been renewed; AFS and EOS may take a minute"
        if ticket is None and not self.is_expected:
            return None  # perhaps nobody needs one here, or it is where we cannot look
        self._lapsed_at = now
        if ticket is None:
            return f"there is no Kerberos ticket in {self.cache}; {self._remedy}"
        return (
            f"the Kerberos ticket in {self.cache} ends {to_the_minute(ticket.end)}; {self._remedy}"
        )

    def warning(self, now: float, needed_until: float | None) -> str | None:
        """Return what a person should know hours before it is too late; None when all is well.

        `needed_until`: when the alignment is expected to end, if that is known.
        """
        ticket = self._ticket()
        if ticket is None or not self.is_needed:
            return None
        if ticket.end - now < WARN_AHEAD_S and not (needed_until and needed_until < ticket.end):
            return f"the Kerberos ticket ends {to_the_minute(ticket.end)}; {self._remedy}"
        last = ticket.end if ticket.renewable_till is None else ticket.renewable_till
        if needed_until is None or needed_until < last:
            return None
        how = f"can be renewed until {to_the_minute(last)}"
        if ticket.renewable_till is None:
            how = f"cannot be renewed, ends {to_the_minute(last)}"
        # Not until when: the text is the same as long as there is nothing new to say.
        what = f"the Kerberos ticket {how}, and the alignment is expected to take longer"
        return f"{what}; {self._remedy}"

    def _ticket(self) -> Ticket | None:
        return None if self.cache is None else read_ticket(self.cache)

    @property
    def _remedy(self) -> str:
        return f"kinit -c {self.cache}"
