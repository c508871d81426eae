"""How pede reads a line of text: comments, numbers, keywords that need not be spelled exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?")


@dataclass(frozen=True)
class Line:
    """One line without comment: the first word, further words before the numbers, the numbers."""

    file: Path
    number: int
    text: str
    keyword: str
    argument: str
    numbers: tuple[float, ...]

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.number}"


def strip_comment(text: str) -> str:
    """Text without comment and outer blanks: `*` in column 1, `!` and `%` anywhere."""
    if text.startswith("*"):
        return ""
    return re.split("[!%]", text, maxsplit=1)[0].replace("\t", " ").strip()


def parse_line(file: Path, number: int, text: str) -> Line:
    """Split a line as pede does: what stands before the first number is words."""
    bare = strip_comment(text)
    first = _NUMBER.search(bare)
    words = bare[: first.start()] if first else bare
    keyword, _, argument = words.strip().partition(" ")
    numbers = _NUMBER.findall(bare[first.start() :]) if first else []
    values = tuple(float(n.replace("d", "e").replace("D", "e")) for n in numbers)
    return Line(file, number, bare, keyword, argument.strip(), values)


@lru_cache(maxsize=4096)  # a file of constraints says `constraint` thousands of times
def matches(word: str, keyword: str) -> bool:
    """Whether at least 80 % of the letters agree, case aside, relative to the longer of the two."""
    return 100 * matching_letters(word, keyword) >= 80 * max(len(word), len(keyword))


def matching_letters(pattern: str, text: str) -> int:
    """Length of `pattern` less its edit distance to the closest part of `text` (pede's matint)."""
    pattern, text = pattern.lower(), text.lower()
    distance = list(range(len(pattern) + 1))
    best = 0
    for letter in text:
        previous, distance = distance, [0]
        for i, wanted in enumerate(pattern, start=1):
            exchange = previous[i - 1] + (wanted != letter)
            distance.append(min(exchange, previous[i] + 1, distance[i - 1] + 1))
        best = max(best, len(pattern) - distance[-1])
    return best


def is_text_name(name: str) -> bool:
    """Whether pede takes a file of this name for text: `xt` or `tx` among the last 4 letters."""
    return any(part in name[-4:].lower() for part in ("xt", "tx"))
