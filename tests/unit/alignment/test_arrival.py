"""What is said of constants that arrived, did not, arrived wrongly or only in some files."""

from __future__ import annotations

import math

import pytest

from auto_iter.alignment.judges.arrival import Look, Reading, Response, find, judge

MANY = 10_000.0


def response(fraction: float, curvature: float = MANY, *, chi2_ndf: float = 1.0) -> Response:
    """Return a file whose residuals contain the change once before, and 1 − `fraction` after."""
    figures = {"tracks": 500, "chi2": 11_000 * chi2_ndf, "ndf": 11_000}
    before = Look(curvature, curvature, **figures)  # type: ignore[arg-type]  # all are numbers
    after = Look((1 - fraction) * curvature, curvature, **figures)  # type: ignore[arg-type]
    return Response(before, after)


def files(*fractions: float, curvature: float = MANY) -> dict[int, Response]:
    return {400 + n: response(each, curvature) for n, each in enumerate(fractions)}


def test_a_response_is_the_change_of_the_amplitude_with_its_uncertainty() -> None:
    found = response(0.9, 200.0)
    assert found.fraction == pytest.approx(0.9)
    assert found.uncertainty == pytest.approx(math.sqrt(2 / 200))
    assert response(0.9, 200.0, chi2_ndf=4.0).uncertainty == pytest.approx(math.sqrt(8 / 200))


@pytest.mark.parametrize(
    ("fraction", "curvature", "expected"),
    [
        (1.0, MANY, Reading.ARRIVED),
        (0.7, MANY, Reading.ARRIVED),  # far from the truth: not linear
        (1.5, MANY, Reading.ARRIVED),
        (0.0, MANY, Reading.ABSENT),
        (0.03, MANY, Reading.ABSENT),
        (-1.0, MANY, Reading.WRONG),
        (0.25, MANY, Reading.WRONG),
        (0.25, 1000.0, Reading.UNTOLD),
        (0.5, 1000.0, Reading.ARRIVED),
        (2.0, MANY, Reading.WRONG),  # applied twice
        (10.0, MANY, Reading.WRONG),
        (0.0, 100.0, Reading.ABSENT),
        (-1.0, 200.0, Reading.WRONG),
        (1.9, 200.0, Reading.ARRIVED),  # too far along what hardly matters: not linear
        (0.0, 20.0, Reading.UNTOLD),
        (-1.0, 20.0, Reading.UNTOLD),
        (0.0, 0.0, Reading.UNTOLD),
    ],
)
def test_one_file(fraction: float, curvature: float, expected: Reading) -> None:
    assert find(response(fraction, curvature)) is expected


def test_constants_that_arrive_everywhere_are_no_finding() -> None:
    assert judge(files(1.0, 0.95, 1.1, 0.7), 2) is None


def test_no_file_is_nothing_to_say() -> None:
    assert judge({}, 2) is None


def test_constants_that_did_not_arrive_are_told_with_what_was_predicted() -> None:
    verdict = judge(files(0.0, 0.0, 0.0), 2)
    assert verdict is not None
    assert verdict.reason == (
        "the constants that iteration 1 found did not arrive in iteration 2: of the change that "
        "they predict, 0.00 ± 0.01 is seen (chi2 was to fall by 3e+04)"
    )
    assert "output tag" in verdict.check
    assert verdict.files == (400, 401, 402)


@pytest.mark.parametrize("fraction", [-1.0, 0.2, 5.0])
def test_the_wrong_sign_or_scale_is_another_sentence(fraction: float) -> None:
    verdict = judge(files(fraction, fraction, fraction), 3)
    assert verdict is not None
    assert "arrived with the wrong sign or scale in iteration 3" in verdict.reason
    assert f"{fraction:.2f} ± 0.01" in verdict.reason
    assert "sign" in verdict.check
    assert verdict.files == (400, 401, 402)


def test_stale_files_among_good_ones_are_named() -> None:
    verdict = judge(files(1.0, 0.0, 1.0, -0.3), 2)
    assert verdict is not None
    assert verdict.reason == (
        "the constants that iteration 1 found arrived only in some files of iteration 2: of the "
        "change that they predict, 1.00 ± 0.01 is seen in 2 files, but not in 00401 (0.00 ± 0.01), "
        "00403 (-0.30 ± 0.01)"
    )
    assert verdict.files == (401, 403)


def test_of_many_stale_files_some_are_named_and_all_are_concerned() -> None:
    verdict = judge(files(*[1.0, 0.0] * 20), 2)
    assert verdict is not None
    assert "and 10 more" in verdict.reason
    assert len(verdict.files) == 20


def test_files_too_small_to_tell_alone_tell_together() -> None:
    small = files(*[0.0] * 50, curvature=10.0)
    assert all(find(each) is Reading.UNTOLD for each in small.values())
    verdict = judge(small, 2)
    assert verdict is not None
    assert "did not arrive" in verdict.reason
    assert len(verdict.files) == 50


def test_a_change_below_the_noise_says_nothing() -> None:
    assert judge(files(0.0, -3.0, 2.5, curvature=5.0), 7) is None


def test_errors_that_cancel_are_errors_all_the_same() -> None:
    verdict = judge(files(-1.0, 3.0), 2)
    assert verdict is not None
    assert verdict.files == (400, 401)


@pytest.mark.parametrize("fraction", [-1.0, 0.1, 3.0])
def test_a_change_of_no_weight_may_be_missed_but_its_scale_is_not_judged(fraction: float) -> None:
    """Near the end: long steps along what the data hardly fix, which residuals do not follow."""
    before = Look(100.0, 100.0, tracks=50_000, chi2=6e5, ndf=600_000)
    after = Look((1 - fraction) * 100, 100.0, tracks=50_000, chi2=6e5, ndf=600_000)
    assert find(Response(before, after)) not in {Reading.ABSENT, Reading.WRONG}
    assert find(Response(before, before)) is Reading.ABSENT


def test_other_tracks_that_show_nothing_by_chance_are_not_the_same_tracks() -> None:
    before = Look(300.0, 300.0, tracks=500, chi2=15_000.0, ndf=6000)
    after = Look(300.0, 300.0, tracks=500, chi2=14_000.0, ndf=6000)
    assert Response(before, after).fraction == 0
    assert find(Response(before, after)) is Reading.UNTOLD
