"""The configuration as it comes in: YAML (or the older JSON) file, environment, `--set`.

Later sources win: defaults, file, environment (`AUTO_ITER__ALIGNMENT__STRATEGY=…`), `--set
alignment.strategy=…`. Whatever is wrong is one line with file, line and key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import BaseModel, ValidationError

from auto_iter.config.imported import is_dag_config, leaves
from auto_iter.config.schema import Config
from auto_iter.config.section import SectionT
from auto_iter.config.yamlfile import YamlError, compose, construct, parse_yaml, read_bounded
from auto_iter.errors import UsageError
from auto_iter.wording import in_words

FOUND_BY_DEFAULT = ("auto_iter.yaml", "config.json")
"""Looked for in the current directory when no `--config` is given."""

ENV_PREFIX = "AUTO_ITER__"

SHOWN = 100
"""So many characters of a wrong value are repeated."""

Key: TypeAlias = tuple[str, ...]
Origins: TypeAlias = dict[Key, str]
"""Where each key was set: `FILE:LINE`, an environment variable, or `--set ...`."""


def default_text() -> str:
    """Return the commented default configuration."""
    return resources.files("conf").joinpath("default.yaml").read_text()


def load_config(
    path: Path | None = None, overrides: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Config:
    """Return the validated configuration. Raises UsageError."""
    file = path or next((Path(name) for name in FOUND_BY_DEFAULT if Path(name).is_file()), None)
    tree, origins = _settings(file) if file is not None else ({}, {})
    if is_dag_config(tree):
        raise UsageError(
            f"{file}: the collaboration's config.json; `auto-iter config import {file} "
            "auto_iter.yaml` takes it over"
        )
    for name, value in _from_environment(env or {}):
        keys = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        _put(tree, origins, keys, value, f"environment {name}")
    for text in overrides:
        _override(tree, origins, text)
    return validated(tree, origins, Config)


def _settings(path: Path) -> tuple[dict[str, Any], Origins]:
    try:
        tree, origins = read_tree(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; check --config") from None
    if not isinstance(tree, dict | None):
        raise UsageError(f"{path}: must be sections with settings, like `auto-iter config show`")
    return tree or {}, origins


def validated(tree: Mapping[str, Any], origins: Origins, model: type[SectionT]) -> SectionT:
    """Return what a tree of settings means, as a `model`. Raises UsageError."""
    _refuse_unknown(tree, model, (), origins)
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise UsageError(_explain(error, origins)) from None


def dump_config(config: Config) -> str:
    """Return the configuration as YAML, every setting with its value."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def differences(ours: Config, theirs: Config) -> list[tuple[str, Any, Any]]:
    """Return (key, our value, their value) of every setting that differs."""
    a, b = (dict(leaves(each.model_dump(mode="json"))) for each in (ours, theirs))
    return [(key, a.get(key), b.get(key)) for key in sorted({*a, *b}) if a.get(key) != b.get(key)]


def read_tree(path: Path, texts: frozenset[str] = frozenset()) -> tuple[Any, Origins]:
    """Return the value of a YAML file, and where each key and item stands.

    JSON is YAML, near enough. `texts`: keys whose values are text, also where YAML would see a
    number. Raises UsageError with file and line, OSError.
    """
    try:
        node = compose(read_bounded(path).decode())
        lines = dict(_lines(node, (), texts))
        return construct(node), {key: f"{path}:{line}" for key, line in lines.items()}
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file") from None
    except YamlError as error:
        line = "" if error.line is None else f":{error.line}"
        raise UsageError(f"{path}{line}: {error}") from None


def _lines(node: yaml.Node | None, prefix: Key, texts: frozenset[str]) -> Iterator[tuple[Key, int]]:
    """Yield the line of each key and item, and make text of what `texts` says, also in a list."""
    items: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        items = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        items = [(str(number), value, value) for number, value in enumerate(node.value)]
    for key, begin, value in items:
        name = prefix[-1] if prefix and isinstance(node, yaml.SequenceNode) else key
        if name in texts and isinstance(value, yaml.ScalarNode):
            value.tag = "tag:yaml.org,2002:str"
        yield (*prefix, key), begin.start_mark.line + 1
        yield from _lines(value, (*prefix, key), texts)


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for name, text in sorted(env.items()):
        if name.startswith(ENV_PREFIX):
            yield name, _value(text, f"environment {name}")


def _override(tree: dict[str, Any], origins: Origins, text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(
            f"--set {text}: must be key=value, e.g. alignment.polling_interval_seconds=60"
        )
    origin = f"--set {text}"
    _put(tree, origins, tuple(key.strip().split(".")), _value(value, origin), origin)


def _value(text: str, origin: str) -> Any:
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise UsageError(f"{origin}: the value is not YAML: {error}") from None


def _put(tree: dict[str, Any], origins: Origins, keys: Key, value: Any, origin: str) -> None:
    for deeper in range(1, len(keys) + 1):
        # A section that the file has too keeps its line; the setting itself is now from here.
        origins.setdefault(keys[:deeper], origin)
    origins[keys] = origin
    for key in keys[:-1]:
        inner = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UsageError(f"{origin}: {key} is not a section")
        tree = inner
    tree[keys[-1]] = value


def _refuse_unknown(
    tree: Mapping[str, Any], model: type[BaseModel], prefix: Key, origins: Origins
) -> None:
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in tree.items():
        where = (*prefix, str(key))
        field = known.get(str(key))
        if field is None:
            raise UsageError(_unknown(where, model, origins))
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, dict):
            _refuse_unknown(value, inner, where, origins)


REPLACED = {
    ("reco", "geometry_tag"): 'reco.preset holds tags and files now: "2024" is 04 throughout'
}
"""Keys of before, and what says the same today."""


def _unknown(where: Key, model: type[BaseModel], origins: Origins) -> str:
    if where in REPLACED:
        return f"{place(where, origins)}: {REPLACED[where]}"
    close = difflib.get_close_matches(where[-1], model.model_fields, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(model.model_fields)}"
    return f"{place(where, origins)}: unknown key; {hint}"


def place(where: Key, origins: Origins) -> str:
    """Return where a setting, or what it is in, was set, and its key; items have no name."""
    known = (where[:n] for n in range(len(where), 0, -1) if where[:n] in origins)
    origin = origins.get(next(known, ()), "configuration")
    return f"{origin}: {'.'.join([*where[:1], *(key for key in where[1:] if not key.isdecimal())])}"


def _explain(error: ValidationError, origins: Origins) -> str:
    first = error.errors()[0]
    where = tuple(str(part) for part in first["loc"])
    while first["type"] != "missing" and where not in origins and where[:-1] in origins:
        where = where[:-1]
    value = "" if isinstance(first["input"], dict) else f", got {_shortened(first['input'])}"
    return f"{place(where, origins)}: {in_words(first)}{value}"


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
