from __future__ import annotations

import pytest

from auto_iter.detector.labels import Scheme, places
from auto_iter.detector.rules import parse_rule, stations_of
from auto_iter.errors import InputError

ALL = places(range(4), Scheme(stations=True))


def covered(text: str) -> set[int]:
    rule = parse_rule(text)
    return {label for label, place in ALL.items() if rule.covers(place)}


@pytest.mark.parametrize(
    ("rule", "labels"),
    [
        ("21", {211, 212, 213, 214, 215}),
        ("21.rz", {215}),
        ("203", {20301, 20311, 20302}),
        ("2031", {20311}),
        ("20_side.rz", {20002, 20102, 20202, 20302, 20402, 20502, 20602, 20702}),
        ("IFT_layer.x", {101, 111, 121}),
        ("IFT_station.rz", {16}),
    ],
)
def test_a_rule_covers_these_labels(rule: str, labels: set[int]) -> None:
    assert covered(rule) == labels


def test_tracker_covers_everything_and_splits_into_its_parts() -> None:
    assert covered("tracker") == set(ALL)
    assert covered("IFT") | covered("3ST") == set(ALL)
    assert not covered("IFT") & covered("3ST")
    assert covered("global") | covered("local") == set(ALL)
    assert not covered("global") & covered("local")


def test_a_station_number_means_all_that_lies_within() -> None:
    assert covered("1") == covered("IFT")
    assert covered("2") | covered("3") | covered("4") == covered("3ST")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("3STT", "did you mean '3ST'"),
        ("ift", "did you mean 'IFT'"),
        ("IFT_layers", "did you mean 'layer'"),
        ("locals", "did you mean 'local'"),
        ("25", "no component 25"),
        ("21.q", "no parameter 'q'"),
        ("", "not of the form"),
        ("IFT layer", "not of the form"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        parse_rule(text)


def test_station_names_give_station_numbers() -> None:
    assert stations_of(("3ST", "IFT")) == (0, 1, 2, 3)
