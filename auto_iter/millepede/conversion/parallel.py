"""Many ROOT files to one Mille binary, by several processes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from auto_iter.detector.labels import Scheme
from auto_iter.files import TEMPORARY, write_whole
from auto_iter.millepede.conversion.convert import TrackCuts, convert_files, convert_tracks
from auto_iter.millepede.conversion.statistics import Statistics, total


def convert_by_workers(
    sources: Sequence[Path], binary: Path, scheme: Scheme, cuts: TrackCuts, workers: int
) -> Statistics:
    """Do what `convert_files` does, the same bytes, with up to `workers` processes.

    Each file is converted beside `binary`, then appended and removed. Raises what `convert_files`
    raises, for the first bad file in the order of `sources`.
    """
    workers = min(workers, len(sources))
    if workers <= 1:
        return convert_files(sources, binary, scheme, cuts)
    with write_whole(binary) as sink, _parts_beside(binary) as directory:
        parts = [directory / f"{number}.bin" for number in range(len(sources))]
        with _pool(workers) as pool:
            jobs = [
                pool.submit(_convert_part, source, part, scheme, cuts)
                for source, part in zip(sources, parts, strict=True)
            ]
            try:
                return total(
                    _appended(job.result(), part, sink)
                    for job, part in zip(jobs, parts, strict=True)
                )
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _pool(workers: int) -> ProcessPoolExecutor:
    # forked, they need not import everything once more; nothing here has threads
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))


@contextmanager
def _parts_beside(binary: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(TEMPORARY, f".{binary.name}.", binary.parent) as name:
        yield Path(name)


def _convert_part(source: Path, part: Path, scheme: Scheme, cuts: TrackCuts) -> Statistics:
    with part.open("wb") as sink:
        return convert_tracks(source, sink, scheme, cuts)


def _appended(statistics: Statistics, part: Path, sink: BinaryIO) -> Statistics:
    with part.open("rb") as content:
        size, done = part.stat().st_size, 0
        while done < size:  # within the kernel: the bytes need not come here
            done += os.sendfile(sink.fileno(), content.fileno(), done, size - done)
    part.unlink()
    return statistics
