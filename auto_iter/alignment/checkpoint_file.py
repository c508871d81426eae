"""The checkpoint as a file: a header (schema, checksum), and the snapshot as plain values.

Apart from `checkpoint` so that `status` reads one without the models: those take ten times as long
to load as to find that a checkpoint is whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auto_iter.config.yamlfile import parse_yaml, read_bounded
from auto_iter.files import checksum

SCHEMA = 1
LARGEST_BYTES = 20_000_000
"""A checkpoint of 10 000 raw files that all failed has a tenth of this."""


def glance(path: Path) -> dict[str, Any] | None:
    """Return the snapshot as it was written; None where only `checkpoint.load` can tell.

    That is one that is damaged, edited, missing, or of another schema. What has its own checksum
    was written by us from a valid snapshot; only one by an older version may lack what came since.
    """
    try:
        document = parse_yaml(read_bounded(path, LARGEST_BYTES))
    except (OSError, ValueError):  # among them YamlError and UnicodeDecodeError
        return None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return None
    body = json_keys(document.get("snapshot"))
    is_whole = isinstance(body, dict) and document.get("checksum") == checksum(body)
    return body if is_whole else None


def json_keys(value: Any) -> Any:
    """Return `value` with all mapping keys as JSON has them: YAML keeps 400: 1 an integer key."""
    if isinstance(value, dict):
        return {str(key): json_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_keys(item) for item in value]
    return value
