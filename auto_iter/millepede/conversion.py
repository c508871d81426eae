"""ROOT files → Mille binaries with statistics beside them, as the daemon's children convert them.

Apart from solving, so that a converting process starts without what only solving needs.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from auto_iter.errors import InputError, raise_what_passes
from auto_iter.files import write_atomically
from auto_iter.millepede.convert import convert_files
from auto_iter.millepede.prediction import look_again
from auto_iter.millepede.requests import (
    ConversionRecord,
    ConvertRequest,
    RootFile,
    SolutionRecord,
    Source,
)
from auto_iter.millepede.statistics import Statistics


def convert_sources(request: ConvertRequest) -> list[ConversionRecord]:
    """Convert every source; a bad ROOT file gives a record with `error` and no binary."""
    before = None if request.prediction is None else read_solution(request.prediction)
    return [_convert_source(source, request, before) for source in request.sources]


def _convert_source(
    source: Source, request: ConvertRequest, before: SolutionRecord | None
) -> ConversionRecord:
    source.statistics.unlink(missing_ok=True)
    error, statistics, look = None, Statistics(), None
    try:
        status = source.root.stat()
        version = RootFile(size=status.st_size, mtime_ns=status.st_mtime_ns)
    except FileNotFoundError:
        error, version = f"{source.root}: no such file", RootFile(size=0, mtime_ns=0)
    else:
        try:
            statistics = convert_files(
                [source.root], source.binary, request.labels.scheme, request.cuts.track_cuts()
            )
            look = None if before is None else look_again(source.root, before)
        except InputError as bad:
            error = " ".join(str(bad).split())
    if error is not None:
        source.binary.unlink(missing_ok=True)
    record = ConversionRecord(
        number=source.number,
        root=source.root.name,
        source=version,
        error=error,
        cuts=request.cuts,
        labels=request.labels,
        statistics=statistics,
        predicted_by=before.prediction.key if before and before.prediction else "",
        look=look,
    )
    write_atomically(source.statistics, record.model_dump_json(indent=1) + "\n")
    return record


def read_solution(path: Path) -> SolutionRecord:
    """Return the content of a `solution.json`. Raises InputError."""
    try:
        return SolutionRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise_what_passes(error, path)
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise InputError(f"{path}: not a solution; solve that iteration again") from error


def read_record(path: Path) -> ConversionRecord:
    """Return the conversion record in a statistics file. Raises InputError."""
    try:
        return ConversionRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise_what_passes(error, path)
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise InputError(
            f"{path}: not the statistics of a conversion; convert the file again"
        ) from error
