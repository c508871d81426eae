"""`auto-iter millepede` and `auto-iter constants`, called as a person calls them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from auto_iter.cli.main import build_parser
from auto_iter.errors import AutoIterError, InputError, PhysicsError, UsageError

DATA = Path(__file__).parents[1] / "data"
REFERENCE = DATA / "kfalignment/clean"
SINGLE = DATA / "strategies/3st-single.yaml"


def call(*words: str | Path) -> int:
    parsed = build_parser(str(words[0])).parse_args([str(word) for word in words])
    code: int = parsed.call(parsed)
    return code


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no configuration lies about and no pede is on PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    for name in [name for name in os.environ if name.startswith("AUTO_ITER__")]:
        monkeypatch.delenv(name)


@pytest.fixture
def iteration(tmp_path: Path) -> Path:
    root = tmp_path / "Y2023_R011705_F450-452/iter03"
    shutil.copytree(REFERENCE / "2kfalignment", root / "2kfalignment")
    (root / "1reco").mkdir()
    shutil.copy(REFERENCE / "previous.txt", root / "1reco/inputforalign.txt")
    return root


@pytest.mark.parametrize("words", [["run", "-i"], ["-i"]])
@pytest.mark.parametrize("place", ["1reco", ".", "2kfalignment"])
def test_an_iteration_that_auto_iter_did_not_make_is_solved(
    iteration: Path, words: list[str], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("millepede", *words, iteration / place, "--strategy", SINGLE) == 0
    ours = (iteration / "3millepede/inputforalign.txt").read_text()
    assert ours == (REFERENCE / "inputforalign.txt").read_text()
    assert '"iteration": 3,' in (iteration / "3millepede/solution.json").read_text()
    assert "chi2/ndf 0.8819" in capsys.readouterr().out


def test_the_weakest_modes_are_told_on_request(
    iteration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("millepede", "run", "-i", iteration, "--strategy", SINGLE, "--modes")
    assert "mode 1: not fixed by the data; +" in capsys.readouterr().out


def test_the_eigenvalue_spectrum_is_told_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mp2con.txt", "mp2par.txt", "steer.txt", "mp2input.bin"):
        shutil.copy(REFERENCE / name, tmp_path)
    assert call("millepede", "solve", "steer.txt", "--modes", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("  10^")]
    open_ones = next(line for line in lines if "not fixed by the data " in line)
    assert lines[0].startswith("251 combinations by eigenvalue")
    counts = [int(line.split()[-1]) for line in (*told, open_ones)]
    assert sum(counts) == 251
    # x and y of a layer against its modules', for one: the modules' constraints leave it open
    assert counts[-1] >= 9
    assert sum(line.startswith("mode ") for line in lines) == 2


def test_bad_root_files_are_refused_unless_allowed(iteration: Path) -> None:
    (iteration / "2kfalignment/kfalignment_011705_00452.root").write_text("words")
    with pytest.raises(InputError, match=r"1 of 3 ROOT files are bad.*00452"):
        call("millepede", "run", "-i", iteration)
    assert call("millepede", "run", "-i", iteration, "--allow-bad") == 0


def test_a_cut_that_leaves_nothing_to_solve_is_named_once(iteration: Path) -> None:
    narrow = ("--strategy", str(SINGLE), "--set", "millepede.cuts.max_residual_mm=0.006")
    with pytest.raises(PhysicsError) as caught:
        call("millepede", "run", "-i", iteration, *narrow)
    assert str(caught.value).count("millepede.cuts.max_residual_mm") == 1
    assert "max_residual_mm (0.006 mm) drops 14807 of 20557 hits: loosen it" in str(caught.value)
    assert "chisqcut" not in str(caught.value)


def test_files_under_older_names_are_found(iteration: Path) -> None:
    (iteration / "2kfalignment").rename(iteration / "2root_file")
    for number in (0, 1):
        old = iteration / f"2root_file/kfalignment_011705_0045{number}.root"
        old.rename(old.with_name(f"Faser-Physics-011705-0045{number}_kfalignment.root"))
    assert call("millepede", "-i", iteration / "1reco", "--strategy", SINGLE) == 0
    ours = (iteration / "3millepede/inputforalign.txt").read_text()
    assert ours == (REFERENCE / "inputforalign.txt").read_text()


def test_without_constants_to_start_from_it_is_told_what_to_do(iteration: Path) -> None:
    (iteration / "1reco/inputforalign.txt").unlink()
    with pytest.raises(InputError, match=r"inputforalign\.txt: no such file; .* empty file"):
        call("millepede", "run", "-i", iteration)


def test_an_output_that_cannot_be_written_is_named_as_given() -> None:
    root = REFERENCE / "2kfalignment/kfalignment_011705_00450.root"
    previous, result = REFERENCE / "previous.txt", REFERENCE / "millepede.res"
    commands: tuple[list[str | Path], ...] = (
        ["convert", root],
        ["constants", "-i", previous, result],
    )
    for words in commands:
        with pytest.raises(OSError, match=r"cannot be written \(No such file") as caught:
            call("millepede", *words, "-o", "no/where/new")
        assert caught.value.filename == "no/where/new"
    with pytest.raises(IsADirectoryError, match="is a directory"):
        call("millepede", "convert", root, "-o", ".")
    assert list(Path().iterdir()) == []


def test_a_directory_that_is_no_iteration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 2kfalignment"):
        call("millepede", "run", "-i", tmp_path)


def test_without_directory_and_action_the_usage_is_told() -> None:
    with pytest.raises(UsageError, match="-i DIRECTORY"):
        call("millepede")


def test_each_link_of_the_chain_works_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roots = sorted((REFERENCE / "2kfalignment").glob("*.root"))
    assert call("millepede", "convert", *roots, "-o", "mp2input.bin") == 0
    assert "tracks 1200, kept 1092 (dropped: hits 108)" in capsys.readouterr().out
    assert Path("mp2input.bin").read_bytes() == (REFERENCE / "mp2input.bin").read_bytes()
    for name in ("mp2con.txt", "mp2par.txt", "steer.txt", "previous.txt"):
        shutil.copy(REFERENCE / name, tmp_path)
    assert call("millepede", "solve", "steer.txt") == 0
    assert Path("millepede.end").read_text() == (REFERENCE / "millepede.end").read_text()
    assert call("millepede", "constants", "-i", "previous.txt", "millepede.res", "-o", "n.txt") == 0
    assert Path("n.txt").read_text() == (REFERENCE / "inputforalign.txt").read_text()


def test_labels_and_cuts_are_options_of_convert(capsys: pytest.CaptureFixture[str]) -> None:
    root = REFERENCE / "2kfalignment/kfalignment_011705_00450.root"
    options = ["--layers", "off", "--modules", "all", "--stations", "--min-hits", "19"]
    call("millepede", "convert", root, "-o", "out.bin", *options)
    assert "kept 0" in capsys.readouterr().out
    assert Path("out.bin").stat().st_size == 0


def test_constants_of_other_labels_are_made_with_the_options_of_convert(tmp_path: Path) -> None:
    lines = ["Parameter", " 21 0.1 0", " 26 0.2 0", " 213 0.3 0", " 216 0.4 0", " 20316 0.5 0", ""]
    (tmp_path / "all.res").write_text("\n".join(lines))
    (tmp_path / "empty.txt").write_text("")
    words = ["millepede", "constants", "-i", "empty.txt", "all.res", "-o", "new.txt"]
    with pytest.raises(InputError, match="label 21 stands for nothing"):
        call(*words)
    assert call(*words, "--stations", "--layer-z", "--modules", "all") == 0
    assert Path("new.txt").read_text() == (
        '"1": [0.1, 0, 0, 0, 0, 0.2],"103": [0, 0, 0, 0, 0, 0.25],"11": [0, 0, 0.3, 0, 0, 0.4]'
    )


def test_an_abort_gives_exit_code_one(tmp_path: Path) -> None:
    (tmp_path / "steer.txt").write_text("Cfiles\nend\n")
    assert call("millepede", "solve", "steer.txt") == 1
    assert Path("millepede.end").read_text().split()[0] == "14"


def test_a_missing_steering_file_ends_as_pede_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("millepede", "solve", "none.txt") == 1
    assert Path("millepede.end").read_text() == "   16   Aborted, open error for file\n"
    assert "none.txt: No such file" in capsys.readouterr().err


def test_what_pede_would_pass_over_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mp2con.txt", "mp2par.txt", "steer.txt", "mp2input.bin"):
        shutil.copy(REFERENCE / name, tmp_path)
    text = Path("steer.txt").read_text()
    Path("steer.txt").write_text(text.replace("method", "method MINRES 3 0.1\nmethod"))
    assert call("millepede", "solve", "steer.txt") == 0
    assert Path("millepede.res").read_text() == (REFERENCE / "millepede.res").read_text()
    assert "steer.txt:7: pede knows no method `MINRES`" in capsys.readouterr().err


def test_a_steering_file_as_in_production_is_solved_and_its_result_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several methods of which the last counts, parameters inline, counts, residual monitoring."""
    for name in ("mp2con.txt", "mp2par.txt", "mp2input.bin", "previous.txt"):
        shutil.copy(REFERENCE / name, tmp_path)
    lines = [
        *("*   *** layers fixed ***", " ", "fortranfiles ! constraints", "mp2con.txt ! text"),
        *("mp2par.txt", "", "Cfiles  ! binaries", "mp2input.bin   ! data", "*entries 10 ! lower"),
        *("Parameter ! start of list", "211   0    -1.  ! fix", "hugecut 2000.0  ! cut factor"),
        *(
            "*chisqcut 100.0 100.0",
            "method fullMINRES 3 0.01 ! approximate",
            "method MINRES 3 0.01",
        ),
        *("method diagonalization 3 0.001", "method inversion   3 0.001 ! Gauss", "* the last"),
        *("printcounts ! entries", "monitorresiduals ! poor man's DMR", " ", "end ! optional", "?"),
    ]
    Path("steer.txt").write_text("\n".join(lines))
    assert call("millepede", "solve", "steer.txt") == 0
    assert "steer.txt:20: the built-in solver writes no millepede.mon" in capsys.readouterr().err
    words = ["-i", "previous.txt", "millepede.res", "-o", "new.txt"]
    assert call("millepede", "constants", *words) == 0
    assert Path("new.txt").read_text() == (REFERENCE / "inputforalign.txt").read_text()


