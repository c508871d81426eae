"""Nothing damaged is believed: files are spoiled between two steps, and the alignment is resumed.

It ends with the very constants of an undisturbed one, and says what it made again; or it is
refused, with what to do.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from auto_iter.alignment import checkpoint
from auto_iter.daemon.loop import Ending
from auto_iter.files import digest
from auto_iter.simulation.reconstruct import reconstruct
from tests.support.here import AlignmentHere, SiteHere

Tamper = Callable[[AlignmentHere], None]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteHere:
    return SiteHere.build(tmp_path_factory.mktemp("site"))


class Places:
    """One undisturbed alignment, copied before each of its steps."""

    def __init__(self, site: SiteHere, directory: Path) -> None:
        self.kept: dict[tuple[int, str], AlignmentHere] = {}
        whole = AlignmentHere.begin(site, directory)
        while (ending := whole.resume(until=STEPS)) is Ending.REACHED:
            place = (whole.snapshot.iteration, whole.snapshot.state)
            self.kept[place] = whole.copied(directory / f"{place[0]}-{place[1]}")
        assert ending is Ending.DONE
        self.constants = whole.constants()


STEPS = ("prepare", "submit_reco", "mille", "pede", "next_iteration")


@pytest.fixture(scope="module")
def places(site: SiteHere, tmp_path_factory: pytest.TempPathFactory) -> Places:
    return Places(site, tmp_path_factory.mktemp("places"))


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def emptied(_content: bytes) -> bytes:
    return b""


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_bit(content: bytes) -> bytes:
    spoiled = bytearray(content)
    spoiled[len(spoiled) // 2] ^= 1
    return bytes(spoiled)


def one_digit(content: bytes) -> bytes:
    """Change the last digit of all that is no zero."""
    at = max(content.rfind(str(digit).encode()) for digit in range(1, 9))
    return content[:at] + bytes([content[at] + 1]) + content[at + 1 :]


def found(number: int, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda a: rewrite(a.iteration(number).new_constants, change)


def used(number: int, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda a: rewrite(a.iteration(number).constants, change)


def binary(number: int, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda a: rewrite(a.iteration(number).mille_binary(401), change)


def statistics(number: int, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda a: rewrite(a.iteration(number).mille_statistics(401), change)


def solution(number: int, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda a: rewrite(a.iteration(number).solution, change)


def output(change: Callable[[bytes], bytes]) -> Tamper:
    return lambda a: rewrite(a.iteration(1).output(401), change)


def a_copy(number: int) -> Tamper:
    def spoil(alignment: AlignmentHere) -> None:
        paths = alignment.iteration(number)
        shutil.copyfile(paths.output(400), paths.output(401))

    return spoil


def another_pair(alignment: AlignmentHere) -> None:
    """Put the conversion of one raw file in the place of another's, with the time of its output."""
    paths = alignment.iteration(1)
    shutil.copyfile(paths.mille_binary(400), paths.mille_binary(401))
    shutil.copyfile(paths.mille_statistics(400), paths.mille_statistics(401))
    status = paths.output(400).stat()
    os.utime(paths.output(401), ns=(status.st_atime_ns, status.st_mtime_ns))


def both(*several: Tamper) -> Tamper:
    def spoil(alignment: AlignmentHere) -> None:
        for each in several:
            each(alignment)

    return spoil


def without_binaries_and(change: Callable[[bytes], bytes]) -> Tamper:
    def spoil(alignment: AlignmentHere) -> None:
        shutil.rmtree(alignment.iteration(1).mille)
        rewrite(alignment.iteration(1).new_constants, change)
        alignment.iteration(1).solution.unlink()

    return spoil


def solved_but_not_noted(change: Callable[[bytes], bytes]) -> Tamper:
    """Return what takes a step back: the solution is there, the checkpoint does not say so."""

    def spoil(alignment: AlignmentHere) -> None:
        before = alignment.snapshot.but(state="pede", solution=None)
        checkpoint.save(alignment.opened.workspace.checkpoint, before)
        rewrite(alignment.iteration(1).new_constants, change)

    return spoil


