"""What makes an alignment the one it is, and never changes but for the number of iterations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from auto_iter.alignment.attempt import Record
from auto_iter.config.schema import MOST_ITERATIONS
from auto_iter.config.section import Stations
from auto_iter.detector.stations import WITHOUT_IFT
from auto_iter.errors import UsageError
from auto_iter.rawfiles import MOST_RUN, YEARS, RawRange
from auto_iter.several_runs import RawFiles, SeveralRuns, parse_files


def _raw_files(value: object) -> RawFiles:
    """Return the raw files themselves, or those that a checkpoint has as text."""
    if isinstance(value, RawRange | SeveralRuns):
        return value
    try:
        return parse_files(str(value))
    except UsageError as error:
        raise ValueError(str(error)) from None


Files = Annotated[RawFiles, PlainValidator(_raw_files), PlainSerializer(lambda files: files.text)]


class Arguments(Record):
    """What makes this alignment the one it is; a workspace never changes these but `iterations`.

    `run`: None where `files` are of several and say so themselves.
    """

    year: int = Field(ge=YEARS[0], le=YEARS[-1])
    run: int | None = Field(gt=0, le=MOST_RUN)
    files: Files
    iterations: int = Field(gt=0, le=MOST_ITERATIONS)
    stations: Stations = WITHOUT_IFT

    @model_validator(mode="after")
    def _run_or_runs(self) -> Arguments:
        if (self.run is None) != isinstance(self.files, SeveralRuns):
            raise ValueError("run: is given for the files of one run, and only then")
        return self

    @property
    def runs(self) -> tuple[int, ...]:
        """The runs that the raw files are of, in order."""
        if isinstance(self.files, SeveralRuns):
            return self.files.runs
        return () if self.run is None else (self.run,)

    def with_room_for(self, iteration: int) -> Arguments:
        """Return the same with so many iterations at least."""
        return self.model_copy(update={"iterations": max(self.iterations, iteration)})


def refuse_iterations(iterations: int) -> None:
    """Raise UsageError for a number of iterations that no alignment has."""
    if iterations < 1:
        raise UsageError(f"-i {iterations}: at least one iteration is needed")
    if iterations > MOST_ITERATIONS:
        raise UsageError(f"-i {iterations}: at most {MOST_ITERATIONS} iterations")
