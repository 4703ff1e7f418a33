"""Counts of the code's structure, as a table for docs/architecture.md.

    python benchmarks/structure.py

Circles are strongly connected parts of the graph of imports, imports inside functions included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import networkx

ROOT = Path(__file__).parents[1]
LONG = 60  # lines of a function


def main() -> None:
    files = {name(path): path for path in sorted((ROOT / "edgeopt").rglob("*.py"))}
    trees = {each: ast.parse(path.read_text()) for each, path in files.items()}
    lines = [len(path.read_text().splitlines()) for path in files.values()]
    functions = [node for tree in trees.values() for node in ast.walk(tree) if is_function(node)]
    inside = {each: list(imports_inside(tree)) for each, tree in trees.items()}
    graph = networkx.DiGraph()
    for each, tree in trees.items():
        graph.add_edges_from((each, other) for other in imported(each, tree, set(files)))
    circles = [part for part in networkx.strongly_connected_components(graph) if len(part) > 1]
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    modules = [path for path in files.values() if path.stem != "__init__"]
    tested = [path for path in modules if path.stem in tests]
    rows = [
        ("modules", f"{len(files)}"),
        ("lines of a module, median and most", f"{median(lines):.0f}, {max(lines)}"),
        ("functions", f"{len(functions):,}"),
        (f"functions of more than {LONG} lines", f"{sum(length(f) > LONG for f in functions)}"),
        ("imports inside functions", f"{sum(map(len, inside.values()))}"),
        ("circles of imports", f"{len(circles)}"),
        ("modules with a test module of their name", f"{len(tested) / len(modules):.0%}"),
    ]
    print("| what | count |\n| --- | --- |")
    for what, count in rows:
        print(f"| {what} | {count} |")


def name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def length(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


def imports_inside(tree: ast.AST) -> Iterator[ast.AST]:
    found = {}
    for function in filter(is_function, ast.walk(tree)):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found[node.lineno] = node
    return iter(found.values())


def imported(module: str, tree: ast.AST, known: set[str]) -> Iterator[str]:
    """The modules of the package that one imports, but for types alone."""
    typed = {id(node) for branch in ast.walk(tree) if is_type_checking(branch)
             for node in ast.walk(branch)}  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [each if each in known else node.module for each in names]
        else:
            continue
        yield from (each for each in names if each in known and each != module)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


if __name__ == "__main__":
    main()
