"""The manifest of a finished iteration, put together from what lies in the workspace."""

from __future__ import annotations

import platform
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import auto_iter
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.hold_out import held_out
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.schema import Config
from auto_iter.errors import InputError
from auto_iter.files import digest
from auto_iter.millepede.pede.program import find_pede
from auto_iter.millepede.survey import survey_in_use
from auto_iter.workspace.hashes import digests_below, hash_of_all, sealed
from auto_iter.workspace.manifest import MadeBy, Manifest, RawFileHashes
from auto_iter.workspace.paths import Iteration, Workspace
from auto_iter.workspace.records import read_json

COMPUTES = ("numpy", "scipy", "uproot", "awkward")
"""The packages on which the digits of constants may depend."""
SOURCE_DIGITS = 12


def manifest_of(
    workspace: Workspace,
    snapshot: Snapshot,
    record: IterationRecord,
    config: Config,
    env: Mapping[str, str],
) -> Manifest:
    """Return the manifest of the iteration that `record` is about, the current one of `snapshot`.

    Cheap: hashes of what is large were noted when it was read or written. Raises OSError.
    """
    asked, stage = snapshot.arguments, snapshot.stage
    paths = workspace.iteration(record.iteration, asked.run)
    solution, survey = read_json(paths.solution) or {}, survey_in_use(workspace, config)
    out = held_out(asked.files.numbers, snapshot.excluded, config.alignment.hold_out)
    used = frozenset(solution.get("binaries", ()))
    raw_files = dict(_raw_files(paths, used, out - snapshot.skipped.keys()))
    return sealed(
        Manifest(
            workspace=workspace.root.name,
            workspace_id=snapshot.workspace_id,
            year=asked.year,
            run=asked.run,
            files=asked.files.text,
            stations=asked.stations,
            iteration=record.iteration,
            phase=stage.phase,
            within=stage.within,
            strategy=record.strategy,
            phase_name=record.phase,
            finished_at=record.finished_at,
            previous=_previous(snapshot),
            origin=snapshot.origin,
            made_by=MadeBy(
                versions=made_here(),
                host=platform.node(),
                command=("auto-iter", *sys.argv[1:]),
                solver=record.solver,
                pede=hash_of_pede(config, env) if record.solver == "pede" else "",
            ),
            constants_before=record.hashes.constants_before,
            constants=record.hashes.constants,
            fingerprint=str(solution.get("fingerprint", "")),
            by_hand=record.by_hand,
            warnings=record.warnings,
            figures=record.figures,
            left_out=record.left_out,
            raw_files=raw_files,
            held_out=tuple(sorted(out & raw_files.keys())),
            scripts=_scripts(paths),
            config=config.model_dump(mode="json"),
            strategy_text=_strategy_text(workspace, paths, record, config),
            survey_text="" if survey is None else survey.read_text(),
        )
    )


def _previous(snapshot: Snapshot) -> str:
    if snapshot.history:
        return snapshot.history[-1].manifest
    return "" if snapshot.origin is None else snapshot.origin.manifest


def _strategy_text(
    workspace: Workspace, paths: Iteration, record: IterationRecord, config: Config
) -> str:
    """Return the strategy that the constants were made with, by hand maybe; empty: it is gone."""
    if record.by_hand is not None and record.hashes.strategy:
        found = (each for each in (paths.strategy_by_hand, workspace.strategy) if each.is_file())
        texts = (path.read_text() for path in found)
        return next((each for each in texts if hash_of_all([each]) == record.hashes.strategy), "")
    try:
        return workspace.strategy.read_text()
    except FileNotFoundError:  # workspaces of the first version have no copy
        return config.alignment.strategy


def made_here() -> dict[str, str]:
    """Return the versions of what computes constants here; of auto-iter the source as well."""
    versions = {
        "auto-iter": auto_iter.__version__,
        "auto-iter's source": hash_of_source(Path(auto_iter.__file__).parent),
        "python": platform.python_version(),
    }
    for name in COMPUTES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return versions


@cache
def hash_of_source(package: Path) -> str:
    """Return what stands for the modules of a package: its version stays from commit to commit."""
    return hash_of_all(digests_below(package, package.rglob("*.py")).items())[:SOURCE_DIGITS]


def hash_of_pede(config: Config, env: Mapping[str, str]) -> str:
    """Return the SHA-256 of the pede that is found now; empty where there is none."""
    try:
        program = find_pede(config.paths.pede_install, env.get("PATH"))
    except InputError:  # it is gone since
        return ""
    return "" if program is None else digest(program.read_bytes())


def _raw_files(
    paths: Iteration, binaries: Collection[str], out: Collection[int]
) -> Iterator[tuple[int, RawFileHashes]]:
    """Yield what conversions noted of each raw file that went into the solution, or is held `out`.

    One that a person left out meanwhile may have been converted all the same.
    """
    for path in sorted(paths.mille.glob("*.json")):
        record = read_json(path) or {}
        if record.get("error") is not None or "number" not in record:
            continue
        if path.with_suffix(".bin").name not in binaries and record["number"] not in out:
            continue
        source, binary = record.get("source") or {}, record.get("binary") or {}
        yield (
            record["number"],
            RawFileHashes(
                root=source.get("digest", ""),
                tracks=source.get("tracks", ""),
                mille=binary.get("digest", ""),
            ),
        )


def _scripts(paths: Iteration) -> dict[str, str]:
    """Return the hashes of all texts that the iteration's jobs and its pede were given."""
    found = [path for path in paths.reco.glob("*") if path.is_file()]
    found += [*paths.millepede.glob("*.txt"), *paths.millepede.glob("step*/*.txt")]
    return digests_below(paths.root, (each for each in found if not each.name.startswith(".")))
