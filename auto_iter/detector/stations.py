"""FASER's two modes: three stations, or four of them with the interface tracker (IFT)."""

from __future__ import annotations

from typing import Final, Literal

IFT: Final = 0
"""The interface tracker, as stations are counted from 0."""

WITHOUT_IFT: Final = 3
WITH_IFT: Final = 4
MODES: Final = (WITHOUT_IFT, WITH_IFT)
"""How many stations take data."""

Mode = Literal[3, 4]

OPTIONS: Final = {WITHOUT_IFT: "--threest", WITH_IFT: "--fourst"}
"""How each is said on our command line."""

RECONSTRUCTED_BY: Final = {WITHOUT_IFT: ("--noIFT",), WITH_IFT: ()}
"""What the reconstruction program is told for each."""


def station_name(station: int) -> str:
    """Return what a station (from 0) is called."""
    return "IFT" if station == IFT else f"station {station}"