def test_a_mille_binary_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("millepede", "check", REFERENCE / "mp2input.bin") == 0
    assert "1092" in capsys.readouterr().out
    assert call("millepede", "dump", "-n", "1", REFERENCE / "mp2input.bin") == 0
    assert capsys.readouterr().out.count("record ") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["millepede", "convert", "none.root", "-o", "out.bin"],
        ["millepede", "convert", "none.root", "-o", "no/where/out.bin"],
        ["millepede", "solve", "none.txt", "--pede", "/nowhere"],
        ["millepede", "constants", "-i", "none.txt", "none.res", "-o", "new.txt"],
        ["millepede", "check", "none.bin"],
        ["millepede", "dump", "none.bin"],
        ["constants", "show", "none.txt"],
        ["constants", "diff", "none.txt", "none.txt"],
    ],
)
def test_a_missing_file_is_one_clear_line_and_leaves_nothing(
    words: list[str], tmp_path: Path
) -> None:
    with pytest.raises((AutoIterError, OSError), match=r"no/where|nowhere|none\.") as caught:
        call(*words)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_constants_are_shown_and_compared(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = REFERENCE / "previous.txt", REFERENCE / "inputforalign.txt"
    assert call("constants", "show", old) == 0
    assert "station 2 layer 1 module 2" in capsys.readouterr().out
    assert call("constants", "diff", old, new) == 0
    assert "largest y" in capsys.readouterr().out
    assert call("constants", "diff", old, old) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_constants_are_plotted(tmp_path: Path) -> None:
    assert call("constants", "plot", REFERENCE / "inputforalign.txt", "-o", "plot.png") == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
