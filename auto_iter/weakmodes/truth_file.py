"""`truth.yaml`: the constants of a simulated detector that a perfect alignment would find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from auto_iter.detector.constants import Constants, checked_values
from auto_iter.detector.labels import PARAMETERS
from auto_iter.errors import InputError


def read_truth(path: Path) -> Constants:
    """Return the true constants (mm, rad): six numbers for each key, under `constants:`.

    Raises InputError naming the file.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the truth cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: the truth is not YAML ({str(error).splitlines()[0]})") from error
    if isinstance(content, dict):
        content = content.get("constants", content)
    if not isinstance(content, dict):
        raise InputError(f"{path}: no `constants:` with six numbers for each key")
    return {str(key): _values(str(key), values, path) for key, values in content.items()}


def _values(key: str, values: Any, path: Path) -> tuple[float, ...]:
    if isinstance(values, dict):
        values = [values.get(parameter, 0.0) for parameter in PARAMETERS]
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: key {key}: not numbers ({error})") from error
    return checked_values(key, numbers, str(path))
