"""What a reconstruction job is told, on every batch system. Pure functions on values."""

from __future__ import annotations

import re
from pathlib import Path

from auto_iter.config.presets import TagChain, tag_chain
from auto_iter.config.schema import Reco
from auto_iter.detector.stations import RECONSTRUCTED_BY
from auto_iter.errors import UsageError

_PLAIN = re.compile(r"[\w./:@%+=,~-]+")


def job_arguments(raw: str, run: int, number: int, stations: int, reco: Reco) -> tuple[str, ...]:
    """Return the arguments of `run_alignment.sh` for one raw file, none with a space or a quote.

    HTCondor's old argument syntax and its `queue ... from` lists take them as they are. Raises
    UsageError when a path or a setting has characters that they do not take.
    """
    chain = tag_chain(reco)
    arguments = (
        "--raw", raw,
        "--run", f"{run:06d}",
        "--file", f"{number:05d}",
        "--writer", Path(chain.writer).name,
        "--schema", chain.sqlite_schema,
        "--dbname", chain.dbname,
        "--pool-file", chain.pool_file,
        "--tag", chain.output_tag,
        "--program", Path(reco.program).name,
        "--", *reconstruction_arguments(stations, reco, chain),
    )  # fmt: skip
    return tuple(_plain(argument) for argument in arguments)


def reconstruction_arguments(stations: int, reco: Reco, chain: TagChain) -> tuple[str, ...]:
    """Return what the reconstruction program is told besides the raw file."""
    arguments = ["--alignment", chain.direction_flag, *RECONSTRUCTED_BY[stations]]
    arguments += ["--output_level", reco.output_level]
    if chain.global_tag:
        arguments += ["--cond", chain.global_tag]
    if chain.geometry:
        arguments += ["--geom", chain.geometry]
    if reco.skip_events:
        arguments += ["--skip", str(reco.skip_events)]
    if reco.events is not None:
        arguments += ["-n", str(reco.events)]
    return (*arguments, *reco.arguments)


def travelling(reco: Reco) -> tuple[Path, ...]:
    """Return the programs that are given as paths: they go with the jobs."""
    return tuple(Path(name) for name in (tag_chain(reco).writer, reco.program) if "/" in name)


def delivering(arguments: tuple[str, ...], directory: str) -> tuple[str, ...]:
    """Return arguments that make the job deliver by itself, on a file system that we share."""
    return ("--deliver", _plain(directory), *arguments)


def through(server: str | None, path: Path) -> str:
    """Return how a job names an absolute path: as it is, or by xrootd through `server`."""
    return str(path) if server is None else f"{server.rstrip('/')}/{path}"


def _plain(argument: str) -> str:
    if not _PLAIN.fullmatch(argument):
        raise UsageError(
            f"job argument {argument!r}: use only letters, digits and ./:@%+=,~-_ in paths and "
            f"reconstruction settings"
        )
    return argument
