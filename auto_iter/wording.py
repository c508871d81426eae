"""What pydantic found wrong with a value, in our words: they reach users."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_NUMBER, _WHOLE = "must be a number", "must be a whole number"
_SECTION, _LIST = "must be a section with settings", "must be a list"

_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dataclass_type": _SECTION,
    "dict_type": _SECTION,
    "extra_forbidden": "unknown key",
    "finite_number": "must be finite",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "is too large a number",
    "int_type": _WHOLE,
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "list_type": _LIST,
    "literal_error": "must be {expected}",
    "missing": "is missing",
    "model_attributes_type": _SECTION,
    "model_type": _SECTION,
    "path_type": "must be a path",
    "string_pattern_mismatch": "must look like {pattern}",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "too_short": "needs at least {min_length}",
    "tuple_type": _LIST,
    "unexpected_keyword_argument": "unknown key",
}


def first_problem(error: ValidationError) -> str:
    """Return what is wrong first, after its key."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'file'}: {in_words(first)}"


def in_words(error: ErrorDetails) -> str:
    """Return what is wrong, as a phrase that follows the key."""
    words = _WORDS.get(error["type"])
    if words is not None:
        return words.format(**error.get("ctx", {}))
    return error["msg"].removeprefix("Value error, ").replace("Input should", "must")
