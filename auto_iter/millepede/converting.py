"""ROOT files → Mille binaries with statistics beside them, as the daemon's children convert them.

Apart from solving, so that a converting process starts without what only solving needs.
"""

from __future__ import annotations

from auto_iter.errors import InputError
from auto_iter.files import write_atomically
from auto_iter.millepede.conversion.files import convert_file
from auto_iter.millepede.evidence.second_look import look_again
from auto_iter.millepede.requests import ConvertRequest, Source
from auto_iter.millepede.results import (
    NO_FILE,
    BinaryFile,
    ConversionRecord,
    RootFile,
    SolutionRecord,
    read_record,
    read_solution,
)
from auto_iter.workspace.hashes import hash_of_file, sealed


def convert_sources(request: ConvertRequest) -> list[ConversionRecord]:
    """Convert every source; a bad ROOT file gives a record with `error` and no binary."""
    before = None if request.prediction is None else read_solution(request.prediction)
    return [_convert_source(source, request, before) for source in request.sources]


def _convert_source(
    source: Source, request: ConvertRequest, before: SolutionRecord | None
) -> ConversionRecord:
    earlier = _earlier(source)
    source.statistics.unlink(missing_ok=True)
    record = ConversionRecord(
        number=source.number,
        root=source.root.name,
        source=NO_FILE,
        cuts=request.cuts,
        labels=request.labels,
        predicted_by=before.prediction.key if before and before.prediction else "",
        judges=source.judges,
    )
    try:
        found = _convert(source, request, before, earlier)
    except InputError as bad:
        source.binary.unlink(missing_ok=True)
        found = {"source": RootFile.at(source.root) or NO_FILE, "error": " ".join(str(bad).split())}
    record = sealed(record.model_copy(update=found))
    write_atomically(source.statistics, record.model_dump_json(indent=1) + "\n")
    return record


def _convert(
    source: Source,
    request: ConvertRequest,
    before: SolutionRecord | None,
    earlier: RootFile | None,
) -> dict[str, object]:
    """Return what there is to record of a source. Raises InputError when it is bad."""
    version = RootFile.at(source.root) or NO_FILE
    scheme, cuts = request.labels, request.cuts
    made = convert_file(source.root, source.binary, scheme, cuts, judges=source.judges)
    look = None if before is None else look_again(source.root, before)
    # read just now, so that this comes from memory
    digest = hash_of_file(source.root)
    is_same = earlier is not None and earlier.is_same(version)
    if earlier is not None and is_same and earlier.digest not in ("", digest):
        raise InputError(
            f"{source.root}: does not match its checksum, although nobody has written to it: "
            "damaged on the disk"
        )
    return {
        "source": version.model_copy(update={"digest": digest, "tracks": made.tracks}),
        "binary": BinaryFile(size=made.size, digest=made.digest),
        "statistics": made.statistics,
        "look": look,
    }


def _earlier(source: Source) -> RootFile | None:
    """Return which ROOT file was converted here before, as far as that is known."""
    try:
        record = read_record(source.statistics)
    except InputError:
        return None
    return record.source if record.number == source.number else None
