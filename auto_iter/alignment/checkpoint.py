"""The checkpoint: a snapshot as YAML, saved so that a crash at any instant loses nothing.

The file is a header (schema, checksum) and the snapshot. The checksum is the SHA-256 of the
snapshot's canonical JSON, so that reformatting by an editor does not matter but a changed value is
noticed; a person who edits on purpose sets `checksum: edited`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from auto_iter.alignment.checkpoint_file import LARGEST_BYTES, SCHEMA, json_keys
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.yamlfile import YamlError, parse_yaml, read_bounded
from auto_iter.errors import CheckpointError, TransientError, passes
from auto_iter.files import checksum, write_atomically
from auto_iter.wording import first_problem

EDITED = "edited"

Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: Mapping[int, Migration] = {}
"""Old schema number → function that turns its snapshot into the next schema's."""

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _NewerSchemaError(CheckpointError):
    """Written by a newer auto-iter: the backup is no way out either."""


class _EditError(CheckpointError):
    """A person's edit that cannot be taken: going on with something older would ignore it."""


def backup_path(path: Path) -> Path:
    """Return where the checkpoint before the last one is kept."""
    return path.with_name(path.name + ".bak")


def damaged_path(path: Path) -> Path:
    """Return where a checkpoint goes that could not be read: a person may want to see it."""
    return path.with_name(path.name + ".damaged")


def save(path: Path, snapshot: Snapshot, check: Callable[[], None] = lambda: None) -> None:
    """Write the checkpoint durably, keeping the one before as `.bak`.

    Raises OSError (disk full, read-only); then the old checkpoint is untouched.
    """
    content = _render(snapshot)
    if _is_whole(path):  # a damaged one must not take the place of its good backup
        # A hard link would do without a copy, but not every shared file system has them.
        write_atomically(backup_path(path), path.read_bytes(), check=check)
    elif path.exists():
        write_atomically(damaged_path(path), path.read_bytes()[:LARGEST_BYTES])
    write_atomically(path, content, check=check)


def load(path: Path) -> tuple[Snapshot, str | None]:
    """Return the snapshot and, when the backup had to be used, why.

    Raises CheckpointError when neither file can be trusted, the schema is newer than ours, or the
    file was edited on purpose and makes no sense.
    """
    try:
        return _read(path), None
    except (_NewerSchemaError, _EditError):
        raise
    except CheckpointError as error:
        try:
            return _read(backup_path(path)), error.reason
        except CheckpointError:
            raise error from None


def _is_whole(path: Path) -> bool:
    try:
        _read(path)
    except CheckpointError:
        return False
    return True


def _render(snapshot: Snapshot) -> str:
    body = snapshot.model_dump(mode="json")
    document = {"schema": SCHEMA, "checksum": checksum(body), "snapshot": body}
    header = (
        "# auto-iter checkpoint. To edit by hand, stop the daemon and set `checksum: edited`.\n"
    )
    return header + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _read(path: Path) -> Snapshot:
    document = _parse(path)
    schema = document.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise CheckpointError(f"{path}: no valid schema number", _RESTORE)
    if schema > SCHEMA:
        raise _NewerSchemaError(
            f"{path}: schema {schema} is newer than this auto-iter knows ({SCHEMA})",
            "upgrade auto-iter",
        )
    body = document.get("snapshot")
    if not isinstance(body, dict):
        raise CheckpointError(f"{path}: truncated, the snapshot is missing", _RESTORE)
    if document.get("checksum") not in (EDITED, checksum(json_keys(body))):
        raise CheckpointError(
            f"{path}: the checksum does not match, the file is damaged or was edited", _RESTORE
        )
    for old in range(schema, SCHEMA):
        body = MIGRATIONS[old](body)
    try:
        return Snapshot.model_validate(body)
    except ValidationError as error:
        what = f"{path}: {first_problem(error)}"
        if document["checksum"] == EDITED:
            raise _EditError(what, _MEND_EDIT) from None
        raise CheckpointError(what, _RESTORE) from None


_RESTORE = "restore the file from state.yaml.bak, or set `checksum: edited` after a deliberate edit"


_MEND_EDIT = "correct it there, or copy state.yaml.bak over it to undo the edit"

_DECLARED_EDITED = re.compile(rb"^checksum:\s*[\"']?edited\b", re.MULTILINE)


def _parse(path: Path) -> dict[str, Any]:
    content = b""
    try:
        content = read_bounded(path, LARGEST_BYTES)
        document = parse_yaml(content)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint", "start with `auto-iter run`") from None
    except OSError as error:
        if passes(error, path):
            raise TransientError(f"{path}: {error.strerror}") from None
        raise CheckpointError(f"{path}: {error.strerror}") from None
    except (YamlError, UnicodeDecodeError) as error:
        line = getattr(error, "line", None)
        where = path if line is None else f"{path}:{line}"
        why = f" ({error})" if isinstance(error, YamlError) else ""
        if _DECLARED_EDITED.search(content):
            raise _EditError(f"{where}: the edit made it unreadable{why}", _MEND_EDIT) from None
        raise CheckpointError(
            f"{where}: not readable as YAML, truncated or damaged{why}", _RESTORE
        ) from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: empty or not a checkpoint", _RESTORE)
    return document
