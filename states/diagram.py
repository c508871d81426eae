"""The picture of the state machine, generated from the table."""

from __future__ import annotations

from transitions.extensions import GraphMachine

from states import table


def mermaid() -> str:
    """Return the state machine as a Mermaid state diagram.

    `transitions` draws the arrows; the acting states are put into a box of their own, so that the
    two events that each of them knows are two arrows and not twelve.
    """
    machine = GraphMachine(
        states=list(table.ARROWS),
        transitions=[
            {"trigger": event, "source": state, "dest": to}
            for state, row in table.ARROWS.items()
            for event, to in row.items()
        ],
        initial=table.INITIAL,
        auto_transitions=False,
        graph_engine="mermaid",
    )
    drawn = [line.strip() for line in machine.get_graph().source.splitlines() if "-->" in line]
    inside = [line for line in drawn if _joins_acting_states(line)]
    outside = [line for line in drawn if line not in inside]
    outside += [f"acting --> {to}: {event}" for event, to in table.FROM_ANYWHERE.items()]
    box = ["state acting {", *(f"  {line}" for line in inside), "}"]
    return "\n".join(["stateDiagram-v2", *(f"  {line}" for line in box + outside)])


def _joins_acting_states(line: str) -> bool:
    source, _, rest = line.partition(" --> ")
    return source in {*table.ACTING, "[*]"} and rest.partition(":")[0] in table.ACTING


def drawn_into(text: str) -> str:
    """Return a Markdown text with its first Mermaid state diagram replaced by today's."""
    before, opening, rest = text.partition("```mermaid\nstateDiagram")
    if not opening:
        raise ValueError("no ```mermaid stateDiagram in the text")
    _, closing, after = rest.partition("\n```")
    return f"{before}```mermaid\n{mermaid()}{closing}{after}"


if __name__ == "__main__":
    from pathlib import Path

    readme = Path("README.md")
    readme.write_text(drawn_into(readme.read_text()))
