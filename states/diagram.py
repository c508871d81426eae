"""The picture of the state machine, generated from the table."""

from __future__ import annotations

from states import table


def mermaid() -> str:
    """Return the state machine as a Mermaid state diagram.

    The acting states are put into a box of their own, so that the two events that each of them
    knows are two arrows and not twelve.
    """
    inside = [f"[*] --> {table.INITIAL}"]
    outside: list[str] = []
    for state, row in table.ARROWS.items():
        for to in dict.fromkeys(row.values()):
            drawn = inside if {state, to} <= {*table.ACTING} else outside
            events = " | ".join(event for event, leads_to in row.items() if leads_to == to)
            drawn.append(f"{state} --> {to}: {events}")
    outside += [f"acting --> {to}: {event}" for event, to in table.FROM_ANYWHERE.items()]
    box = ["state acting {", *(f"  {line}" for line in inside), "}"]
    return "\n".join(["stateDiagram-v2", *(f"  {line}" for line in box + outside)])


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