def rotten_output(alignment: AlignmentHere) -> None:
    """Let a bit fall over on the disk: nobody writes, no time changes. The binary is gone, too."""
    path = alignment.iteration(1).output(401)
    status = path.stat()
    rewrite(path, lambda content: content[:-40] + one_bit(content[-40:]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    alignment.iteration(1).mille_binary(401).unlink()


@dataclass(frozen=True)
class Tampering:
    """What is spoiled, before which step, and what is said of it."""

    place: tuple[int, str]
    tamper: Tamper
    says: str


WRITTEN, CONVERTED, SOLVED = (
    f"does not match its checksum; {what} again" for what in ("written", "converted", "solved")
)
AGAIN = "holds the same tracks as the output of raw file"
HEALED = {
    "constants emptied": Tampering((2, "prepare"), found(1, emptied), WRITTEN),
    "constants cut in half": Tampering((2, "prepare"), found(1, halved), WRITTEN),
    "a digit of the constants": Tampering((2, "prepare"), found(1, one_digit), WRITTEN),
    "constants gone": Tampering(
        (2, "prepare"), lambda a: a.iteration(1).new_constants.unlink(), WRITTEN
    ),
    "constants and solution": Tampering(
        (2, "prepare"), both(found(1, one_digit), solution(1, halved)), SOLVED
    ),
    "constants, solution and binaries": Tampering(
        (2, "prepare"), without_binaries_and(emptied), SOLVED
    ),
    "constants, before they are recorded": Tampering(
        (1, "next_iteration"), found(1, halved), WRITTEN
    ),
    "constants, before the solution is noted": Tampering(
        (1, "next_iteration"), solved_but_not_noted(one_digit), SOLVED
    ),
    "constants found and those of the beginning": Tampering(
        (2, "prepare"), both(found(1, one_digit), used(1, lambda _: b"rubbish")), WRITTEN
    ),
    "constants in use, before jobs": Tampering((2, "submit_reco"), used(2, one_digit), WRITTEN),
    "constants in use, before solving": Tampering((2, "mille"), used(2, one_digit), WRITTEN),
    "constants in use and those found": Tampering(
        (2, "pede"), both(used(2, emptied), found(1, one_digit)), WRITTEN
    ),
    "constants of the beginning": Tampering(
        (2, "pede"), used(1, lambda _: b'"10": [0.5, 0, 0, 0, 0, 0]'), WRITTEN
    ),
    "binary emptied": Tampering((1, "pede"), binary(1, emptied), CONVERTED),
    "binary cut in half": Tampering((1, "mille"), binary(1, halved), CONVERTED),
    "a bit of a binary": Tampering((1, "pede"), binary(1, one_bit), CONVERTED),
    "binary gone": Tampering(
        (1, "pede"), lambda a: a.iteration(1).mille_binary(401).unlink(), CONVERTED
    ),
    "statistics cut in half": Tampering((1, "pede"), statistics(1, halved), CONVERTED),
    "a digit of the statistics": Tampering((1, "pede"), statistics(1, one_digit), CONVERTED),
    "statistics and binary of another file": Tampering((1, "pede"), another_pair, CONVERTED),
    "statistics and binary gone": Tampering(
        (1, "pede"),
        lambda a: shutil.rmtree(a.iteration(1).mille),
        "not solved yet",
    ),
    "a copy of another output": Tampering((1, "pede"), a_copy(1), AGAIN),
    "a copy, before converting": Tampering((2, "mille"), a_copy(2), AGAIN),
    "an output cut in half": Tampering((1, "pede"), output(halved), "bad output"),
    "an output that rots": Tampering((1, "mille"), rotten_output, "damaged on the disk"),
}  # fmt: skip


ALSO_HEALED = {
    "constants cut in half",
    "constants gone",
    "constants, before the solution is noted",
    "constants found and those of the beginning",
    "constants in use, before jobs",
    "constants in use and those found",
    "binary cut in half",
    "binary emptied",
    "statistics cut in half",
    "a copy, before converting",
    "statistics and binary gone",
    "statistics and binary of another file",
    "binary gone",
    "a copy of another output",
}
"""Damage that differs from another one only in where and when it happens."""


def as_long(value: object) -> object:
    return pytest.param(value, marks=pytest.mark.long)


def by_name(cases: Iterable[str]) -> list[object]:
    return [as_long(name) if name in ALSO_HEALED else name for name in cases]


@pytest.mark.parametrize("name", by_name(HEALED))
def test_what_can_be_made_again_is_and_the_constants_are_the_same(
    name: str, places: Places, tmp_path: Path
) -> None:
    case = HEALED[name]
    alignment = places.kept[case.place].copied(tmp_path)
    case.tamper(alignment)
    assert alignment.resume() is Ending.DONE
    assert alignment.constants() == places.constants
    assert case.says in alignment.said()


@pytest.mark.parametrize(
    "place",
    [
        (1, "pede"),
        as_long((1, "next_iteration")),
        (2, "prepare"),
        as_long((2, "pede")),
    ],
)
def test_undisturbed_nothing_is_said(
    place: tuple[int, str], places: Places, tmp_path: Path
) -> None:
    alignment = places.kept[place].copied(tmp_path)
    assert alignment.resume() is Ending.DONE
    assert alignment.constants() == places.constants
    for words in ("checksum", "bad output", "not solved yet"):
        assert words not in alignment.said()


def lost_outputs(alignment: AlignmentHere) -> None:
    shutil.rmtree(alignment.iteration(1).kfalignment)
    without_binaries_and(emptied)(alignment)


def other_output(alignment: AlignmentHere) -> None:
    """Put the output of fewer events in the place of one: sound, but another."""
    paths = alignment.iteration(1)
    paths.output(401).unlink()
    raw = alignment.site.raw_files[401]
    reconstruct(raw, {}, paths.output(401), with_ift=False, events=slice(0, 200))
    without_binaries_and(halved)(alignment)


def accepted_by_hand(alignment: AlignmentHere) -> None:
    """Let a person have accepted the constants of iteration 1, and then damage them."""
    opened = alignment.opened
    (record,) = opened.snapshot.history
    by_hand = record.model_copy(update={"by_hand": "accepted by hand"})
    checkpoint.save(opened.workspace.checkpoint, opened.snapshot.but(history=(by_hand,)))
    without_binaries_and(one_digit)(alignment)


REFUSED = {
    "outputs are gone": (
        lost_outputs,
        "constants; 0 of the 2 outputs that they were found with are still there",
    ),
    "an output is another": (other_output, "solved again, iteration 1 gives other constants"),
    "a person accepted them": (
        accepted_by_hand, "iter01/3millepede/inputforalign.txt: does not match its checksum",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_made_again_is_refused_with_what_to_do(
    name: str, places: Places, tmp_path: Path
) -> None:
    tamper, words = REFUSED[name]
    alignment = places.kept[2, "prepare"].copied(tmp_path)
    kept = alignment.constants()
    tamper(alignment)
    assert alignment.resume() is Ending.FAILED
    failure = alignment.snapshot.failure
    assert failure is not None
    assert words in failure.reason
    assert "restore it from a copy" in failure.remedy
    assert "iter01 --accept` finds constants again" in failure.remedy
    assert not alignment.iteration(2).root.exists()
    # and what the remedy says helps
    alignment.iteration(1).new_constants.write_text(kept[1])
    if name != "outputs are gone":
        assert alignment.resume() is Ending.DONE
        assert alignment.constants() == places.constants


def as_an_older_version_left_it(alignment: AlignmentHere) -> None:
    """Take out of records and checkpoint what older versions did not write."""
    for path in alignment.root.glob("iter*/3millepede/mille/*.json"):
        record = json.loads(path.read_text())
        del record["checksum"], record["binary"]
        del record["source"]["digest"], record["source"]["tracks"]
        path.write_text(json.dumps(record))
    for path in alignment.root.glob("iter*/3millepede/solution.json"):
        record = json.loads(path.read_text())
        del record["checksum"], record["hashes"]
        path.write_text(json.dumps(record))
    path = alignment.root / "state.yaml"
    content = yaml.safe_load(path.read_text())
    content["checksum"] = "edited"
    snapshot = content["snapshot"]
    del snapshot["constants"]
    for record in (*snapshot["history"], snapshot["solution"] or {"hashes": {}}):
        del record["hashes"]
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    "place",
    [
        (1, "mille"),
        *(as_long(each) for each in ((1, "pede"), (1, "next_iteration"), (2, "prepare"))),
        (2, "pede"),
    ],
)
def test_what_an_older_version_began_is_gone_on_with_without_complaint(
    place: tuple[int, str], places: Places, tmp_path: Path
) -> None:
    alignment = places.kept[place].copied(tmp_path)
    as_an_older_version_left_it(alignment)
    assert alignment.resume() is Ending.DONE
    assert alignment.constants() == places.constants
    assert "checksum" not in alignment.said()


def without_the_first_record(content: bytes) -> bytes:
    """Take away one record, so that the binary is whole: it begins with its length in words."""
    return content[4 * (1 + int.from_bytes(content[:4], "little")) :]


OLDER = {
    "records missing": ((1, "pede"), binary(1, without_the_first_record)),
    "binary emptied": ((1, "pede"), binary(1, emptied)),
    "binary cut in half": ((1, "pede"), binary(1, halved)),
    "statistics cut in half": ((1, "pede"), statistics(1, halved)),
}


@pytest.mark.parametrize("name", by_name(OLDER))
def test_what_can_be_seen_without_hashes_is_mended_for_an_older_version_too(
    name: str, places: Places, tmp_path: Path
) -> None:
    place, tamper = OLDER[name]
    alignment = places.kept[place].copied(tmp_path)
    as_an_older_version_left_it(alignment)
    tamper(alignment)
    assert alignment.resume() is Ending.DONE
    assert alignment.constants() == places.constants
    assert CONVERTED in alignment.said()


@pytest.mark.parametrize(("change", "words"), [(emptied, "empty, although"), (halved, "column")])
def test_constants_that_are_none_are_refused_though_nobody_recorded_them(
    change: Callable[[bytes], bytes], words: str, places: Places, tmp_path: Path
) -> None:
    alignment = places.kept[2, "prepare"].copied(tmp_path)
    as_an_older_version_left_it(alignment)
    found(1, change)(alignment)
    assert alignment.resume() is Ending.FAILED
    failure = alignment.snapshot.failure
    assert failure is not None
    assert words in failure.reason


@pytest.fixture(scope="module")
def with_other_cuts(site: SiteHere, tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Return the constants of an alignment that had the other cuts from the beginning."""
    whole = AlignmentHere.begin(site, tmp_path_factory.mktemp("other"), OTHER_CUTS)
    assert whole.resume() is Ending.DONE
    return whole.constants()


OTHER_CUTS = "millepede.cuts.min_hits=18"


@pytest.mark.parametrize("step", ["mille", *(as_long(each) for each in STEPS[-2:])])
def test_settings_changed_on_purpose_count_for_the_iteration_that_is_not_over(
    step: str, places: Places, with_other_cuts: dict[int, str], tmp_path: Path
) -> None:
    assert with_other_cuts != places.constants
    alignment = places.kept[1, step].copied(tmp_path)
    assert alignment.resume(OTHER_CUTS) is Ending.DONE
    assert alignment.constants() == with_other_cuts


def test_initial_constants_may_be_changed_while_nothing_is_made_with_them(
    places: Places, tmp_path: Path
) -> None:
    given = tmp_path / "given.txt"
    given.write_text('"10": [0.1, 0, 0, 0, 0, 0]')
    alignment = places.kept[1, "submit_reco"].copied(tmp_path)
    snapshot = alignment.snapshot.but(state="prepare")
    checkpoint.save(alignment.opened.workspace.checkpoint, snapshot)
    assert alignment.resume(f"alignment.initial_constants={given}") is Ending.DONE
    assert alignment.iteration(1).constants.read_text() == given.read_text()
    assert "checksum" not in alignment.said()


def test_what_was_found_carries_the_hashes_of_what_it_was_made_of(
    places: Places, tmp_path: Path
) -> None:
    alignment = places.kept[2, "next_iteration"].copied(tmp_path)
    assert alignment.resume() is Ending.DONE
    first, second = alignment.snapshot.history
    assert first.hashes.constants == digest(places.constants[1].encode())
    assert second.hashes.constants_before == first.hashes.constants
    assert all(dict(second.hashes).values())
    assert second.hashes.root_files != first.hashes.root_files
    assert second.hashes.strategy == first.hashes.strategy
    told = json.loads(alignment.iteration(2).solution.read_text())["hashes"]
    assert told == second.hashes.model_dump()
