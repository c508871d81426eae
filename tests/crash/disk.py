"""A disk that keeps only what it must: the model of a power cut.

After a cut a file has the content of its last fsync, nothing if there was none; a directory has the
entries of its last fsync. A file or directory that was made is there once it, or something in it,
was synced; a file that was renamed has its new name only when the directory was synced afterwards,
and what was removed is back until then. Real disks keep more; none promises it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Node = tuple[int, int]
"""An inode, and the how-manieth file that has this number."""

Tree = dict[str, tuple[str, ...]]
"""Path → kind, and what there is to say of it (blob, mode, time of a file; a link's target)."""


@dataclass
class Disk:
    """What is durable so far."""

    kept: dict[Node, tuple[str, int, int]] = field(default_factory=dict)
    entries: dict[Node, dict[str, tuple[str, Node, str]]] = field(default_factory=dict)
    generation: Counter[int] = field(default_factory=Counter)
    unsynced_names: set[tuple[Node, str]] = field(default_factory=set)
    root: Node | None = None

    def apply(self, op: Mapping[str, Any]) -> None:
        """Take the next thing that happened."""
        match op["op"]:
            case "file":
                node = self._reach(op["path"], "file")
                self.kept[node] = tuple(op["kept"])
            case "directory":
                node = self._reach(op["path"], "directory")
                self.entries[node] = {
                    name: (kind, self._node(inode), target)
                    for name, (kind, inode, target) in op["entries"].items()
                }
                self.unsynced_names -= {each for each in self.unsynced_names if each[0] == node}
            case "rename":
                self.unsynced_names.add((self._node(op["directory"]), op["name"]))
        if op.get("gone") is not None:
            self.generation[op["gone"]] += 1

    def _node(self, inode: int) -> Node:
        return inode, self.generation[inode]

    def _reach(self, path: list[tuple[str, int]], kind: str) -> Node:
        """Make the way to what was synced durable, as far as it was made and not renamed."""
        above = self._node(path[0][1])
        self.root = self.root or above
        for at, (name, inode) in enumerate(path[1:], start=1):
            node = self._node(inode)
            if (above, name) not in self.unsynced_names:
                is_last = at == len(path) - 1
                entry = (kind if is_last else "directory", node, "")
                self.entries.setdefault(above, {})[name] = entry
            above = node
        return above

    def tree(self) -> Tree:
        """Return all that is there after a power cut."""
        return dict(self._below(self.root, "")) if self.root is not None else {}

    def _below(self, node: Node, where: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, (kind, inner, target) in sorted(self.entries.get(node, {}).items()):
            path = f"{where}{name}"
            if kind == "directory":
                yield path, (kind,)
                yield from self._below(inner, f"{path}/")
            elif kind == "link":
                yield path, (kind, target)
            else:
                yield path, (kind, *map(str, self.kept.get(inner, ("", 0o644, 0))))


def read_log(record: Path) -> list[dict[str, Any]]:
    """Return everything that was recorded, in order."""
    log = record / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def restore(tree: Tree, record: Path, root: Path) -> None:
    """Make the directory `root` what the disk holds after a power cut."""
    root.mkdir(parents=True, exist_ok=True)
    for old in root.iterdir():  # the directory itself may be a mount
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for path, (kind, *rest) in tree.items():
        where = root / path
        if kind == "directory":
            where.mkdir()
        elif kind == "link":
            where.symlink_to(rest[0])
        else:
            blob, mode, when = rest
            where.write_bytes((record / "blobs" / blob).read_bytes() if blob else b"")
            where.chmod(int(mode))
            if blob:
                os.utime(where, ns=(int(when), int(when)))


@dataclass(frozen=True)
class Disks:
    """What power cuts leave: before the first side effect, and after each.

    `different` are the trees, each once; `after[k]` says which of them is there once k side effects
    were done. Before side effect k there is what k - 1 left.
    """

    different: list[Tree]
    after: list[int]

    def around(self, effect: int) -> tuple[int, int]:
        """Return which disks a cut right before and right after a side effect (from 1) leaves."""
        return self.after[effect - 1], self.after[effect]


def disks(log: list[dict[str, Any]]) -> Disks:
    """Return the disks that power cuts leave. Equal ones count once: going on is the same."""
    disk, found = Disk(), Disks([], [])
    numbers: dict[str, int] = {}
    for op in (None, *log):
        if op is not None:
            disk.apply(op)
        tree = disk.tree()
        number = numbers.setdefault(json.dumps(tree, sort_keys=True), len(numbers))
        if number == len(found.different):
            found.different.append(tree)
        found.after.append(number)
    return found
