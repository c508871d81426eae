"""What every section of the configuration is made of: strict models, and kinds of values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from auto_iter.detector.stations import WITH_IFT, WITHOUT_IFT


def _not_a_truth_value(value: object) -> object:
    """Refuse `yes` where a number is meant: Python would count it as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic makes it a message
    return value


_Numeric = BeforeValidator(_not_a_truth_value)
Count = Annotated[int, _Numeric, Field(ge=0)]
Positive = Annotated[int, _Numeric, Field(gt=0)]
Real = Annotated[float, _Numeric]
Seconds = Annotated[Real, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[Real, Field(gt=0, le=1)]
Stations = Annotated[int, Field(ge=WITHOUT_IFT, le=WITH_IFT)]


def _as_written(value: object) -> object:
    """Return a number or truth value as text: HTCondor reads it, YAML only gets it first."""
    return str(value) if isinstance(value, bool | int | float) else value


def as_schedule(value: object) -> object:
    """Return one number as a schedule of one value."""
    return (value,) if isinstance(value, int | float) else value


XrootdServer = Annotated[str, Field(pattern=r"^root://[\w.:-]+/?$")]
SubmitText = Annotated[str, BeforeValidator(_as_written)]
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class Section(BaseModel):
    """A part of the configuration: immutable, and strict about unknown keys."""

    # requests and records hold sections: no limit, `.inf`, has to be read again as it is
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    @field_validator("*")
    @classmethod
    def _one_line(cls, value: object) -> object:
        """Refuse line breaks: in a script or a submit description they begin a new command."""
        if any(_CONTROL.search(text) for text in _texts(value)):
            raise ValueError("holds a line break or another control character")
        return value


SectionT = TypeVar("SectionT", bound=Section)


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, dict):
        yield from (text for item in value.items() for text in _texts(item))
    elif isinstance(value, tuple):
        yield from (text for item in value for text in _texts(item))
