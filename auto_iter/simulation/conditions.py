"""The conditions database of the stand-in, with production's files and calls.

`WriteAlignmentConfig` leaves constants in a pool file, its name in `PoolFileCatalog.xml` and its id
under the tag `TRACKER-ALIGN-<geometry>` in a small SQLite database; `AtlCoolCopy` copies that tag
into `ALLP200.db`; reconstruction goes the way back from there. What is inside the pool file and the
tables is the stand-in's own.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

from auto_iter.errors import InputError
from auto_iter.millepede.constants import parse_constants

GEOMETRIES = ("01", "02", "03", "04", "05")
PROPERTY = "AlignDbTool.AlignmentConstants="
_TAG = "TRACKER-ALIGN-"
_TABLE = "CREATE TABLE IF NOT EXISTS tags (tag TEXT PRIMARY KEY, pool_id TEXT NOT NULL)"
_CONNECTION = re.compile(r"sqlite://;schema=(?P<path>[^;]+);dbname=CONDBR3")
Constants = dict[str, list[float]]


def parse_property(argument: str) -> Constants:
    """Return the constants of `AlignDbTool.AlignmentConstants={"10": [six numbers], …}`."""
    value = argument.removeprefix(PROPERTY).strip()
    if not (argument.startswith(PROPERTY) and value.startswith("{") and value.endswith("}")):
        raise InputError(f"expected {PROPERTY}{{…}}, got {argument[:60]!r}")
    parsed = parse_constants(value[1:-1], "alignment constants")
    return {key: list(values) for key, values in parsed.items()}


def write_alignment(directory: Path, geometry: str, constants: Constants) -> None:
    """Write the pool file, its catalogue and its database into `directory`."""
    payload = json.dumps(constants, sort_keys=True)
    pool_id = hashlib.sha256(payload.encode()).hexdigest()[:32].upper()
    pool = directory / f"FASER-{geometry}_Align.pool.root"
    pool.write_text(payload)
    catalogue = ET.Element("POOLFILECATALOG")
    physical = ET.SubElement(ET.SubElement(catalogue, "File", ID=pool_id), "physical")
    ET.SubElement(physical, "pfn", filetype="ROOT_All", name=pool.name)
    ET.ElementTree(catalogue).write(directory / "PoolFileCatalog.xml")
    _store(directory / f"FASER-{geometry}_ALLP200.db", f"{_TAG}{geometry}", pool_id)


def write_release(path: Path) -> None:
    """Write the database of the stand-in's DBRelease: everything but an alignment."""
    _store(path, "TRACKER-CABLING-01", "0" * 32)


def copy_tag(source: str, target: str, tag: str) -> None:
    """Copy `tag` between databases, given as `sqlite://;schema=PATH;dbname=CONDBR3`."""
    _store(_existing(target), tag, tags_in(source).get(tag, ""))


def tags_in(connection: str) -> dict[str, str]:
    """Return pool ids by tag."""
    path = _existing(connection)
    try:
        with closing(sqlite3.connect(path)) as database:
            return dict(database.execute("SELECT tag, pool_id FROM tags"))
    except sqlite3.Error as error:
        raise InputError(f"{path} is no conditions database: {error}") from error


def read_alignment(conditions: Path) -> Constants:
    """Return the constants that `conditions` (ATLAS_POOLCOND_PATH) holds.

    Raises InputError when any link from database to pool file is missing.
    """
    database = conditions / "sqlite200" / "ALLP200.db"
    tags = tags_in(f"sqlite://;schema={database};dbname=CONDBR3")
    ids = [pool_id for tag, pool_id in sorted(tags.items()) if tag.startswith(_TAG)]
    if len(ids) != 1:
        raise InputError(f"{database} has {len(ids)} alignment tags instead of one")
    pool = conditions / "poolcond" / _file_name(conditions / "poolcond/PoolCat_oflcond.xml", ids[0])
    try:
        return parse_property(PROPERTY + pool.read_text())
    except OSError as error:
        raise InputError(f"cannot read pool file {pool}: {error.strerror}") from error


def _file_name(catalogue: Path, pool_id: str) -> str:
    try:
        # our own writer's file, a few lines long, from the job's scratch directory
        root = ET.parse(catalogue).getroot()  # noqa: S314
    except (OSError, ET.ParseError) as error:
        raise InputError(f"cannot read pool catalogue {catalogue}: {error}") from error
    pfn = root.find(f"File[@ID='{pool_id}']/physical/pfn")
    if pfn is None:
        raise InputError(f"pool catalogue {catalogue} does not know {pool_id}")
    return pfn.attrib["name"]


def _existing(connection: str) -> Path:
    match = _CONNECTION.fullmatch(connection)
    if match is None:
        raise InputError(f"not a connection string: {connection!r}")
    path = Path(match["path"])
    if not path.is_file():
        raise InputError(f"no such database: {path}")
    return path


def _store(path: Path, tag: str, pool_id: str) -> None:
    if not pool_id:
        raise InputError(f"no tag {tag} to copy to {path}")
    try:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(_TABLE)
            database.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (tag, pool_id))
    except sqlite3.Error as error:
        raise InputError(f"cannot write database {path}: {error}") from error
