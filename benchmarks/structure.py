"""Counts of the code's structure, as a table for docs/architecture.md.

    python benchmarks/structure.py

Circles are strongly connected parts of the graph of imports, imports inside functions included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edgeopt"
LONG = 60  # lines of a function


def main() -> None:
    import networkx  # tests of imports run where it is not installed

    paths = modules()
    lines = [len(path.read_text().splitlines()) for path in paths.values()]
    functions = [node for name in paths for node in ast.walk(tree(name)) if is_function(node)]
    inside = [node for name in paths for node in imports_inside(tree(name))]
    graph = networkx.DiGraph()
    for name in paths:
        graph.add_edges_from((name, other) for other in imported(name) if other in paths)
    circles = [part for part in networkx.strongly_connected_components(graph) if len(part) > 1]
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    with_code = [path for path in paths.values() if path.stem != "__init__"]
    tested = [path for path in with_code if path.stem in tests]
    rows = [
        ("modules", f"{len(paths)}"),
        ("lines of a module, median and most", f"{median(lines):.0f}, {max(lines)}"),
        ("functions", f"{len(functions):,}"),
        (f"functions of more than {LONG} lines", f"{sum(length(f) > LONG for f in functions)}"),
        ("imports inside functions", f"{len(inside)}"),
        ("circles of imports", f"{len(circles)}"),
        ("modules with a test module of their name", f"{len(tested) / len(with_code):.0%}"),
    ]
    print("| what | count |\n| --- | --- |")
    for what, count in rows:
        print(f"| {what} | {count} |")


@cache
def modules() -> dict[str, Path]:
    """Every module of the package, by name."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


@cache
def tree(name: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def length(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


def imports_inside(node: ast.AST) -> set[ast.stmt]:
    """The import statements inside functions."""
    functions = filter(is_function, ast.walk(node))
    return {n for f in functions for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)}


def imported(name: str) -> Iterator[str]:
    """What a module imports, when it is loaded or later, but for types alone."""
    whole = name.split(".")
    package = whole if modules()[name].stem == "__init__" else whole[:-1]
    for statement in _statements(tree(name)):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
            continue
        above = package[: len(package) - statement.level + 1] if statement.level else []
        base = ".".join([*above, *([statement.module] if statement.module else [])])
        for alias in statement.names:
            yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules() else base


def _statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports, wherever they stand, but those for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from _statements(child)


if __name__ == "__main__":
    main()
