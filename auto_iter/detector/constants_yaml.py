"""The YAML twin of the constants: value, uncertainty and last change of each, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from auto_iter.detector.constants import Change, Values
from auto_iter.detector.labels import PARAMETERS, component_of_key

_HEADER = "# alignment constants in mm and rad; change: in this iteration; fixed: no uncertainty\n"


def format_yaml(constants: Mapping[str, Values], moved: Iterable[Change]) -> str:
    """Return the YAML text: one line for each constant that is not trivially zero."""
    by_place = {(change.key, change.parameter): change for change in moved}
    lines: list[str] = []
    for key in sorted(constants):
        lines.append(f'"{key}": # {component_of_key(key).name}')
        for parameter, value in zip(PARAMETERS, constants[key], strict=True):
            change = by_place.get((key, parameter))
            if change is not None or value != 0:
                lines.append(f"  {parameter}: {{{_entry(value, change)}}}")
    return _HEADER + ("\n".join([*lines, ""]) if lines else "{}\n")


def _entry(value: float, change: Change | None) -> str:
    fields = [f"value: {_number(value)}"]
    if change is not None and change.sigma is not None:
        fields.append(f"uncertainty: {_number(change.sigma)}")
    if change is not None:
        fields.append(f"change: {_number(change.value)}")
    return ", ".join(fields)


def _number(value: float) -> str:
    """Return 6 digits in a form that every YAML reader takes for a number: with a point."""
    text = f"{value + 0.0:.6g}"
    mantissa, exponent, power = text.partition("e")
    return text if "." in mantissa or not exponent else f"{mantissa}.0e{power}"
