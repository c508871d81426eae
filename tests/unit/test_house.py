"""The house in order: small rooms, small modules, and for each class a name of its own."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("auto_iter", "states", "conf")
SOURCES = (*PRODUCT, "tests", "benchmarks", "tools")
MOST_MODULES, MOST_LINES = 15, 300


def modules_of(*folders: str) -> list[Path]:
    return [module for name in folders for module in sorted((ROOT / name).rglob("*.py"))]


def test_no_folder_has_more_modules_than_one_takes_in_at_a_glance() -> None:
    modules = [each for each in modules_of(*PRODUCT) if each.name != "__init__.py"]
    assert len(modules) > 100
    rooms = Counter(str(each.parent.relative_to(ROOT)) for each in modules)
    assert {room: count for room, count in rooms.items() if count > MOST_MODULES} == {}


def test_no_module_is_long() -> None:
    lines = {
        str(each.relative_to(ROOT)): len(each.read_text().splitlines())
        for each in modules_of(*PRODUCT)
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_class_has_the_name_of_another() -> None:
    found = defaultdict(list)
    for module in modules_of(*SOURCES):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{module.relative_to(ROOT)}:{node.lineno}")
    assert len(found) > 100
    assert {name: places for name, places in found.items() if len(places) > 1} == {}
