"""What the solutions of a workspace predict of the tracks that are made with their constants.

Read from `solution.json` as plain JSON: the daemon, which asks, loads no numerics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_iter.alignment.judges.arrival import Look, Response
from auto_iter.files import digest
from auto_iter.log.setup import get_logger
from auto_iter.workspace.hashes import is_intact
from auto_iter.workspace.paths import Workspace
from auto_iter.workspace.records import FileVersion, read_json


@dataclass(frozen=True)
class ExpectedChange:
    """Of the solution at `path`; `files`: what was seen before, by raw file."""

    path: Path
    key: str
    constants: str
    files: Mapping[int, Look]

    def response(self, record: Mapping[str, Any]) -> Response | None:
        """Return the response in a conversion's record; None when it was not looked for."""
        before, after = self.files.get(record["number"]), record.get("look")
        if before is None or after is None or record.get("predicted_by") != self.key:
            return None
        return Response(before, Look(**after))


class Predictions:
    """Those of all iterations; each is read again only when its file is another one."""

    def __init__(self, workspace: Workspace, run: int | None) -> None:
        self._workspace, self._run = workspace, run
        self._known: dict[Path, tuple[FileVersion, ExpectedChange | None]] = {}

    def before(self, iteration: int) -> ExpectedChange | None:
        """Return the prediction for the tracks of `iteration`.

        None in the first one, where the solution before knows of none, and where the iteration
        starts from constants that are not that solution's.
        """
        if iteration == 1:
            return None
        prediction = self._read(self._workspace.iteration(iteration - 1, self._run).solution)
        if prediction is None:
            return None
        try:
            used = self._workspace.iteration(iteration, self._run).constants
            constants = digest(used.read_bytes())
        except FileNotFoundError:
            return None
        return prediction if prediction.constants == constants else None

    def _read(self, path: Path) -> ExpectedChange | None:
        version = FileVersion.at(path)
        if version is None:
            return None
        if path not in self._known or self._known[path][0] != version:
            self._known[path] = (version, _parse(path))
        return self._known[path][1]


def _parse(path: Path) -> ExpectedChange | None:
    record = read_json(path)
    if record is None or not is_intact(record):
        phrase = "does not match its checksum; whether constants arrive is not checked"
        get_logger().warning(phrase, file=str(path))
        return None
    told = record.get("prediction")
    if told is None:
        return None
    files = {int(number): Look(**look) for number, look in told["files"].items()}
    return ExpectedChange(path, told["key"], told["constants"], files)
