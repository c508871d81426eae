from __future__ import annotations

import pytest

from auto_iter.detector.labels import (
    Component,
    Place,
    Scheme,
    align_id_component,
    component_of_key,
    component_of_number,
    label_of,
    place_of,
    places,
    side_labels,
)
from auto_iter.errors import InputError

FASER = Scheme()


@pytest.mark.parametrize(
    ("align_id", "scheme", "labels"),
    [
        (1000, FASER, (20001, 20002, 201, 202, 203, 204, 205)),
        (1031, FASER, (20311, 20302, 201, 202, 203, 204, 205)),
        (271, FASER, (12711, 12702, 121, 122, 123, 124, 125)),
        (3271, Scheme(layers=False), (42711, 42702)),
        (1000, Scheme(layer_z=True), (20001, 20002, 201, 202, 203, 204, 205, 206)),
        (1001, Scheme(modules="all", layers=False), (20011, 20012, 20013, 20014, 20015, 20016)),
        (2110, Scheme(modules="off", layers=False, stations=True), (31, 32, 33, 34, 35, 36)),
    ],
)
def test_a_side_has_these_labels(align_id: int, scheme: Scheme, labels: tuple[int, ...]) -> None:
    assert side_labels(align_id, scheme) == labels


@pytest.mark.parametrize(
    ("label", "scheme", "place", "key", "name"),
    [
        (201, FASER, Place(Component(1, 0), "x"), "10", "station 1 layer 0 x"),
        (205, FASER, Place(Component(1, 0), "rz"), "10", "station 1 layer 0 rz"),
        (205, Scheme(layer_z=True), Place(Component(1, 0), "ry"), "10", "station 1 layer 0 ry"),
        (111, FASER, Place(Component(0, 1), "x"), "01", "IFT layer 1 x"),
        (
            20311,
            FASER,
            Place(Component(1, 0, 3, 1), "x"),
            "103",
            "station 1 layer 0 module 3 side 1 x",
        ),
        (20302, FASER, Place(Component(1, 0, 3), "rz"), "103", "station 1 layer 0 module 3 rz"),
        (26, Scheme(stations=True), Place(Component(1), "rz"), "1", "station 1 rz"),
    ],
)
def test_a_label_stands_for_one_parameter(
    label: int, scheme: Scheme, place: Place, key: str, name: str
) -> None:
    assert place_of(label, scheme) == place
    assert (place.component.key, place.name) == (key, name)
    assert label_of(place, scheme) == label


@pytest.mark.parametrize(
    ("label", "scheme"),
    [
        (206, FASER),
        (200, FASER),
        (20312, FASER),
        (20003, FASER),
        (21, FASER),
        (501, FASER),
        (231, FASER),
        (2031, FASER),
        (1234567, FASER),
        (201, Scheme(layers=False)),
    ],
)
def test_a_label_outside_the_scheme_is_refused(label: int, scheme: Scheme) -> None:
    with pytest.raises(InputError, match=str(label)):
        place_of(label, scheme)


@pytest.mark.parametrize("scheme", [FASER, Scheme("all", True, True, True), Scheme("off")])
def test_labels_and_places_are_one_to_one(scheme: Scheme) -> None:
    table = places(range(4), scheme)
    assert len(set(table.values())) == len(table)
    assert all(place_of(label, scheme) == place for label, place in table.items())


def test_the_spectrometer_has_261_parameters() -> None:
    assert len(places((1, 2, 3), FASER)) == 261


@pytest.mark.parametrize("number", ["0", "5", "23", "208", "2032", "20311", "", "2x", "-1", "²"])
def test_a_component_number_that_does_not_exist_is_refused(number: str) -> None:
    with pytest.raises(InputError):
        component_of_number(number)


@pytest.mark.parametrize("key", ["4", "13", "108", "1031", "", "x"])
def test_a_constants_key_that_does_not_exist_is_refused(key: str) -> None:
    with pytest.raises(InputError):
        component_of_key(key)


def test_component_numbers_count_stations_from_one_and_keys_from_zero() -> None:
    assert component_of_number("203") == component_of_key("103") == Component(1, 0, 3)
    assert component_of_key("103").number == "203"


def test_an_align_id_keeps_its_leading_zero() -> None:
    assert align_id_component(71) == Component(0, 0, 7, 1)


def test_a_station_contains_its_modules_but_not_others() -> None:
    assert Component(1).contains(Component(1, 0, 3, 1))
    assert not Component(1, 0).contains(Component(1, 1))
    assert not Component(1, 0).contains(Component(1))
