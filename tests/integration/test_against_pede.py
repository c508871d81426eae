"""Real pede and the built-in solver on the same steering files; skipped where there is no pede.

The detector and its tracks are those of pede's own test (`pede -t`), the steering files whatever
people write.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from auto_iter.detector.labels import Parameter
from auto_iter.millepede.exit_codes import Use, ending_of
from auto_iter.millepede.pede.result_files import read_ending, read_result
from tests.support.tracks import LABELS, RENAMINGS, TEXTS, ending, tracks, write_case, write_renamed

DATA = Path(__file__).parents[1] / "data/pede"
PEDE = shutil.which("pede")

pytestmark = pytest.mark.skipif(PEDE is None, reason="there is no pede on PATH")

DIGITS = 2e-5
"""`millepede.res` has 5 significant digits."""
PRESIGMAS = "Parameter\n" + "".join(
    f" {label} {0.01 * (label % 5 - 2)} {(0.0, 0.002, -1.0, 0.05)[label % 4]}\n"
    for label in (*range(12, 60, 2), *range(501, 520))
)
EXACT = {
    "inversion": "method inversion 3 0.001",
    "diagonalization": "method diagonalization 3 0.001",
    "decomposition": "method decomposition 3 0.001",
    "multipliers": "withmultipliers\nmethod inversion 3 0.001",
    "start values and presigmas": f"{PRESIGMAS}method inversion 3 0.001",
    "and regularisation": f"{PRESIGMAS}regularisation 1.0 0.01\nmethod inversion 3 0.001",
    "not feasible at the start": f"{PRESIGMAS}nofeasiblestart\nmethod inversion 3 0.001",
    "entries": "entries 800 10\nmethod inversion 3 0.001",
    "entries iterated": "entries 800 10 2\nmethod inversion 3 0.001",
    "accepted entries": "entries 25 900\nmethod inversion 3 0.001",
    "records counted": "countrecords\nentries 900\nmethod inversion 3 0.001",
    "a measurement": "Measurement 0.1 0.0001\n 20 1.0\nmethod inversion 3 0.001",
    "measurements of several labels": "Measurement 0.1 0.001\n 20 1.0 22 -0.5\n 501 2.0\n"
    "Measurement 0.02 0.01\n 22 1.0\n 24 1.0\n 22 0.5\nmethod inversion 3 0.001",
    "measurements of all labels": "".join(
        f"Measurement {0.01 * (label % 5 - 2)} {0.002 * (1 + label % 3)}\n {label} 1.0\n"
        for label in (*range(12, 60, 2), *range(501, 520))
    )
    + "method inversion 3 0.001",
    "errors scaled": "scaleerrors 2.0\nmethod inversion 3 0.001",
    "once": "subito\nmethod inversion 3 0.001",
    "few records": "maxrecord 700\nmethod inversion 3 0.001",
    "matrix again": "matiter 3\nmethod inversion 3 0.0",
    "no line search": "linesearch 0\nmethod inversion 3 0.001",
    "a method that is none": "method inversion 3 0.001\nmethod MINRES 3 0.001",
    "it skipped": "Constraint 0.0\n 9999 1.0\nskipemptycons\nmethod inversion 3 0.001",
    "an unknown keyword": "nonsense\nmethod inversion 3 0.001",
    "no variable parameter": "entries 99999\nmethod inversion 3 0.001",
}
BAD_CONSTRAINTS = {
    "twice the same": "Constraint 0.0\n 12 1.0\n 14 1.0\nConstraint 0.0\n 12 1.0\n 14 1.0",
    "on nothing": "Constraint 0.0\n 9999 1.0",
}
WITH_CUTS = {
    "chi2 cut": "chisqcut 30.0 6.0\nmethod inversion 6 0.001",
    "chi2 cut from the second iteration": "chisqcut 0.0 6.0\nmethod inversion 6 0.001",
    "tight": "chisqcut 10.0 5.0\nmethod inversion 5 0.001",
    "huge cut": "hugecut 20.0\nmethod inversion 3 0.001",
    "Huber": "outlierdownweighting 2\nmethod inversion 4 0.001",
    "Cauchy": "outlierdownweighting 6\ndwfractioncut 0.3\nmethod inversion 5 0.001",
    "all": "chisqcut 100 20\noutlierdownweighting 3\ndwfractioncut 0.2\nmethod inversion 8 0.001",
    "MINRES": "method sparseMINRES 3 0.001",
    "MINRES-QLP": "method fullMINRES-QLP 3 0.001",
}


def solutions(tmp_path: Path, options: str, *, is_old: bool) -> tuple[Path, Path]:
    """Run both solvers on one steering file, each in its own directory."""
    places = tmp_path / "pede", tmp_path / "builtin"
    for place in places:
        place.mkdir()
        (place / "mp2tst.bin").write_bytes(gzip.decompress((DATA / "mp2tst.bin.gz").read_bytes()))
        shutil.copy(DATA / "mp2con.txt", place)
        lines = ["Fortranfiles", "mp2con.txt", "mp2tst.bin", options, "end", ""]
        (place / "steer.txt").write_text("\n".join(lines))
    run_both(places, is_old=is_old)
    return places


@pytest.fixture(scope="module")
def is_old(tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether this pede has the defects that V04-12-03 and V04-15-00 mended."""
    options = EXACT["measurements of several labels"]
    places = solutions(tmp_path_factory.mktemp("age"), options, is_old=True)
    return all(
        ours.value == pytest.approx(theirs.value, rel=DIGITS, abs=1e-9)
        for theirs, ours in both_results(places)
    )


