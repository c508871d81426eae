"""`iterNN/manifest.json`: what an iteration's constants were made of, by whom, from which before.

A manifest names everything by its hash and holds the hash of the one before it, and the checkpoint
has the hash of each: nothing in the chain can be exchanged without a trace. It stands alone, with
configuration and strategy in full, so that `reproduce` needs nothing else but the tracks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from auto_iter.alignment.history import IterationRecord, Origin
from auto_iter.errors import InputError
from auto_iter.files import digest, naming
from auto_iter.workspace.hashes import differs, is_intact
from auto_iter.workspace.paths import Workspace


class ManifestPart(BaseModel):
    """A part of a manifest: known fields only, and none changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class RawFileHashes(ManifestPart):
    """What came of a raw file: its ROOT file, the tracks in there, and its Mille binary."""

    root: str = ""
    tracks: str = ""
    mille: str = ""


class MadeBy(ManifestPart):
    """Who made it: versions of what computes, host, command, and which solver.

    `pede`: the SHA-256 of the program; empty for the built-in solver.
    """

    versions: dict[str, str]
    host: str
    command: tuple[str, ...]
    solver: str
    pede: str = ""


class Manifest(ManifestPart):
    """The content of a manifest; hashes are SHA-256, those of raw files' products BLAKE2b.

    `previous`: the manifest that it continues, of this workspace or of the one that it was branched
    from; empty: there is none. `held_out`: those of `raw_files` that stayed out of the fit.
    `scripts`: by path in the iteration, everything that its jobs and pede were given as text.
    `run`: None where `files` are of several.
    """

    format: int = 1
    workspace: str
    workspace_id: str
    year: int
    run: int | None
    files: str
    stations: int
    iteration: int
    phase: int
    within: int
    strategy: str
    phase_name: str
    finished_at: float
    previous: str = ""
    origin: Origin | None = None
    made_by: MadeBy
    constants_before: str
    constants: str
    fingerprint: str
    by_hand: str | None = None
    warnings: tuple[str, ...] = ()
    figures: dict[str, float]
    left_out: tuple[int, ...] = ()
    raw_files: dict[int, RawFileHashes]
    held_out: tuple[int, ...] = ()
    scripts: dict[str, str]
    config: dict[str, Any]
    strategy_text: str
    survey_text: str = ""
    checksum: str = ""

    @property
    def text(self) -> str:
        """What the file holds."""
        return self.model_dump_json(indent=1) + "\n"


@dataclass(frozen=True)
class Link:
    """An iteration of the history with its manifest, and what is wrong with it; empty: nothing."""

    record: IterationRecord
    manifest: Manifest | None
    fault: str = ""


def read_manifest(workspace: Workspace, iteration: int) -> Manifest:
    """Return the manifest of an iteration. Raises InputError where there is none, or a damaged."""
    path = workspace.manifest(iteration)
    try:
        with naming(path):
            content = path.read_bytes()
        manifest = Manifest.model_validate_json(content)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file",
            "restore it from a copy; an iteration of an auto-iter before manifests has none",
        ) from None
    except ValidationError:
        raise InputError(f"{path}: is no manifest, or damaged", "restore it from a copy") from None
    if not is_intact(json.loads(content)):
        raise InputError(f"{path}: does not match its checksum", "restore it from a copy")
    return manifest


def chain(workspace: Workspace, history: Sequence[IterationRecord]) -> Iterator[Link]:
    """Yield each iteration of a history with its manifest, and where the chain is broken."""
    before = ""
    for record in history:
        if not record.manifest:
            yield Link(record, None, "no manifest: made by an older auto-iter")
            before = ""
            continue
        try:
            manifest = read_manifest(workspace, record.iteration)
            yield Link(record, manifest, _fault(workspace, manifest, record, before))
        except InputError as error:
            yield Link(record, None, error.reason)
        before = record.manifest


def _fault(workspace: Workspace, manifest: Manifest, record: IterationRecord, before: str) -> str:
    if not is_known(workspace, record):
        return "the manifest is not the one that the checkpoint knows"
    if before and manifest.previous != before:
        return "does not continue the iteration before it"
    place = workspace.iteration(record.iteration, manifest.run)
    if differs(place.new_constants, manifest.constants):
        return "its constants are not those that it found"
    for name, then in manifest.scripts.items():
        path = place.root / name
        if not path.is_file():
            return f"{name}: is not there any more"
        if digest(path.read_bytes()) != then:
            return f"{name}: is not what it was made with"
    return ""


def is_known(workspace: Workspace, record: IterationRecord) -> bool:
    """Tell whether the manifest of an iteration is the one whose hash was recorded, if one was."""
    content = workspace.manifest(record.iteration).read_bytes()
    return not record.manifest or digest(content) == record.manifest
