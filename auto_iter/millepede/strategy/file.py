"""Strategies by name or as YAML files: found, read, and refused in one line."""

from __future__ import annotations

import difflib
from pathlib import Path

from pydantic import ValidationError

from auto_iter.config.cuts import Cuts
from auto_iter.config.shipped import is_file, shipped_text
from auto_iter.config.yamlfile import YamlError, parse_yaml, read_edited
from auto_iter.detector.labels import Scheme
from auto_iter.detector.stations import WITHOUT_IFT
from auto_iter.errors import InputError
from auto_iter.millepede.strategy.parts import (
    Pede,
    Phase,
    Presigma,
    Presigmas,
    Sigmas,
    Step,
)
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.wording import in_words

AUTO = "auto"


def default_strategy(stations: int) -> str:
    """Return the name of the strategy that is made for 3 or 4 stations."""
    return "3st" if stations == WITHOUT_IFT else "4st"


def read_strategy(name_or_path: str | Path) -> str:
    """Return the text of a strategy, as `load_strategy` finds it. Raises InputError."""
    name = str(name_or_path)
    if is_file(name):
        return read_edited(name, "strategy")
    try:
        return shipped_text("strategies", name, "strategy")
    except LookupError as error:
        raise InputError(str(error)) from None


def load_strategy(name_or_path: str | Path) -> Strategy:
    """Return a strategy by name (of ours) or by the path of a YAML file.

    Raises InputError naming file and key, with a suggestion where one is near.
    """
    return parse_strategy(read_strategy(name_or_path), str(name_or_path))


def parse_strategy(text: str, where: str) -> Strategy:
    """Return the strategy in a YAML `text`; `where` names it in errors (InputError)."""
    try:
        return Strategy.model_validate(parse_yaml(text))
    except YamlError as error:
        line = "" if error.line is None else f" line {error.line}"
        raise InputError(f"strategy {where}:{line}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        message = in_words(first)
        if message == "unknown key":
            message += f"{_suggest_key(str(first['loc'][-1]))}"
        raise InputError(f"strategy {where}: {key}: {message}") from error


def _suggest_key(key: str) -> str:
    models = (Strategy, Presigmas, Presigma, Sigmas, Cuts, Step, Phase, Pede)
    known = {*vars(Scheme()), *(name for model in models for name in model.model_fields)}
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
