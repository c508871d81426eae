"""An iteration's constants made once more from its tracks, and what differs where they differ."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from auto_iter.alignment.history import record_of
from auto_iter.alignment.model import Stage
from auto_iter.config.file import validated
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import open_snapshot
from auto_iter.detector.constants import Constants, read_constants
from auto_iter.detector.constants_table import difference
from auto_iter.errors import InputError, UsageError
from auto_iter.files import digest, write_atomically
from auto_iter.iteration.sealing import hash_of_pede, made_here
from auto_iter.millepede.by_hand import Choices, run_iteration
from auto_iter.millepede.place import IterationPlace
from auto_iter.millepede.results import read_record
from auto_iter.rawfiles import spoken
from auto_iter.several_runs import parse_files
from auto_iter.workspace.hashes import differs
from auto_iter.workspace.manifest import Manifest, RawFileHashes, is_known, read_manifest
from auto_iter.workspace.paths import Iteration, Workspace


@dataclass(frozen=True)
class Reproduced:
    """What came of it. `reasons`: what was other than then; `moved`: by how much (mm, rad)."""

    iteration: int
    raw_files: int
    is_identical: bool
    reasons: tuple[str, ...]
    moved: Constants


def reproduce(workspace: Workspace, iteration: int, env: Mapping[str, str]) -> Reproduced:
    """Convert and solve an iteration once more, elsewhere, with what its manifest says.

    Nothing in the workspace changes. Raises InputError where manifest, tracks or the constants
    that they were made with are not there or not those that they were, UsageError where a person
    chose these constants.
    """
    manifest = _manifest(workspace, iteration)
    if manifest.by_hand is not None:
        raise UsageError(
            f"{workspace.root.name} iteration {iteration}: {manifest.by_hand}; only constants that "
            "the alignment found by itself can be reproduced"
        )
    paths = workspace.iteration(iteration, manifest.run)
    _refuse_other_inputs(paths, manifest)
    with tempfile.TemporaryDirectory(prefix="auto-iter-reproduce-") as scratch:
        here = Path(scratch)
        strategy = here / "strategy.yaml"
        write_atomically(strategy, manifest.strategy_text)
        survey = here / "survey.yaml" if manifest.survey_text else None
        if survey is not None:
            write_atomically(survey, manifest.survey_text)
        output = here / "3millepede"
        choices = Choices(
            strategy=str(strategy),
            survey=survey,
            stage=Stage(manifest.iteration, manifest.phase, manifest.within),
            solver="pede" if manifest.made_by.solver == "pede" else "builtin",
            allow_bad=True,
            files=parse_files(manifest.files),
            held_out=frozenset(manifest.held_out),
        )
        place = IterationPlace(paths.root, _tracks(paths, manifest, here), workspace.root)
        config = validated(manifest.config, {}, Config)
        run_iteration(place, output, config, choices, env)
        found = output / "inputforalign.txt"
        same = digest(found.read_bytes()) == manifest.constants
        moved: Constants = {}
        if not same and paths.new_constants.is_file():
            moved = difference(read_constants(paths.new_constants), read_constants(found))
        pede = hash_of_pede(config, env) if manifest.made_by.pede else ""
        reasons = [*_reasons(manifest, output / "mille", pede)]
        if differs(paths.new_constants, manifest.constants):
            reasons.append(f"{paths.new_constants} holds other constants, or none")
    return Reproduced(iteration, len(manifest.raw_files), same, tuple(reasons), moved)


def _manifest(workspace: Workspace, iteration: int) -> Manifest:
    """Return the manifest of an iteration, having seen that the checkpoint knows it."""
    history = open_snapshot(workspace.root)[0].history
    record = record_of(history, iteration, str(workspace.manifest(iteration).parent))
    manifest = read_manifest(workspace, iteration)
    if not is_known(workspace, record):
        raise InputError(
            f"{workspace.manifest(iteration)}: is not the one that the checkpoint knows",
            "restore it from a copy",
        )
    return manifest


def _refuse_other_inputs(paths: Iteration, manifest: Manifest) -> None:
    if differs(paths.constants, manifest.constants_before):
        raise InputError(
            f"{paths.constants}: is not what iteration {manifest.iteration} was reconstructed with",
            "restore it from a copy",
        )
    there = {path.name for path in paths.kfalignment.glob("kfalignment_*.root")}
    wanted = {paths.output_name(number) for number in manifest.raw_files}
    if missing := sorted(wanted - there):
        raise InputError(
            f"{paths.kfalignment}: {len(missing)} of {len(wanted)} ROOT files are gone, e.g. "
            f"{missing[0]}",
            "reconstruct them again with these constants, or restore them from a copy",
        )


def _tracks(paths: Iteration, manifest: Manifest, scratch: Path) -> Path:
    """Return a directory with the ROOT files that were solved with, and no others.

    There may be more: raw files that were left out when their tracks were in already.
    """
    directory = scratch / "2kfalignment"
    directory.mkdir()
    for name in map(paths.output_name, manifest.raw_files):
        (directory / name).symlink_to((paths.kfalignment / name).absolute())
    return directory


def _reasons(manifest: Manifest, mille: Path, pede: str) -> Iterator[str]:
    """Yield what was other than when the manifest was written, in the order of the chain."""
    yield from _other_versions(manifest.made_by.versions)
    if pede != manifest.made_by.pede:
        yield "pede is another program"
    now = {record.number: record for record in map(read_record, sorted(mille.glob("*.json")))}
    for number, then in sorted(manifest.raw_files.items()):
        record = now.get(number)
        if record is None or record.error is not None:
            why = "not there" if record is None else record.error or ""
            yield f"file {spoken(number)}: {why}"
            continue
        binary = "" if record.binary is None else record.binary.digest
        here = RawFileHashes(root=record.source.digest, tracks=record.source.tracks, mille=binary)
        if then.root and here.root != then.root:
            same = "with the same tracks" if here.tracks == then.tracks else "with other tracks"
            yield f"file {spoken(number)}: another ROOT file, {same}"
        elif then.mille and here.mille != then.mille:
            yield f"file {spoken(number)}: converts to another Mille binary"


def _other_versions(then: Mapping[str, str]) -> Iterator[str]:
    now = made_here()
    for name, version in then.items():
        if now.get(name) != version:
            yield f"{name} {now.get(name, 'is not there')}, then {version}"
