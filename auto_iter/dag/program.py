"""auto-iter as an archive that goes along with a job: for worker nodes that do not have it."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from auto_iter.errors import InputError
from auto_iter.files import write_whole

ARCHIVE = "auto_iter_program.tar.gz"
OURS = ("auto_iter", "states", "conf")
NOT_NEEDED = frozenset({"htcondor", "rich"})
"""What a Millepede node does without: it talks to no schedd, and to no terminal."""


def pack(archive: Path) -> None:
    """Write an archive with our packages and all that they need, as installed here.

    What is compiled in it needs a Python of the same version there. Raises InputError where
    something is not installed, OSError.
    """
    with write_whole(archive) as sink, tarfile.open(None, "w:gz", sink, compresslevel=1) as tar:
        for package in OURS:
            tar.add(_place(package), arcname=package, filter=_source)
        for each in _needed("auto-iter", set()):
            for file in each.files or ():
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    tar.add(str(each.locate_file(file)), arcname=str(file))


def _place(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"the package {package} is not where Python could say where it is")
    return Path(spec.origin).parent


def _source(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member


def _needed(name: str, seen: set[str]) -> Iterator[Distribution]:
    """Yield the distributions that one needs, without itself and its extras."""
    for requirement in _distribution(name).requires or ():
        wanted = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0].lower()
        if "extra ==" in requirement or wanted in seen | NOT_NEEDED:
            continue
        seen.add(wanted)
        try:
            yield _distribution(wanted)
        except InputError:
            if ";" in requirement:  # for another platform or version
                continue
            raise
        yield from _needed(wanted, seen)


def _distribution(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise InputError(
            f"{name} is not installed, so it cannot go along", "install it, or set dag.travel=false"
        ) from None
