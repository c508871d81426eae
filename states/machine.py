"""The table, run by `transitions`: an event either is allowed or raises.

Callbacks do no work: `transitions` runs them in the middle of a change of state, where an exception
would leave memory and checkpoint apart. The daemon acts before it fires and saves after.
"""

from __future__ import annotations

from transitions import Machine, MachineError

from states import table


class UnknownEventError(Exception):
    """A state returned an event that the table does not have: a bug."""


class StateMachine:
    """Where the alignment is, and where an event leads."""

    state: str

    def __init__(self, initial: str = table.INITIAL) -> None:
        # `initial` fires nothing, so a persisted state can be taken up as it is.
        self._machine = Machine(
            model=self,
            states=list(table.ARROWS),
            transitions=[[event, source, to] for source, event, to in table.arrows()],
            initial=initial,
            auto_transitions=False,
            send_event=False,
        )

    def fire(self, event: str) -> str:
        """Follow an arrow and return the new state. Raises UnknownEventError."""
        try:
            self._machine.events[event].trigger(self)
        except (KeyError, MachineError):
            raise UnknownEventError(f"no arrow {event!r} from state {self.state!r}") from None
        return self.state
