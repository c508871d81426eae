"""YAML that people edit, read with care: no aliases, no key twice, nothing huge.

YAML allows more than settings need. An alias makes a file of ten lines a value of a billion, or one
that contains itself; of a key that is there twice the last one wins without a word. Both are
refused, with the line. Reading is by libyaml where it is there.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from auto_iter.errors import InputError, raise_what_passes
from auto_iter.files import expanded

DEEPEST = 40
"""Levels of nesting; settings and checkpoints have five."""

LARGEST_BYTES = 1_000_000
"""No file with settings is larger."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """What is wrong with a text; `line` (from 1) where, when that is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def read_bounded(path: Path, limit: int = LARGEST_BYTES) -> bytes:
    """Return the content of a file of at most `limit` bytes. Raises OSError, YamlError.

    Devices are endless, and refused; a pipe (`<(command)` in a shell) is read.
    """
    with path.open("rb") as file:
        if stat.S_ISCHR(path.stat().st_mode) or stat.S_ISBLK(path.stat().st_mode):
            raise YamlError("a device, not a file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise YamlError(f"more than {limit / 1e6:g} MB, so none of ours")
    return content


def read_edited(name: str | Path, kind: str, *, form: str = "", missing: str = "") -> str:
    """Return the text of a file that a person named; `kind` says what of. Raises InputError.

    `form`, `missing`: what to do where it is none of ours, or is not there.
    """
    try:
        return read_bounded(expanded(name)).decode()
    except FileNotFoundError as error:
        raise InputError(f"{kind} {name}: no such file", missing) from error
    except YamlError as error:
        raise InputError(f"{kind} {name}: {error}", form) from error
    except (OSError, UnicodeDecodeError) as error:
        raise_what_passes(error, Path(name))
        raise InputError(f"{kind} {name}: cannot be read ({error})") from error


def parse_yaml(text: str | bytes) -> Any:
    """Return the value of a YAML document. Raises YamlError, UnicodeDecodeError."""
    return construct(compose(text))


def compose(text: str | bytes) -> yaml.Node | None:
    """Return the nodes of a YAML document, with their lines. Raises YamlError."""
    try:
        _refuse_tricks(text)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _translated(error) from None
    if node is not None:
        _refuse_duplicates(node)
    return node


def construct(node: yaml.Node | None) -> Any:
    """Return the value of a composed document. Raises YamlError."""
    if node is None:
        return None
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.YAMLError as error:
        raise _translated(error) from None
    except (ValueError, OverflowError):  # a date that is none, an integer of 5000 digits
        raise YamlError("a number or a date that makes no sense; quote what is text") from None


def _translated(error: yaml.YAMLError) -> YamlError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not YAML"
    return YamlError(problem, mark.line + 1 if mark is not None else None)


def _refuse_tricks(text: str | bytes) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"an alias (*{event.anchor}): write the value out", _line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise YamlError("nested too deeply", _line(event))


def _line(event: yaml.Event) -> int | None:
    return None if event.start_mark is None else event.start_mark.line + 1


def _refuse_duplicates(node: yaml.Node) -> None:
    for mapping in _mappings(node):
        lines: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("a key that is not text", key.start_mark.line + 1)
            line = key.start_mark.line + 1
            if (key.tag, key.value) in lines:
                first = lines[key.tag, key.value]
                raise YamlError(f"{key.value} is there twice, first in line {first}", line)
            lines[key.tag, key.value] = line


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)
