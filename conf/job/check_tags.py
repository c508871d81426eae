"""Looks at what the steps of a reconstruction job did with the alignment, not at what they say.

    check_tags.py folder DATABASE DBNAME            does it hold an alignment at all?
    check_tags.py tag DATABASE DBNAME TAG CATALOGUE does it hold that pool file under this tag?
    check_tags.py reads DATABASE DBNAME TAG GLOBAL  does the global tag lead to this tag?
    check_tags.py leading DATABASE DBNAME TAG       which global tags lead to this tag?
    check_tags.py global LOG                        which global tag did the reconstruction take?

DATABASE is a COOL database in SQLite, CATALOGUE a PoolFileCatalog.xml. Exit codes: 0 yes, 1 no (and
why, on stderr), 2 the question cannot be answered here. Runs in Calypso's python, so it needs
nothing else.
"""

from __future__ import annotations

import pathlib
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable

FOLDER = "/Tracker/Align"
YES, NO, CANNOT_TELL = 0, 1, 2
POOL_REFERENCE = re.compile(r"\[DB=([0-9A-Fa-f-]+)\]")
POOL_FILE = re.compile(r"<File\s+ID=\"([0-9A-Fa-f-]+)\"")

# IOVDbSvc's line, and the reconstruction script's when --cond overrides it; the last one counts.
GLOBAL_TAG = re.compile(
    r"Global tag: (\S+) set from|[Ss]et global tag to (\S+)|GlobalTag *= *[\"']?(OFLCOND[\w-]+)"
)


def main(arguments: list[str]) -> int:
    """Answer one question."""
    question, *rest = arguments
    try:
        return QUESTIONS[question](*rest)
    except sqlite3.OperationalError as error:
        return cannot_tell(f"{rest[0]} cannot be asked: {error}")
    except sqlite3.DatabaseError as error:
        return no(f"{rest[0]} is no readable database: {error}")


def no(why: str) -> int:
    """Say no, and why."""
    print(f"check_tags.py: {why}", file=sys.stderr)
    return NO


def cannot_tell(why: str) -> int:
    """Leave the question open, and say why."""
    print(f"check_tags.py: {why}", file=sys.stderr)
    return CANNOT_TELL


def folder(database: str, dbname: str) -> int:
    """Tell whether there is an alignment folder."""
    if Cool(database, dbname).node is None:
        return no(f"{database} has no {FOLDER} in {dbname}")
    return YES


def tag(database: str, dbname: str, name: str, catalogue: str) -> int:
    """Tell whether the folder has the tag, and refers to the pool file that was written."""
    cool = Cool(database, dbname)
    if cool.node is None:
        return no(f"{database} has no {FOLDER} in {dbname}")
    if name not in cool.tags().values():
        known = ", ".join(sorted(cool.tags().values())) or "none"
        return no(f"{database} has no tag {name} of {FOLDER}; it has: {known}")
    # A release has such a tag from the beginning: what was copied is known by its pool file.
    written = {each.upper() for each in POOL_FILE.findall(pathlib.Path(catalogue).read_text())}
    referred = cool.pool_files()
    if not written or not referred:
        return cannot_tell(f"{database}: which pool file {FOLDER} refers to is not to be seen")
    if not written & referred:
        return no(f"{FOLDER} in {database} does not refer to the pool file in {catalogue}")
    return YES


def reads(database: str, dbname: str, name: str, asked: str) -> int:
    """Tell whether the global tag `asked` leads to the folder's tag `name`."""
    found = Cool(database, dbname).led_to(asked)
    if not found:
        return cannot_tell(f"{database} knows no {FOLDER} for {asked}")
    if found != {name}:
        return no(f"{asked} leads to {', '.join(sorted(found))}, not to {name}")
    return YES


def leading(database: str, dbname: str, name: str) -> int:
    """Print the global tags that lead to the folder's tag `name`."""
    cool = Cool(database, dbname)
    found = [asked for asked in cool.global_tags() if cool.led_to(asked) == {name}]
    print(" ".join(sorted(found)))
    return YES if found else NO


def global_tag(log: str) -> int:
    """Print the global tag that a reconstruction's log names."""
    text = pathlib.Path(log).read_text(errors="replace")
    found = [next(filter(None, groups)) for groups in GLOBAL_TAG.findall(text)]
    print(found[-1] if found else "")
    return YES if found else CANNOT_TELL


class Cool:
    """The tags of one COOL database: a global one leads to one of each folder set, to a folder's.

    Tables and columns are those that COOL's relational schema gives to every database DBNAME.
    """

    def __init__(self, path: str, dbname: str) -> None:
        uri = pathlib.Path(path).absolute().as_uri()
        self._database = sqlite3.connect(f"{uri}?mode=ro", uri=True)
        self._dbname = dbname
        self.node: int | None = None
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master")}
        if f"{dbname}_NODES" in tables:
            query = "NODE_ID FROM {}_NODES WHERE NODE_FULLPATH = ?"
            self.node = next((node for (node,) in self._select(query, FOLDER)), None)

    def _select(self, query: str, *values: object) -> Iterable[tuple]:  # type: ignore[type-arg]
        return self._database.execute("SELECT " + query.format(self._dbname), values)

    def tags(self) -> dict[int, str]:
        """Return the folder's tags by number."""
        query = "TAG_ID, TAG_NAME FROM {}_TAGS WHERE NODE_ID = ?"
        return dict(self._select(query, self.node))

    def global_tags(self) -> list[str]:
        """Return the tags of the root."""
        return [name for (name,) in self._select("TAG_NAME FROM {}_TAGS WHERE NODE_ID = 0")]

    def pool_files(self) -> set[str]:
        """Return the ids of all pool files that the folder refers to, under whatever tag."""
        tables = self._select("FOLDER_IOVTABLENAME FROM {}_NODES WHERE NODE_ID = ?", self.node)
        found = set()
        for (table,) in list(tables):
            for row in self._select(f'* FROM "{table}"'):
                cells = " ".join(cell for cell in row if isinstance(cell, str))
                found |= {each.upper() for each in POOL_REFERENCE.findall(cells)}
        return found

    def led_to(self, asked: str) -> set[str]:
        """Return the folder's tags that the tag `asked`, of whatever node, leads to."""
        fresh = set(self._select("NODE_ID, TAG_ID FROM {}_TAGS WHERE TAG_NAME = ?", asked))
        reached = set(fresh)
        while fresh:
            fresh = {child for parent in fresh for child in self._children(*parent)} - reached
            reached |= fresh
        names = self.tags()
        return {names[tag_id] for node, tag_id in reached if node == self.node and tag_id in names}

    def _children(self, node: int, tag_id: int) -> Iterable[tuple[int, int]]:
        query = (
            "CHILD_NODEID, CHILD_TAGID FROM {}_TAG2TAG WHERE PARENT_NODEID = ? AND PARENT_TAGID = ?"
        )
        return self._select(query, node, tag_id)


QUESTIONS: dict[str, Callable[..., int]] = {
    "folder": folder,
    "tag": tag,
    "reads": reads,
    "leading": leading,
    "global": global_tag,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