def run_both(places: tuple[Path, Path], *, is_old: bool) -> None:
    """Solve `steer.txt` with pede in the first place, with ours in the second."""
    assert PEDE is not None
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([PEDE, "steer.txt"], cwd=places[0], env=env, check=False, capture_output=True)
    ending(Path("steer.txt"), places[1], old_defects=is_old)


def both_results(places: tuple[Path, Path]) -> list[tuple[Parameter, Parameter]]:
    """Return the pairs of parameters; nothing when, and only when, both give no result."""
    files = [place / "millepede.res" for place in places]
    assert files[0].exists() == files[1].exists()
    if not files[0].exists():
        return []
    theirs, ours = map(read_result, files)
    assert list(ours) == list(theirs)
    return [(theirs[label], ours[label]) for label in theirs]


def end_code(place: Path) -> int:
    return read_ending(place).code


@pytest.mark.parametrize("name", EXACT)
def test_the_solutions_agree_in_every_digit(tmp_path: Path, name: str, is_old: bool) -> None:
    places = solutions(tmp_path, EXACT[name], is_old=is_old)
    assert end_code(places[1]) == end_code(places[0])
    for theirs, ours in both_results(places):
        assert ours.value == pytest.approx(theirs.value, rel=DIGITS, abs=1e-9)
        assert ours.presigma == theirs.presigma
        assert ours.sigma == theirs.sigma


WEIGHTS = {
    "less": ("", "-- 0.3"),
    "both": ("-- 0.3", "-- 2.7"),
    "all the same": ("-- 0.5", "-- 0.5"),
    "much": ("-- 1000", "-- 0.001"),
}


@pytest.mark.parametrize("options", ["", "chisqcut 30 6", "outlierdownweighting 3"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_files_count_with_their_weights_as_in_pede(
    tmp_path: Path, name: str, options: str, is_old: bool
) -> None:
    one, other = WEIGHTS[name]
    files = ["con.txt", "Cfiles", f"part0.bin {one}", f"part1.bin {other}"]
    text = "\n".join([*files, options, "method inversion 3 0.001", "end", ""])
    places = tmp_path / "pede", tmp_path / "builtin"
    for place in places:
        place.mkdir()
        write_case(place, [tracks(220, 22), tracks(180, 23)], "")
        (place / "steer.txt").write_text(text)
    run_both(places, is_old=is_old)
    for file in ("millepede.res", "millepede.end"):
        assert (places[1] / file).read_text() == (places[0] / file).read_text()


@pytest.mark.parametrize("name", BAD_CONSTRAINTS)
def test_what_each_version_of_pede_ends_differently_on_is_refused_of_both(
    tmp_path: Path, name: str, is_old: bool
) -> None:
    """It ends with 3, 5 or 27, and the values of the first are a matter of rounding."""
    options = f"{BAD_CONSTRAINTS[name]}\nmethod inversion 3 0.001"
    for place in solutions(tmp_path, options, is_old=is_old):
        assert ending_of(end_code(place)).use in (Use.REFUSE, Use.FAIL)


@pytest.mark.parametrize("name", WITH_CUTS)
def test_the_solutions_agree_within_two_percent_of_the_uncertainties(
    tmp_path: Path, name: str, is_old: bool
) -> None:
    places = solutions(tmp_path, WITH_CUTS[name], is_old=is_old)
    assert end_code(places[1]) == end_code(places[0])
    typical = 1e-4  # of this detector, where the method prints no uncertainties
    for theirs, ours in both_results(places):
        assert abs(ours.value - theirs.value) < 0.02 * (theirs.sigma or typical)
        if theirs.sigma is not None:
            assert ours.sigma == pytest.approx(theirs.sigma, rel=0.02)


@pytest.mark.parametrize("name", RENAMINGS)
@pytest.mark.parametrize("text", TEXTS)
def test_large_labels_give_the_same_result_byte_for_byte(
    tmp_path: Path, name: str, text: str, is_old: bool
) -> None:
    renaming = {label: label for label in LABELS} | RENAMINGS[name]
    places = tmp_path / "pede", tmp_path / "builtin"
    for place in places:
        place.mkdir()
        write_renamed(place, renaming, text)
    run_both(places, is_old=is_old)
    for file in ("millepede.res", "millepede.end"):
        assert (places[1] / file).read_text() == (places[0] / file).read_text()
