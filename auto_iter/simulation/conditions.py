"""The conditions database of the stand-in, with production's files, calls and tables.

`WriteAlignmentConfig` leaves constants in a pool file, its name in `PoolFileCatalog.xml` and a
reference to it in a small SQLite database; `AtlCoolCopy` copies that reference into `ALLP200.db`
under the tag that it is told; reconstruction goes from its global tag to the folder's tag to the
pool file. As in production nothing complains when that tag has no constants of ours: it is then
the detector of the release, here an aligned one. Tables and columns are COOL's, as far as anybody
looks at them; what is inside the pool file is the stand-in's own.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

from auto_iter.detector.constants import Constants, parse_constants
from auto_iter.errors import InputError

GEOMETRIES = ("01", "02", "03", "04", "05", "06")
PROPERTY = "AlignDbTool.AlignmentConstants="
_TRACKER, _ALIGN = 1, 2
"""Nodes of the folder set and of the folder; the root is 0."""
_TABLES = """
CREATE TABLE IF NOT EXISTS {0}_NODES (
    NODE_ID INTEGER PRIMARY KEY, NODE_FULLPATH TEXT, FOLDER_IOVTABLENAME TEXT);
CREATE TABLE IF NOT EXISTS {0}_TAGS (
    NODE_ID INTEGER, TAG_ID INTEGER, TAG_NAME TEXT UNIQUE, PRIMARY KEY (NODE_ID, TAG_ID));
CREATE TABLE IF NOT EXISTS {0}_TAG2TAG (
    PARENT_NODEID INTEGER, PARENT_TAGID INTEGER, CHILD_NODEID INTEGER, CHILD_TAGID INTEGER,
    PRIMARY KEY (PARENT_NODEID, PARENT_TAGID, CHILD_NODEID, CHILD_TAGID));
CREATE TABLE IF NOT EXISTS {0}_F0002_IOVS (USER_TAG_ID INTEGER PRIMARY KEY, POOLREF TEXT);
INSERT OR IGNORE INTO {0}_NODES VALUES
    (0, '/', NULL), (1, '/Tracker', NULL), (2, '/Tracker/Align', '{0}_F0002_IOVS');
"""
_CONNECTION = re.compile(r"sqlite://;schema=(?P<path>[^;]+);dbname=(?P<dbname>\w+)")
_ALIGNED = "0" * 32
"""The pool file of the release, which nobody has: a detector where it should be."""
_REFERENCE = re.compile(r"\[DB=([0-9A-F]+)\]")


def parse_property(argument: str) -> Constants:
    """Return the constants of `AlignDbTool.AlignmentConstants={"10": [six numbers], …}`."""
    value = argument.removeprefix(PROPERTY).strip()
    if not (argument.startswith(PROPERTY) and value.startswith("{") and value.endswith("}")):
        raise InputError(f"expected {PROPERTY}{{…}}, got {argument[:60]!r}")
    return parse_constants(value[1:-1], "alignment constants")


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
    # The writer's own tag comes from the geometry's name; AtlCoolCopy -ot gives another.
    _store(directory / f"FASER-{geometry}_ALLP200.db", "CONDBR3", "TRACKER-ALIGNNU-04", pool_id)


def write_release(path: Path) -> None:
    """Write the database of the stand-in's DBRelease: tags of all geometries, no constants."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_TABLES.format("CONDBR3"))
        for number in map(int, GEOMETRIES):
            names = ((0, "OFLCOND-FASER"), (_TRACKER, "TRACKER"), (_ALIGN, "TRACKER-ALIGN"))
            tags = [(node, number, f"{name}-{number:02d}") for node, name in names]
            database.executemany("INSERT OR IGNORE INTO CONDBR3_TAGS VALUES (?, ?, ?)", tags)
            links = [(0, number, _TRACKER, number), (_TRACKER, number, _ALIGN, number)]
            database.executemany("INSERT OR IGNORE INTO CONDBR3_TAG2TAG VALUES (?, ?, ?, ?)", links)
            database.execute(
                "INSERT OR IGNORE INTO CONDBR3_F0002_IOVS VALUES (?, ?)",
                (number, _reference(_ALIGNED)),
            )


def _reference(pool_id: str) -> str:
    return f"[DB={pool_id}][CNT=ConditionsContainer]"


def copy_tag(source: str, target: str, tag: str) -> None:
    """Copy the one alignment in `source` to `target`, under `tag`.

    Both are `sqlite://;schema=PATH;dbname=NAME`.
    """
    path, dbname = _existing(target)
    ids = list(tags_in(source).values())
    if not ids:
        raise InputError(f"{source} holds no alignment")
    _store(path, dbname, tag, ids[-1])


def tags_in(connection: str) -> dict[str, str]:
    """Return the pool file's id by tag of the folder."""
    path, dbname = _existing(connection)
    query = (
        f"SELECT TAG_NAME, POOLREF FROM {dbname}_TAGS JOIN {dbname}_F0002_IOVS"  # noqa: S608
        " ON USER_TAG_ID = TAG_ID WHERE NODE_ID = ?"
    )
    try:
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute(query, (_ALIGN,)).fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{path} is no conditions database: {error}") from error
    found = {tag: _REFERENCE.search(reference) for tag, reference in rows}
    return {tag: match[1] for tag, match in found.items() if match}


def read_alignment(conditions: Path, global_tag: str) -> Constants:
    """Return the constants that `conditions` (ATLAS_POOLCOND_PATH) holds for `global_tag`.

    None where its tag has just the release's. Raises InputError when a link from the database
    to the pool file is missing.
    """
    database = conditions / "sqlite200" / "ALLP200.db"
    tags = tags_in(f"sqlite://;schema={database};dbname=CONDBR3")
    tag = global_tag.replace("OFLCOND-FASER", "TRACKER-ALIGN")
    if tag not in tags:
        raise InputError(f"{database} knows no global tag {global_tag}")
    pool_id = tags[tag]
    if pool_id == _ALIGNED:
        return {}
    pool = (
        conditions / "poolcond" / _file_name(conditions / "poolcond/PoolCat_oflcond.xml", pool_id)
    )
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


def _existing(connection: str) -> tuple[Path, str]:
    match = _CONNECTION.fullmatch(connection)
    if match is None:
        raise InputError(f"not a connection string: {connection!r}")
    path = Path(match["path"])
    if not path.is_file():
        raise InputError(f"no such database: {path}")
    return path, match["dbname"]


def _store(path: Path, dbname: str, tag: str, pool_id: str) -> None:
    try:
        with closing(sqlite3.connect(path)) as database, database:
            database.executescript(_TABLES.format(dbname))
            database.execute(
                f"INSERT OR IGNORE INTO {dbname}_TAGS SELECT ?, 1 + COALESCE(MAX(TAG_ID), 0), ?"  # noqa: S608
                f" FROM {dbname}_TAGS",
                (_ALIGN, tag),
            )
            database.execute(
                f"INSERT OR REPLACE INTO {dbname}_F0002_IOVS"  # noqa: S608
                f" SELECT TAG_ID, ? FROM {dbname}_TAGS WHERE TAG_NAME = ?",
                (_reference(pool_id), tag),
            )
    except sqlite3.Error as error:
        raise InputError(f"cannot write database {path}: {error}") from error
