"""The programs of the stand-in Calypso, as the job script calls them.

Each takes the command line of the real one as far as the job script uses it, and returns an exit
code; an error is one line on stderr. Numerics are imported by the reconstruction only.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from auto_iter.errors import AutoIterError
from auto_iter.simulation import conditions


def write_alignment_config(geometry: str, arguments: Sequence[str]) -> int:
    """Stand in for `WriteAlignmentConfig_Faser04.py PROPERTY`; its files are named `geometry`."""
    parser = _parser("WriteAlignmentConfig")
    parser.add_argument("property")
    parsed = parser.parse_args(arguments)
    return _reported(parser.prog, lambda: _write(geometry, parsed.property))


def read_alignment_config(arguments: Sequence[str]) -> int:
    """Print the constants that TAG leads to, as an `inputforalign.txt`: what `reco.reader` does."""
    parser = _parser("ReadAlignmentConfig.py")
    parser.add_argument("tag")
    parsed = parser.parse_args(arguments)
    return _reported(parser.prog, lambda: _read(parsed.tag))


def atl_cool_console(arguments: Sequence[str]) -> int:
    """Stand in for `AtlCoolConsole.py CONNECTION`, which reads commands from stdin."""
    parser = _parser("AtlCoolConsole.py")
    parser.add_argument("connection")
    parsed = parser.parse_args(arguments)
    return _reported(parser.prog, lambda: _console(parsed.connection))


def atl_cool_copy(arguments: Sequence[str]) -> int:
    """Stand in for `AtlCoolCopy SOURCE TARGET -fnp -ot TAG`."""
    parser = _parser("AtlCoolCopy")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("-fnp", action="store_true")
    parser.add_argument("-ot", required=True)
    parsed = parser.parse_args(arguments)
    return _reported(
        parser.prog, lambda: conditions.copy_tag(parsed.source, parsed.target, parsed.ot)
    )


def faser_reco_alignment(arguments: Sequence[str], global_tag: str = "OFLCOND-FASER-05") -> int:
    """Stand in for `faser_reco_alignment.py RAW --alignment --noForward [--noIFT]`.

    Constants come from the conditions database under ATLAS_POOLCOND_PATH, by `global_tag` unless
    `--cond` names another; output goes to the current directory, named after the raw file.
    """
    parser = _parser("faser_reco_alignment.py")
    parser.add_argument("raw", type=Path)
    parser.add_argument("--alignment", action="store_true", required=True)
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument("--noBackward", action="store_true")
    direction.add_argument("--noForward", action="store_true")
    parser.add_argument("--noIFT", action="store_true")
    parser.add_argument("--output_level", default="INFO")
    parser.add_argument("-c", "--cond", default=global_tag)
    parser.add_argument("-g", "--geom")
    parser.add_argument("-n", "--nevents", type=int, default=-1)
    parser.add_argument("--skip", type=int, default=0)
    parsed = parser.parse_args(arguments)
    return _reported(parser.prog, lambda: _reconstruct(parsed))


def _parser(name: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=name, description="Stand-in of auto-iter's simulation.")


def _reported(program: str, action: Callable[[], object]) -> int:
    try:
        action()
    except AutoIterError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{program}: {error.filename}: {error.strerror}\n")
        return 1
    return 0


def _write(geometry: str, argument: str) -> None:
    conditions.write_alignment(Path(), geometry, conditions.parse_property(argument))


def _read(tag: str) -> None:
    constants = conditions.read_alignment(Path(os.environ.get("ATLAS_POOLCOND_PATH", ".")), tag)
    lines = (f'"{key}": {list(values)}' for key, values in constants.items())
    sys.stdout.write(",".join(lines) + "\n")


def _console(connection: str) -> None:
    tags = conditions.tags_in(connection)
    for line in sys.stdin:
        if line.strip() == "exit":
            return
        sys.stdout.write("".join(f"{tag}\n" for tag in tags))


def _reconstruct(parsed: argparse.Namespace) -> None:
    from auto_iter.simulation.reconstruct import reconstruct

    raw: Path = parsed.raw
    sys.stdout.write(f"IOVDbSvc    INFO Global tag: {parsed.cond} set from joboptions\n")
    constants = conditions.read_alignment(
        Path(os.environ.get("ATLAS_POOLCOND_PATH", ".")), parsed.cond
    )
    output = Path(f"{raw.stem}-kfalignment.root")
    stop = parsed.skip + parsed.nevents if parsed.nevents >= 0 else None
    tracks = reconstruct(
        raw, constants, output,
        with_ift=not parsed.noIFT, events=slice(parsed.skip, stop),
    )  # fmt: skip
    Path(f"{raw.stem}-xAOD.root").write_bytes(b"")
    sys.stdout.write(f"{tracks} tracks written to {output}\n")
