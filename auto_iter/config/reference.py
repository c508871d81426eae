"""docs/configuration.md: every setting with kind, default and meaning, from the model itself.

Kinds and limits are the schema's, meanings are the comments of `conf/default.yaml`.
`python -m auto_iter.config.reference` prints the page; `make configuration` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from auto_iter.config.file import default_text
from auto_iter.config.schema import Config

HEAD = """\
# Configuration

Every setting, made by `make configuration` from the program's own model. `auto-iter config init`
writes them all into a file to edit; give only what differs. As an option: `--set
reco.memory_mb=6000`, in the environment: `AUTO_ITER__RECO__MEMORY_MB=6000`. Where the default is
empty it is `null`: not set.
"""

Schema = Mapping[str, Any]


def page() -> str:
    """Return the whole page."""
    schema, meanings = Config.model_json_schema(), _meanings()
    parts = [HEAD]
    for name, section in schema["properties"].items():
        model = _resolved(section, schema)
        parts.append(f"\n## `{name}`\n")
        if meaning := meanings.get(name):
            parts.append(f"{meaning[0].upper()}{meaning[1:]}.\n")
        parts += ["| setting | kind | default | meaning |", "|---|---|---|---|"]
        parts += [_row(*each, meanings) for each in _leaves(name, model, schema)]
    return "\n".join(parts) + "\n"


def _resolved(part: Schema, schema: Schema) -> Schema:
    reference = part.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else part


def _leaves(name: str, model: Schema, schema: Schema) -> Iterator[tuple[str, Schema, Any]]:
    for key, part in model["properties"].items():
        inner = _resolved(part, schema)
        if "properties" in inner:
            yield from _leaves(f"{name}.{key}", inner, schema)
        else:
            yield f"{name}.{key}", inner, part.get("default")


def _row(name: str, part: Schema, default: Any, meanings: Mapping[str, str]) -> str:
    meaning = meanings.get(name, "")
    usual = "" if default is None else f"`{json.dumps(default)}`"
    cells = (f"`{name}`", _kind(part), usual, meaning)
    return "| " + " | ".join(each.replace("|", "\\|").replace("<", "&lt;") for each in cells) + " |"


def _kind(part: Schema) -> str:
    """Return in words what values a setting takes."""
    if "anyOf" in part:
        return " or ".join(_kind(each) for each in part["anyOf"] if each.get("type") != "null")
    if "enum" in part:
        return ", ".join(f"`{each}`" for each in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    kind = {
        "integer": "whole number",
        "number": "number",
        "boolean": "true, false",
        "array": "list",
        "object": "keys and values",
        "string": "path" if part.get("format") == "path" else "text",
    }.get(part.get("type", ""), "text")
    return " ".join([kind, *_limits(part)])


def _limits(part: Schema) -> Iterator[str]:
    # a limit behind a validator of ours goes by another name
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    signs |= {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    for key, sign in signs.items():
        if key in part:
            yield f"{sign} {part[key]:g}"
    if "pattern" in part:
        yield f"like `{part['pattern']}`"


def _meanings() -> dict[str, str]:
    """Return the comments of the default configuration, by the key that they stand beside."""
    meanings: dict[str, list[str]] = {}
    above: list[tuple[int, str]] = []
    for line in default_text().splitlines():
        text, _, comment = line.partition("#")
        key = text.partition(":")[0].strip()
        if key:
            indent = len(text) - len(text.lstrip())
            above = [*(each for each in above if each[0] < indent), (indent, key)]
        if above and comment:
            name = ".".join(each for _, each in above)
            meanings.setdefault(name, []).append(comment.strip())
    return {name: " ".join(words) for name, words in meanings.items()}


if __name__ == "__main__":
    print(page(), end="")
