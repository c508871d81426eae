from __future__ import annotations

import errno
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import Scheme
from auto_iter.errors import InputError
from auto_iter.files import write_whole
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.conversion.convert import Converter
from auto_iter.millepede.conversion.files import convert_files, convert_tracks
from auto_iter.millepede.conversion.statistics import Statistics, total
from tests.support.kfalignment import REFERENCE, branches, sources, with_degenerate_tracks, write

SCALARS = ("fitParam_chi2", "fitParam_pz")


@pytest.fixture(scope="module")
def tracks() -> dict[str, Any]:
    return branches(sources("dirty")[0])


@pytest.mark.parametrize("name", ["clean", "dirty"])
def test_the_binary_is_that_of_the_converter_in_use_byte_for_byte(
    tmp_path: Path, name: str
) -> None:
    statistics = convert_files(sources(name), tmp_path / "mp2input.bin", Scheme(), TrackCuts())
    reference = (REFERENCE / name / "mp2input.bin").read_bytes()
    assert (tmp_path / "mp2input.bin").read_bytes() == reference
    assert statistics.tracks == 1200
    assert statistics.tracks_kept == {"clean": 1092, "dirty": 1062}[name]
    assert statistics.records == {"clean": 1092, "dirty": 1056}[name]


@pytest.mark.parametrize("compression", [None, uproot.ZLIB(4), uproot.LZ4(1), uproot.ZSTD(1)])
def test_counted_arrays_of_any_compression_give_the_same_bytes(
    tmp_path: Path, tracks: dict[str, Any], compression: Any
) -> None:
    copy = write(tmp_path / "copy.root", tracks, compression=compression)
    ours, theirs = io.BytesIO(), io.BytesIO()
    convert_tracks(copy, ours, Scheme(), TrackCuts())
    convert_tracks(sources("dirty")[0], theirs, Scheme(), TrackCuts())
    assert ours.getvalue() == theirs.getvalue()


@pytest.mark.parametrize("size", [1, 7, 250, 10_000])
def test_the_size_of_chunks_changes_nothing(size: int) -> None:
    source = sources("dirty")[0]
    converter = Converter()
    chunks = kf.TrackFile(source, converter.branches).chunks(size)
    words = [converter.convert(chunk) for chunk in chunks]
    whole = io.BytesIO()
    statistics = convert_tracks(source, whole, Scheme(), TrackCuts())
    assert np.concatenate(words).tobytes() == whole.getvalue()
    assert converter.statistics.dropped_hits == statistics.dropped_hits


def test_every_drop_is_counted_with_its_reason() -> None:
    statistics = total(
        convert_tracks(path, io.BytesIO(), Scheme(), TrackCuts()) for path in sources("dirty")
    )
    assert sum(statistics.dropped_tracks.values()) == statistics.tracks - statistics.tracks_kept
    assert sum(statistics.dropped_hits.values()) == statistics.hits - statistics.hits_kept
    assert set(statistics.layers) == {"20", "21", "22", "30", "31", "32", "40", "41", "42"}
    for layer in statistics.layers.values():
        assert layer.after.width_um < layer.before.width_um
        assert layer.after.hits < layer.before.hits


def test_residuals_are_counted_by_module_and_by_size() -> None:
    """Modules are what their layer's sides were before; bins have what lies between their edges."""
    statistics = Statistics()
    residual = np.array([0.004, -0.004, 0.006, -1.0, 0.9999, 1.0, 3.0, 0.0])
    ids = np.array([1000, 1001, 1010, 1010, 1010, 1010, 1010, 3271])
    statistics.add_sides(ids, residual)
    assert statistics.modules["200"].hits == 2
    assert statistics.modules["200"].mean_um == pytest.approx(0.0)
    assert statistics.modules["200"].width_um == pytest.approx(4.0)
    assert statistics.modules["427"].hits == 1
    statistics.add_distribution(np.array([3] * 7 + [11]), residual)
    both = statistics + statistics
    assert sum(both.histograms["20"]) == 2 * 5  # 1 mm and 3 mm are beyond
    assert sum(both.histograms["42"]) == 2
    edges = Statistics.EDGES_UM
    assert both.histograms["20"][edges.index(0)] == 2
    assert both.histograms["20"][edges.index(-5)] == 2
    assert both.histograms["20"][0] == both.histograms["20"][-1] == 2
    assert both.modules["201"].hits == 2 * 5


