"""What manifests of an alignment have to say whether or not its power was cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auto_iter.alignment import checkpoint
from auto_iter.workspace.manifest import chain, read_manifest
from auto_iter.workspace.paths import Workspace

_OF_THIS_RUN = {"workspace_id", "finished_at", "fingerprint", "previous", "checksum"}
"""What is another one each time, or a hash of that: fingerprints know times of files."""

_OF_THIS_SUBMISSION = ("1reco/reco.sub", "1reco/submission")
"""Texts with the key or the number of a submission in them."""


def manifests(workspace: Path) -> dict[str, Any]:
    """Return what every alignment of the same raw files puts into its manifests, by iteration."""
    return {
        path.parent.name: _lasting(Workspace(workspace), int(path.parent.name[4:]))
        for path in sorted(workspace.glob("iter*/manifest.json"))
    }


def _lasting(workspace: Workspace, iteration: int) -> dict[str, Any]:
    found = read_manifest(workspace, iteration).model_dump(mode="json", exclude=_OF_THIS_RUN)
    found["scripts"] = {
        name: text
        for name, text in found["scripts"].items()
        if not name.startswith(_OF_THIS_SUBMISSION)
    }
    return found


def difference(workspace: Path, undisturbed: Mapping[str, Any]) -> str | None:
    """Return where the chain is broken, or a manifest says something else; None: nowhere."""
    there = Workspace(workspace)
    snapshot, _ = checkpoint.load(there.checkpoint)
    links = list(chain(there, snapshot.history))
    broken = [f"iteration {each.record.iteration}: {each.fault}" for each in links if each.fault]
    if broken or len(links) != len(undisturbed):
        return f"{len(links)} manifests, broken: {broken}"
    found = manifests(workspace)
    differ = [
        f"{name} {key}: {value} instead of {undisturbed[name].get(key)}"
        for name, each in found.items()
        for key, value in each.items()
        if value != undisturbed[name].get(key)
    ]
    return f"other manifests: {'; '.join(differ)}"[:2000] if differ else None
