"""All states and arrows, as data. The machine, the README's picture and the tests read this."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

INITIAL: Final = "prepare"

ARROWS: Final = MappingProxyType(
    {
        "prepare": {"prepared": "submit_reco"},
        "submit_reco": {"submitted": "wait_reco", "nothing_outstanding": "wait_reco"},
        "wait_reco": {
            "reco_finished": "mille",
            "reco_incomplete": "submit_reco",
            "stragglers": "submit_reco",
        },
        "mille": {"converted": "pede", "reco_incomplete": "submit_reco"},
        "pede": {"solved": "next_iteration", "outdated": "mille"},
        "next_iteration": {"iterate": "prepare", "finish": "done"},
        "done": {"extend": "prepare"},
        "failed": {"resume": "prepare"},
        "stopped": {"resume": "prepare"},
    }
)
"""State → event → next state. `resume` leads to `prepare`: every action is idempotent, so going
through the current iteration again redoes only what is missing."""

TERMINAL: Final = frozenset({"done", "failed", "stopped"})
ACTING: Final = tuple(state for state in ARROWS if state not in TERMINAL)

RECONSTRUCTED: Final = frozenset(ACTING[ACTING.index("wait_reco") + 1 :])
"""States of an iteration whose reconstruction is over; `ARROWS` has them in order."""

FROM_ANYWHERE: Final = MappingProxyType({"fail": "failed", "stop": "stopped"})
"""Events that every acting state knows."""


def arrows() -> list[tuple[str, str, str]]:
    """Return every arrow as (source, event, destination)."""
    own = [(state, event, to) for state, row in ARROWS.items() for event, to in row.items()]
    common = [(state, event, to) for state in ACTING for event, to in FROM_ANYWHERE.items()]
    return own + common
