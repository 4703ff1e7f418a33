"""The one door to what is loaded late: each name behind it is there, and none is loaded early."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from edgeopt.cli import lazy

USED = sorted(
    {
        node.attr
        for path in Path(lazy.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "lazy"
    }
)


@pytest.mark.parametrize("name", USED)
def test_what_commands_ask_for_is_a_module(name: str) -> None:
    found = getattr(lazy, name)
    assert found is import_module(found.__name__) and found.__name__.endswith(name)


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'os'"):
        lazy.os  # noqa: B018


def test_commands_load_nothing_before_they_run() -> None:
    heavy = ["numpy", "rich", "edgeopt.api", "edgeopt.step", "edgeopt.store"]
    script = (
        "import sys, edgeopt.cli, edgeopt.cli.optimize\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
