"""Survey measurements: what is known of constants, or of sums of them, from outside the tracks.

A YAML file of `key.parameter: value ± σ` in mm and rad, with the keys of
`inputforalign.txt`; on the left also a linear combination, e.g. `"20.y - 0.5*10.y": 0.05 ± 0.02`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from auto_iter.config.schema import Config
from auto_iter.config.yamlfile import YamlError, compose, read_edited
from auto_iter.detector.constants import Constants, combinations, value_of
from auto_iter.detector.labels import PARAMETERS, Place, component_of_key
from auto_iter.errors import InputError
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.workspace.paths import Workspace

_FORM = 'a line reads `20.y: 0.05 ± 0.02`, or `"20.y - 10.y": 0.05 ± 0.02` (mm, rad; σ > 0)'
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*([+-])?\s*(?:({_NUMBER})\s*\*\s*)?(\d+)\.([A-Za-z]+)\s*")
_VALUE = re.compile(rf"\s*([+-]?{_NUMBER})\s*(?:±|\+/?-)\s*({_NUMBER})\s*")


@dataclass(frozen=True)
class Measured:
    """Σ factor · constant = `value` ± `sigma` (mm or rad).

    `factors`: by key and parameter of the constant, none of them 0. `where`: file, line and `text`,
    for messages.
    """

    factors: dict[tuple[str, str], float]
    value: float
    sigma: float
    where: str
    text: str

    def missing(self, current: Constants) -> float:
        """Return the measured value minus that under `current` constants, in mm or rad."""
        return self.value - sum(
            factor * value_of(current, key, name) for (key, name), factor in self.factors.items()
        )

    def weights(self, known: Mapping[tuple[str, str], Mapping[Place, float]]) -> dict[Place, float]:
        """Return it as a combination of labels; `known`: all constants as such."""
        weights: dict[Place, float] = {}
        for constant, factor in self.factors.items():
            for place, weight in known[constant].items():
                weights[place] = weights.get(place, 0.0) + factor * weight
        return weights


Survey = tuple[Measured, ...]


def read_survey(path: Path) -> str:
    """Return the text of a survey. Raises InputError."""
    missing = "name one that is there; with alignment.survey=null there is none"
    return read_edited(path, "survey", form=_FORM, missing=missing)


def checked_survey(path: Path | None, strategy: Strategy | None = None) -> str:
    """Return the text of a survey that can be used; empty without one. Raises InputError."""
    if path is None:
        return ""
    text = read_survey(path)
    parse_survey(text, str(path), strategy)
    return text


def load_survey(path: Path, strategy: Strategy | None = None) -> Survey:
    """Return the measurements of a file. Raises InputError like `parse_survey`."""
    return parse_survey(read_survey(path), str(path), strategy)


def parse_survey(text: str, where: str, strategy: Strategy | None = None) -> Survey:
    """Return the measurements in a YAML `text`; `where` names it in errors.

    Raises InputError with file, line, key and what to do; with a `strategy` also for constants
    that it does not have.
    """
    try:
        node = compose(text)
    except YamlError as error:
        line = "" if error.line is None else f" line {error.line}:"
        raise InputError(f"survey {where}:{line} {error}", _FORM) from error
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise InputError(f"survey {where}: no measurements", _FORM)
    survey = tuple(_measured(key, value, where) for key, value in node.value)
    if strategy is not None:
        _refuse_unknown(survey, strategy)
    return survey


def _measured(key: yaml.ScalarNode, value: yaml.Node, where: str) -> Measured:
    here = f"survey {where}: line {key.start_mark.line + 1}: {key.value}"
    found = _VALUE.fullmatch(value.value) if isinstance(value, yaml.ScalarNode) else None
    if found is None:
        raise InputError(f"{here}: needs a value and its uncertainty", _FORM)
    measured, sigma = float(found[1]), float(found[2])
    if not (math.isfinite(measured) and math.isfinite(sigma) and sigma > 0):
        raise InputError(f"{here}: {value.value}: value and σ have to be finite, σ > 0", _FORM)
    factors: dict[tuple[str, str], float] = {}
    for constant, factor in _terms(key.value, here):
        factors[constant] = factors.get(constant, 0.0) + factor
    factors = {constant: factor for constant, factor in factors.items() if factor}
    if not factors:
        raise InputError(f"{here}: nothing is left of it", _FORM)
    return Measured(factors, measured, sigma, here, key.value)


def _terms(text: str, here: str) -> Iterator[tuple[tuple[str, str], float]]:
    at = 0
    while at < len(text) or not at:
        found = _TERM.match(text, at)
        if found is None or (at and not found[1]):
            raise InputError(f"{here}: not understood from {text[at:]!r} on", _FORM)
        sign, factor, key, name = found.groups()
        if name not in PARAMETERS:
            raise InputError(f"{here}: no parameter {name!r}", f"one of {', '.join(PARAMETERS)}")
        try:
            component_of_key(key)
        except InputError as error:
            raise InputError(f"{here}: {error}", "keys are those of inputforalign.txt") from error
        yield (key, name), (-1.0 if sign == "-" else 1.0) * float(factor or 1)
        at = found.end()


def _refuse_unknown(survey: Survey, strategy: Strategy) -> None:
    known = combinations(strategy.places.values(), strategy.labels)
    for measured in survey:
        for key, name in measured.factors.keys() - known.keys():
            has = ", ".join(f"{key}.{each}" for other, each in known if other == key)
            raise InputError(
                f"{measured.where}: strategy {strategy.name} does not align {key}.{name}",
                f"measure what it has: {has}" if has else "leave the line out",
            )


def survey_in_use(workspace: Workspace, config: Config) -> Path | None:
    """Return the survey of an alignment: the workspace's copy, whatever becomes of the original.

    None without `alignment.survey`; the original where there is no copy.
    """
    configured = config.alignment.survey
    if configured is None:
        return None
    return workspace.survey if workspace.survey.is_file() else configured
