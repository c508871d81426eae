"""Outputs of an iteration: in its `2kfalignment`, or in what that is a link to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auto_iter.errors import InputError, TransientError
from auto_iter.workspace.paths import Iteration


@dataclass(frozen=True)
class Outputs:
    """The outputs of one iteration; `elsewhere`: where the configuration wants them."""

    iteration: Iteration
    elsewhere: Path | None

    @property
    def directory(self) -> Path:
        """Where they lie, or will."""
        root, usual = self.iteration.root, self.iteration.kfalignment
        if self.elsewhere is None or (usual.exists() and not usual.is_symlink()):
            return usual
        return self.elsewhere / root.parent.name / root.name / usual.name

    def make_directory(self) -> None:
        """Make it, and the link. Raises InputError where others' outputs are in there, OSError."""
        directory, usual = self.directory, self.iteration.kfalignment
        directory.mkdir(parents=True, exist_ok=True)
        if directory == usual or usual.is_symlink():
            return
        if any(directory.iterdir()):
            raise InputError(
                f"{directory}: holds outputs of another alignment of this name",
                "move that directory away, or set paths.outputs_dir to another one",
            )
        usual.symlink_to(directory)

    def delivered(self) -> frozenset[int]:
        """Return the raw files of the alignment whose output is there. Raises TransientError."""
        directory = self.iteration.kfalignment
        try:
            numbers = {self.iteration.number_of(path.name) for path in directory.iterdir()}
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise TransientError(f"{directory}: cannot be read: {error}") from error
        return frozenset(number for number in numbers if number is not None)

    def reject(self, number: int) -> None:
        """Rename a bad output to `*.bad`, so that its raw file counts as outstanding again."""
        output = self.iteration.output(number)
        try:
            output.replace(output.with_name(f"{output.name}.bad"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise TransientError(f"{output}: cannot be set aside: {error}") from error
