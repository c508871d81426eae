"""Raw files, pattern recognition and fit: honest, deterministic, and blind to the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from auto_iter.detector.geometry import (
    HALF_WIDTH_MM,
    PITCH_MM,
    SENSORS,
    Array,
    Detector,
    build_detector,
)
from auto_iter.errors import InputError
from auto_iter.simulation.fit import cross
from auto_iter.simulation.generation import Beam, generate
from auto_iter.simulation.misalignment import Sizes, draw_constants
from auto_iter.simulation.pattern import Found, find_tracks
from auto_iter.simulation.rawfile import STEPS_PER_STRIP, SimulatedRaw, read_raw, write_raw
from auto_iter.simulation.reconstruct import reconstruct
from tests.support.simulated import chi2_per_ndf

TRUTH = draw_constants(np.random.default_rng(1), 4, Sizes())
EVENTS = 300
BEAM = Beam(events=EVENTS)


def a_raw_file(beam: Beam = BEAM, number: int = 400) -> SimulatedRaw:
    return generate(np.random.default_rng([9, number]), build_detector(TRUTH), beam, 11705, number)


def written(path: Path, beam: Beam = BEAM) -> Path:
    write_raw(path, a_raw_file(beam))
    return path


def residuals(found: Found, detector: Detector) -> Array:
    return found.hits.position - cross(found.tracks, found.hits, detector).u


@given(
    arrays(np.uint16, st.integers(0, 50), elements=st.integers(0, 768 * STEPS_PER_STRIP)),
    st.integers(0, 999_999),
)
def test_reading_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, steps: np.ndarray, run: int
) -> None:
    count = len(steps)
    raw = SimulatedRaw(
        run,
        7,
        count + 1,
        np.arange(count),
        np.arange(count) * 7 % SENSORS,
        steps * (PITCH_MM / STEPS_PER_STRIP) - HALF_WIDTH_MM,
        np.ones(count, dtype=np.int64),
    )
    path = tmp_path_factory.mktemp("raw") / "one.raw"
    write_raw(path, raw)
    again = read_raw(path)
    assert (again.run, again.number, again.events) == (run, 7, count + 1)
    for name in ("event", "sensor", "position", "strips"):
        np.testing.assert_array_equal(getattr(again, name), getattr(raw, name))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda _: b"no raw file at all, but long enough to be one by its size",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:8] + b"\x07" + content[9:],
    ],
    ids=["header only", "cut short", "foreign", "bit flipped", "other version"],
)
def test_a_damaged_raw_file_is_refused_by_name(tmp_path: Path, damage: object) -> None:
    path = written(tmp_path / "bad.raw")
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"bad\.raw"):
        read_raw(path)


def test_a_missing_raw_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.raw"):
        read_raw(tmp_path / "gone.raw")


@pytest.mark.parametrize("stations", [3, 4])
@pytest.mark.parametrize("noise", [0.0, 3.0, 20.0])
def test_muons_are_found_and_fitted_under_any_noise(stations: int, noise: float) -> None:
    detector = build_detector(TRUTH)
    raw = a_raw_file(replace(BEAM, stations=stations, noise_hits=noise))
    found = find_tracks(raw, detector)
    assert len(found.tracks) > 0.98 * EVENTS
    chi2 = np.sum((residuals(found, detector) / found.hits.error) ** 2)
    ndf = len(found.hits.track) - 5 * len(found.tracks)
    assert chi2 / ndf == pytest.approx(1.0, abs=5 * np.sqrt(2 / ndf) + 0.02)


def test_without_smearing_the_true_constants_leave_only_the_files_resolution() -> None:
    detector = build_detector(TRUTH)
    found = find_tracks(a_raw_file(replace(BEAM, smear=False, noise_hits=0.0)), detector)
    assert np.abs(residuals(found, detector)).max() < 2 * PITCH_MM / STEPS_PER_STRIP


def test_wrong_constants_give_wrong_residuals() -> None:
    wrong = build_detector({})
    found = find_tracks(a_raw_file(), wrong)
    assert residuals(found, wrong).std() > 0.05


def test_noise_without_muons_makes_no_tracks() -> None:
    raw = a_raw_file(replace(BEAM, inefficiency=1.0))
    assert len(find_tracks(raw, build_detector({})).tracks) == 0


def test_a_raw_file_depends_on_seed_and_number_only() -> None:
    first, again, other = a_raw_file(), a_raw_file(), a_raw_file(number=401)
    np.testing.assert_array_equal(first.position, again.position)
    assert len(first.position) != len(other.position) or np.any(first.position != other.position)


def branches_of(path: Path) -> dict[str, Array]:
    with uproot.open(path) as file:
        tree = file["tree"]
        return {name: np.asarray(_flat(tree[name].array(library="np"))) for name in tree.keys()}  # noqa: SIM118 - uproot's keys() are names, iteration is not


def _flat(values: Array) -> Array:
    return np.concatenate(list(values)) if values.dtype == object else values


def test_the_tree_has_the_branches_of_the_real_one(tmp_path: Path) -> None:
    tracks = reconstruct(written(tmp_path / "a.raw"), TRUTH, tmp_path / "a.root")
    columns = branches_of(tmp_path / "a.root")
    names = {f"fitParam_{name}" for name in ("x", "y", "chi2", "px", "py", "pz", "charge")}
    names |= {f"fitParam_align_{name}" for name in ("id", "local_residual_x")}
    names |= {f"fitParam_align_local_measured_{name}" for name in ("x", "xe")}
    names |= {
        f"fitParam_align_{kind}_{component}"
        for kind in ("local_derivation_x", "global_derivation_y")
        for component in ("x", "y", "z", "rx", "ry", "rz")
    }
    names |= {
        f"fitParam_align_local_derivation_x_par_{name}"
        for name in ("x", "y", "theta", "phi", "qop")
    }
    assert set(columns) - names == {"nfitParam_align"}
    assert names <= set(columns)
    assert len(columns["fitParam_x"]) == tracks
    assert all(np.all(np.isfinite(values)) for values in columns.values())
    assert set(np.unique(columns["fitParam_charge"])) == {-1.0, 1.0}


def test_the_same_raw_file_and_constants_give_the_same_content(tmp_path: Path) -> None:
    raw = written(tmp_path / "a.raw")
    for name in ("one.root", "two.root"):
        reconstruct(raw, TRUTH, tmp_path / name)
    one, two = branches_of(tmp_path / "one.root"), branches_of(tmp_path / "two.root")
    for name, values in one.items():
        assert values.tobytes() == two[name].tobytes()


def test_a_flipped_derivative_is_the_only_thing_that_a_broken_install_changes(
    tmp_path: Path,
) -> None:
    raw = written(tmp_path / "a.raw")
    flipped = "align_local_derivation_x_rz"
    reconstruct(raw, {}, tmp_path / "right.root")
    reconstruct(raw, {}, tmp_path / "wrong.root", flipped=flipped)
    right, wrong = branches_of(tmp_path / "right.root"), branches_of(tmp_path / "wrong.root")
    for name, values in right.items():
        sign = -1 if name == f"fitParam_{flipped}" else 1
        np.testing.assert_array_equal(wrong[name], sign * values)


def test_the_interface_tracker_can_be_left_out(tmp_path: Path) -> None:
    raw = written(tmp_path / "a.raw", replace(BEAM, stations=4))
    reconstruct(raw, TRUTH, tmp_path / "a.root", with_ift=False)
    assert branches_of(tmp_path / "a.root")["fitParam_align_id"].min() >= 1000


def test_the_true_constants_are_ideal(tmp_path: Path) -> None:
    raw = written(tmp_path / "a.raw")
    assert chi2_per_ndf([raw], TRUTH, tmp_path / "b.root") == pytest.approx(1.0, abs=0.1)
    assert chi2_per_ndf([raw], {}, tmp_path / "b.root") > 10
