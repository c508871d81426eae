"""ROOT files to Mille binaries: one by one, or many to one binary by several processes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import Scheme
from auto_iter.errors import InputError
from auto_iter.files import TEMPORARY, write_whole
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.conversion.convert import Converter
from auto_iter.millepede.conversion.statistics import Statistics, total
from auto_iter.workspace.hashes import HashingSink

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ConvertedFile:
    """What became of a ROOT file: `size` and `digest` are the Mille binary's.

    `tracks` stands for the tracks in the ROOT file, see `Converter.tracks`.
    """

    statistics: Statistics
    tracks: str
    size: int
    digest: str


def convert_file(
    source: Path, binary: Path, scheme: Scheme, cuts: TrackCuts, *, judges: bool = False
) -> ConvertedFile:
    """Convert `source` to the Mille file `binary`, which appears whole or not at all.

    `judges`: as in `Converter`.

    Raises InputError like `convert_tracks`, OSError when `binary` cannot be written.
    """
    with write_whole(binary) as file:
        sink = HashingSink(file)
        converter = _converted(source, sink, Converter(scheme, cuts, judges=judges))
    return ConvertedFile(converter.statistics, converter.tracks, sink.size, sink.digest)


def convert_tracks(
    source: Path, sink: SupportsWrite[memoryview], scheme: Scheme, cuts: TrackCuts
) -> Statistics:
    """Write the Mille records of `source` to `sink`, and return the statistics.

    Memory: some thousand tracks. Raises InputError (file and branch) when `source` is not whole.
    """
    return _converted(source, sink, Converter(scheme, cuts)).statistics


def _converted(source: Path, sink: SupportsWrite[memoryview], converter: Converter) -> Converter:
    tracks = kf.TrackFile(source, converter.branches, with_charge=converter.judges)
    for chunk in tracks.chunks():
        try:
            sink.write(converter.convert(chunk).data)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
    return converter


def convert_files(
    sources: Sequence[Path], binary: Path, scheme: Scheme, cuts: TrackCuts, workers: int = 1
) -> Statistics:
    """Convert `sources` to the Mille file `binary`, which appears whole or not at all.

    Each is converted beside `binary`, by up to `workers` processes, then appended in order: the
    same bytes, however many they are. Returns the statistics of all of them. Raises InputError for
    the first bad file, OSError when `binary` cannot be written.
    """
    with (
        write_whole(binary) as sink,
        tempfile.TemporaryDirectory(TEMPORARY, f".{binary.name}.", binary.parent) as directory,
    ):
        parts = [Path(directory, f"{number}.bin") for number in range(len(sources))]
        convert = partial(_convert_part, scheme=scheme, cuts=cuts)
        jobs = list(zip(sources, parts, strict=True))
        converted = in_processes(convert, jobs, workers)
        return total(
            _appended(statistics, part, sink)
            for statistics, part in zip(converted, parts, strict=True)
        )


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """Yield what `function` returns for each of `items`, in order, from up to `workers` processes.

    Raises what it raises for the first item that it does so for; what has not begun is left.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    # forked, they need not import everything once more; nothing here has threads
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs = [pool.submit(function, item) for item in items]
        try:
            for job in jobs:
                yield job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _convert_part(job: tuple[Path, Path], scheme: Scheme, cuts: TrackCuts) -> Statistics:
    source, part = job
    with part.open("wb") as sink:
        return convert_tracks(source, sink, scheme, cuts)


def _appended(statistics: Statistics, part: Path, sink: BinaryIO) -> Statistics:
    with part.open("rb") as content:
        size, done = part.stat().st_size, 0
        while done < size:  # within the kernel: the bytes need not come here
            done += os.sendfile(sink.fileno(), content.fileno(), done, size - done)
    part.unlink()
    return statistics