def test_tracks_are_counted_once_on_each_component_that_they_cross() -> None:
    statistics = Statistics(tracks_kept=3)
    track = np.array([0, 0, 0, 0, 2, 2])
    ids = np.array([1000, 1001, 1001, 1010, 1001, 2241])
    statistics.add_tracks_on(track, ids, 3)
    found = {"2000": 1, "2001": 2, "2010": 1, "200": 2, "201": 1, "20": 2, "2": 2}
    found |= dict.fromkeys(("3241", "324", "32", "3"), 1)
    assert statistics.tracks_on == found
    assert (statistics + statistics).tracks_on == {name: 2 * n for name, n in found.items()}
    # where an older version's statistics are among them, nobody knows
    assert (statistics + Statistics(tracks_kept=5)).tracks_on is None
    assert (Statistics() + statistics).tracks_on == found


def test_statistics_add_up() -> None:
    one, other = (
        convert_tracks(path, io.BytesIO(), Scheme(), TrackCuts()) for path in sources("clean")
    )
    both = one + other
    assert both.tracks == 1200
    assert both.layers["20"].after.hits == sum(s.layers["20"].after.hits for s in (one, other))
    assert Statistics.model_validate_json(both.model_dump_json()) == both


def one_track(**changed: Any) -> dict[str, Any]:
    """Return a track with 15 hits; `changed` sets whole branches by the end of their names."""
    sides = [(0, 0), (0, 1), (1, 0), (2, 0), (3, 1)]
    ids = [1000.0 + 100 * layer + 10 * m + side for layer in range(3) for m, side in sides]
    names = [*Converter().branches, kf.ALIGN_ID]
    hits = {name: [[0.5] * 15] for name in names}
    derivatives = np.random.default_rng(1).uniform(0.5, 1, (5, 15)).tolist()
    hits |= {
        kf.track_derivative(n): [d] for n, d in zip(kf.TRACK_PARAMETERS, derivatives, strict=True)
    }
    hits |= {kf.ALIGN_ID: [ids], kf.RESIDUAL: [[0.01] * 15], kf.UNCERTAINTY: [[0.02] * 15]}
    content = {"fitParam_chi2": [10.0], "fitParam_pz": [1000.0], **hits}
    for ending, value in changed.items():
        (name,) = [name for name in content if name.endswith(ending)]
        content[name] = value
    return content


def convert(path: Path, content: dict[str, Any], **options: Any) -> tuple[list[int], Statistics]:
    """Return lengths of the records and the statistics."""
    import awkward as ak

    arrays = {
        name: np.array(value) if name in SCALARS else ak.Array(value)
        for name, value in content.items()
    }
    sink = io.BytesIO()
    statistics = convert_tracks(
        write(path / "t.root", arrays),
        sink,
        options.get("scheme", Scheme()),
        options.get("cuts", TrackCuts()),
    )
    lengths, position, words = [], 0, sink.getvalue()
    while position < len(words):
        (length,) = struct.unpack_from("<i", words, position)
        lengths.append(length)
        position += 4 * (length + 1)
    return lengths, statistics


