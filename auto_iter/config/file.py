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

from auto_iter.config.imported import is_dag_config
from auto_iter.config.schema import Config
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
    tree, origins = _read(file) if file is not None else ({}, {})
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
    return validated(tree, origins)


def validated(tree: Mapping[str, Any], origins: Origins) -> Config:
    """Return the configuration that a tree of settings means. Raises UsageError."""
    _refuse_unknown(tree, Config, (), origins)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UsageError(_explain(error, origins)) from None


def dump_config(config: Config) -> str:
    """Return the configuration as YAML, every setting with its value."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def differences(ours: Config, theirs: Config) -> list[tuple[str, Any, Any]]:
    """Return (key, our value, their value) of every setting that differs."""
    a, b = (
        dict(_leaves(ours.model_dump(mode="json"))),
        dict(_leaves(theirs.model_dump(mode="json"))),
    )
    return [(key, a.get(key), b.get(key)) for key in sorted({*a, *b}) if a.get(key) != b.get(key)]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read(path: Path) -> tuple[dict[str, Any], Origins]:
    """Return the file's content and where each key stands. JSON is YAML, near enough."""
    try:
        node = compose(read_bounded(path).decode())
        tree = construct(node)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; check --config") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file") from None
    except YamlError as error:
        line = "" if error.line is None else f":{error.line}"
        raise UsageError(f"{path}{line}: {error}") from None
    if tree is None:
        return {}, {}
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: must be sections with settings, like `auto-iter config show`")
    return tree, {name: f"{path}:{line}" for name, line in _line_numbers(node, ())}


def _line_numbers(node: yaml.Node | None, prefix: Key) -> Iterator[tuple[Key, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*prefix, str(key.value))
            yield name, key.start_mark.line + 1
            yield from _line_numbers(value, name)


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
    for key, value in tree.items():
        where = (*prefix, str(key))
        field = model.model_fields.get(str(key))
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
        return f"{_at(where, origins)}: {REPLACED[where]}"
    close = difflib.get_close_matches(where[-1], model.model_fields, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(model.model_fields)}"
    return f"{_at(where, origins)}: unknown key; {hint}"


def _at(where: Key, origins: Origins) -> str:
    return f"{origins.get(where, 'configuration')}: {'.'.join(where)}"


def _explain(error: ValidationError, origins: Origins) -> str:
    first = error.errors()[0]
    where = tuple(str(part) for part in first["loc"])
    while where and where not in origins and where[:-1] in origins:
        where = where[:-1]
    value = "" if isinstance(first["input"], dict) else f", got {_shortened(first['input'])}"
    return f"{_at(where, origins)}: {in_words(first)}{value}"


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
