"""The state machine's table: closed, reachable, and drawn in the README as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from states import actions, table
from states.diagram import mermaid
from states.machine import StateMachine, UnknownEventError

README = Path(__file__).parents[3] / "README.md"


def test_every_acting_state_has_an_action_and_no_other_has() -> None:
    assert set(actions.ALL) == set(table.ACTING)


def test_every_arrow_ends_in_a_known_state() -> None:
    assert {to for _, _, to in table.arrows()} <= set(table.ARROWS)


def test_every_state_is_reached_from_the_first() -> None:
    reached = {table.INITIAL}
    while more := {to for source, _, to in table.arrows() if source in reached} - reached:
        reached |= more
    assert reached == set(table.ARROWS)


@pytest.mark.parametrize(("source", "event", "to"), table.arrows())
def test_the_machine_follows_the_table(source: str, event: str, to: str) -> None:
    assert StateMachine(source).fire(event) == to


@pytest.mark.parametrize("state", list(table.ARROWS))
def test_an_event_that_the_table_does_not_have_is_refused_and_changes_nothing(state: str) -> None:
    machine = StateMachine(state)
    with pytest.raises(UnknownEventError, match=state):
        machine.fire("no such event")
    assert machine.state == state


@pytest.mark.parametrize("state", sorted(table.TERMINAL))
def test_nothing_fails_or_stops_in_a_terminal_state(state: str) -> None:
    for event in table.FROM_ANYWHERE:
        with pytest.raises(UnknownEventError):
            StateMachine(state).fire(event)


def test_the_picture_in_the_readme_is_the_table() -> None:
    assert f"```mermaid\n{mermaid()}\n```" in README.read_text()