FULL = 2 * (15 * 14 + 1)


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, True),
        ({"chi2": [2000.0]}, True),
        ({"chi2": [2000.1]}, False),
        ({"pz": [100.0]}, True),
        ({"pz": [99.9]}, False),
        ({"pz": [5000.0]}, True),
        ({"pz": [5000.1]}, False),
        ({"residual_x": [[0.051] * 15]}, False),
        ({"measured_xe": [[0.0] * 15]}, False),
    ],
)
def test_a_track_is_kept_up_to_the_cut(tmp_path: Path, changed: dict[str, Any], kept: bool) -> None:
    assert convert(tmp_path, one_track(**changed))[0] == ([FULL] if kept else [])


def first_hit(value: float, other: float = 0.5) -> list[list[float]]:
    return [[value] + [other] * 14]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"residual_x": first_hit(-0.0501, 0.01)}, "residual"),
        ({"local_derivation_x_x": first_hit(-9999.0)}, "not_computed"),
        ({"local_derivation_x_rz": first_hit(-99999.0)}, "not_computed"),
        ({"global_derivation_y_z": first_hit(-9999.0)}, "not_computed"),
        ({"global_derivation_y_rx": first_hit(2.1)}, "rotation"),
        ({"global_derivation_y_ry": first_hit(-2.1)}, "rotation"),
        ({"measured_xe": first_hit(-0.01, 0.02)}, "uncertainty"),
    ],
)
def test_a_hit_is_dropped_for_a_reason(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    lengths, statistics = convert(tmp_path, one_track(**changed))
    assert lengths == [FULL - 2 * 14]
    assert {key for key, count in statistics.dropped_hits.items() if count} == {reason}


def degenerate(noise: float) -> dict[str, Any]:
    """Return changes that make `qop` a combination of `x` and `theta`, but for `noise`."""
    rng = np.random.default_rng(2)
    x, theta, free = rng.uniform(0.5, 1, (3, 15))
    return {
        "par_x": [x.tolist()],
        "par_theta": [theta.tolist()],
        "par_qop": [(0.3 * x - 2.0 * theta + noise * free).tolist()],
    }


@pytest.mark.parametrize(
    ("noise", "limit", "kept"),
    [
        (0.0, 1e-8, False),  # what single precision leaves of nothing: about 1e-14
        (1e-6, 1e-8, False),
        (1e-5, 1e-8, False),
        (1e-2, 1e-8, True),
        (1e-5, 1e-13, True),
        (0.0, 0.0, True),
    ],
)
def test_a_track_whose_parameters_its_hits_cannot_tell_apart_is_dropped(
    tmp_path: Path, noise: float, limit: float, kept: bool
) -> None:
    cuts = TrackCuts(min_independence=limit)
    lengths, statistics = convert(tmp_path, one_track(**degenerate(noise)), cuts=cuts)
    assert lengths == ([FULL] if kept else [])
    assert statistics.dropped_tracks.get("degenerate", 0) == (0 if kept else 1)
    assert statistics.tracks_kept == statistics.records == (1 if kept else 0)
    assert statistics.hits_kept == (15 if kept else 0)
    assert statistics.dropped_hits.get("track", 0) == (0 if kept else 15)
    assert statistics.layers["20"].after.hits == (5 if kept else 0)
    assert (statistics.chi2_kept > 0) == kept


def test_degenerate_tracks_among_sound_ones_leave_no_trace(tmp_path: Path) -> None:
    original = branches(sources("clean")[0])
    chosen = np.zeros(600, dtype=bool)
    chosen[np.arange(10, 600, 42)] = True
    mixed = write(tmp_path / "mixed.root", with_degenerate_tracks(original, chosen))
    sound = write(tmp_path / "sound.root", {name: v[~chosen] for name, v in original.items()})
    results = [io.BytesIO(), io.BytesIO()]
    cut, _ = (
        convert_tracks(path, sink, Scheme(), TrackCuts())
        for path, sink in zip((mixed, sound), results, strict=True)
    )
    assert results[0].getvalue() == results[1].getvalue()
    assert cut.dropped_tracks["degenerate"] > 10


def test_a_track_that_the_cut_on_hits_leaves_too_few_of_is_dropped(tmp_path: Path) -> None:
    residuals = [[0.01] * 4 + [0.06] * 11]
    lengths, statistics = convert(tmp_path, one_track(residual_x=residuals))
    assert lengths == []
    assert statistics.dropped_tracks["degenerate"] == 1
    assert statistics.dropped_hits["residual"] == 11


def test_a_track_parameter_without_any_derivative_is_none(tmp_path: Path) -> None:
    no_momentum = one_track(par_qop=[[0.0] * 15])
    assert convert(tmp_path, no_momentum)[0] == [FULL - 2 * 15]
    # with one behind it, pede's matrix of the local fit has an empty row
    assert convert(tmp_path, one_track(par_theta=[[0.0] * 15]))[0] == []


@pytest.mark.parametrize("name", ["clean", "dirty"])
def test_no_track_of_the_reference_is_near_the_limit(tmp_path: Path, name: str) -> None:
    cuts = TrackCuts(min_independence=1e-4)
    statistics = convert_files(sources(name), tmp_path / "out.bin", Scheme(), cuts)
    assert statistics.dropped_tracks.get("degenerate", 0) == 0


def test_large_rotations_matter_only_with_layer_parameters(tmp_path: Path) -> None:
    content = one_track(global_derivation_y_rx=first_hit(2.1))
    assert convert(tmp_path, content, scheme=Scheme(layers=False))[0] == [2 * (15 * 9 + 1)]


def test_zero_derivatives_are_not_stored(tmp_path: Path) -> None:
    content = one_track(par_qop=first_hit(0.0), global_derivation_y_rz=first_hit(0.0))
    assert convert(tmp_path, content)[0] == [FULL - 2 * 2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chi2": [np.nan]}, "'fitParam_chi2' holds NaN"),
        ({"residual_x": first_hit(np.nan)}, "local_residual_x' holds NaN"),
        ({"par_theta": first_hit(np.inf)}, "par_theta' holds NaN or inf"),
        ({"align_id": first_hit(1080, 1000)}, "'fitParam_align_id' holds 1080"),
        ({"align_id": first_hit(-9999, 1000)}, "'fitParam_align_id' holds -9999"),
        ({"align_id": first_hit(1000.5, 1000)}, "'fitParam_align_id' holds 1000.5"),
        ({"par_theta": first_hit(1e300)}, "too large"),
        ({"local_residual_x": [[0.01] * 14]}, "other numbers of hits"),
    ],
)
def test_a_number_that_is_none_is_refused_with_file_and_branch(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        convert(tmp_path, one_track(**changed))
    assert "t.root" in str(caught.value)


def test_a_missing_branch_is_named(tmp_path: Path, tracks: dict[str, Any]) -> None:
    name = kf.track_derivative("qop")
    path = write(tmp_path / "t.root", {k: v for k, v in tracks.items() if k != name})
    with pytest.raises(InputError, match=rf"t\.root: no branch '{name}'"):
        convert_tracks(path, io.BytesIO(), Scheme(), TrackCuts())


def test_a_branch_of_another_type_is_named(tmp_path: Path, tracks: dict[str, Any]) -> None:
    path = tmp_path / "t.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("tree", dict.fromkeys(tracks, "f8"))
        tree.extend({name: np.array(tracks["fitParam_x"]) for name in tracks})
    with pytest.raises(InputError, match="branch 'fitParam_align_id' is no vector<double>"):
        convert_tracks(path, io.BytesIO(), Scheme(), TrackCuts())


def empty_tree(path: Path) -> None:
    with uproot.recreate(path) as file:
        file.mktree("tree", dict.fromkeys(SCALARS, "f8"))


def no_tree(path: Path) -> None:
    with uproot.recreate(path) as file:
        file["other"] = "nothing"


def an_ntuple(path: Path) -> None:
    with uproot.recreate(path) as file:
        file.mkrntuple("tree", {"fitParam_chi2": np.array([1.0])})


def truncated_at(fraction: float) -> Callable[[Path], None]:
    def truncate(path: Path) -> None:
        whole = sources("clean")[0].read_bytes()
        path.write_bytes(whole[: int(len(whole) * fraction)])

    return truncate


def overwritten(path: Path) -> None:
    content = bytearray(sources("clean")[0].read_bytes())
    content[300_000:420_000] = b"\0" * 120_000
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "no such file"),
        (lambda path: path.touch(), "not a ROOT file, or truncated"),
        (lambda path: path.write_text("words"), "not a ROOT file, or truncated"),
        (no_tree, "no tree 'tree'"),
        (an_ntuple, "'tree' is no TTree"),
        (empty_tree, "no tracks"),
        (truncated_at(0.0005), "truncated|damaged|no tree"),
        (truncated_at(0.5), "truncated|damaged|cut off"),
        (truncated_at(0.99), "truncated|damaged|cut off"),
        (overwritten, "branch 'fitParam_align_.*' cannot be read"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_and_leaves_no_binary(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    source = tmp_path / "bad.root"
    make(source)
    with pytest.raises(InputError, match=message) as caught:
        convert_files([source], tmp_path / "out.bin", Scheme(), TrackCuts())
    assert "bad.root" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.iterdir() if path != source] == []


def test_a_file_that_cannot_even_be_opened_just_now_is_not_bad_and_is_named(tmp_path: Path) -> None:
    source = tmp_path / "tracks.root"
    source.symlink_to("/proc/self/mem")  # whoever reads its beginning gets EIO
    with pytest.raises(OSError, match=r"Input/output error: '.*tracks\.root'") as caught:
        convert_files([source], tmp_path / "out.bin", Scheme(), TrackCuts())
    assert caught.value.errno == errno.EIO
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_that_fails_while_it_is_read_is_not_bad_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    source = sources("clean")[0]
    monkeypatch.setattr(os, "pread", refuse)
    with pytest.raises(OSError, match=rf"Input/output error: '{source}'"):
        convert_files([source], tmp_path / "out.bin", Scheme(), TrackCuts())
    assert not list(tmp_path.iterdir())


def test_a_scheme_without_labels_is_refused() -> None:
    with pytest.raises(InputError, match="no parameter has a label"):
        Converter(Scheme(modules="off", layers=False))


def test_two_conversions_to_one_place_do_not_write_into_each_other(tmp_path: Path) -> None:
    binary = tmp_path / "out.bin"
    with write_whole(binary) as orphaned:
        orphaned.write(b"half of")
        convert_files(sources("clean"), binary, Scheme(), TrackCuts())
        converted = binary.read_bytes()
        orphaned.write(converted)
    assert binary.read_bytes() == b"half of" + converted
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        convert_files(sources("clean"), tmp_path / "nowhere/out.bin", Scheme(), TrackCuts())


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_several_processes_write_the_same_bytes(tmp_path: Path, workers: int) -> None:
    files = [*sources("clean"), *sources("dirty")]
    alone = convert_files(files, tmp_path / "alone.bin", Scheme(), TrackCuts())
    shared = convert_files(files, tmp_path / "shared.bin", Scheme(), TrackCuts(), workers)
    assert (tmp_path / "shared.bin").read_bytes() == (tmp_path / "alone.bin").read_bytes()
    assert shared == alone
    assert {path.name for path in tmp_path.iterdir()} == {"alone.bin", "shared.bin"}


def test_of_several_bad_files_the_first_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    bad = [tmp_path / "first.root", tmp_path / "second.root"]
    for path in bad:
        path.write_text("no ROOT file")
    files = [*sources("clean"), *bad]
    with pytest.raises(InputError, match=r"first\.root: not a ROOT file"):
        convert_files(files, tmp_path / "out.bin", Scheme(), TrackCuts(), 2)
    assert sorted(tmp_path.iterdir()) == bad
