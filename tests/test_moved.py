"""Each test of the build before the packages were parted has one that now holds it.

``moved.json`` lists the tests at commit a7cb67b by file; behind each the one that took its place,
or nothing where it stands where it stood. Cases of a parametrized test count as one.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

HERE = Path(__file__).parent
TESTS = json.loads((HERE / "moved.json").read_text())


def names(path: Path) -> set[str]:
    """Tests of a module, those of a class behind its name; a class that inherits its tests has
    those of the kit that is named alike."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            kits = [HERE.parent / "edgeopt" / "testing" / f"{base}.py" for base in kits_of(node)]
            for body in (node.body, *(kit_body(kit) for kit in kits if kit.exists())):
                methods = (each.name for each in body if isinstance(each, ast.FunctionDef))
                found |= {f"{node.name}::{name}" for name in methods}
            found.add(f"{node.name}::runTest")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.add(f"{node.targets[0].id}::runTest")  # of a state machine
    return found


def kits_of(node: ast.ClassDef) -> list[str]:
    bases = (base.id for base in node.bases if isinstance(base, ast.Name))
    return [f"{base.removesuffix('Conformance').lower()}s" for base in bases]


def kit_body(path: Path) -> list[ast.stmt]:
    classes = (each for each in ast.parse(path.read_text()).body if isinstance(each, ast.ClassDef))
    return [statement for each in classes for statement in each.body]


def test_every_test_is_still_held() -> None:
    absent = []
    held: dict[str, set[str]] = {}
    for file, tests in TESTS.items():
        for name, now in tests.items():
            where, _, test = (now or f"{file}::{name}").partition("::")
            if where not in held:
                path = HERE.parent / where
                held[where] = names(path) if path.exists() else set()
            if test not in held[where]:
                absent.append(f"{file}::{name} -> {where}::{test}")
    assert not absent
