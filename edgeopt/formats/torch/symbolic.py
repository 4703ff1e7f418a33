"""Sizes in exported programs that are expressions of symbols: arithmetic alone, within bounds.

PyTorch evaluates the text by Python with sympy's names, and sympy computes constants at once:
``9**9**9`` would never end. So length, depth, numbers and powers are bounded beforehand.
"""

from __future__ import annotations

import ast
import re

LONGEST, MOST_NODES, DEEPEST = 10_000, 500, 60  # characters, parts, levels
LARGEST, HIGHEST = 2**63, 8  # a number's size, an exponent
SYMBOL = re.compile(r"[A-Za-z0-9_]+")
PARTS = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Load,
    ast.Constant, ast.keyword, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
POWERS = ("Pow", "PowByNatural")
CALLED = {
    *POWERS, "Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Max", "Min", "Mod",
    "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv", "FloatTrueDiv", "TrueDiv",
    "ModularIndexing", "Where", "CeilToInt", "FloorToInt", "TruncToInt", "TruncToFloat",
    "RoundToInt", "ToFloat", "Identity", "Abs", "Piecewise", "ExprCondPair", "And", "Or", "Not",
    "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "StrictLessThan", "LessThan",
    "StrictGreaterThan", "GreaterThan", "IsNonOverlappingAndDenseIndicator",
}  # fmt: skip


def is_arithmetic(text: str) -> bool:
    """Whether an expression is arithmetic that can be evaluated, and soon."""
    if len(text) > LONGEST or "__" in text:
        return False
    try:
        tree = ast.parse(text, mode="eval")
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return (
        len(nodes) <= MOST_NODES
        and _is_flat(tree)
        and all(isinstance(node, PARTS) and _is_plain(node) for node in nodes)
    )


def _is_flat(tree: ast.AST) -> bool:
    """Whether it is not nested too deeply; looked at level by level."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        number = isinstance(node.value, int | float) and abs(node.value) < LARGEST
        return number or (isinstance(node.value, str) and bool(SYMBOL.fullmatch(node.value)))
    if isinstance(node, ast.Call):
        known = isinstance(node.func, ast.Name) and node.func.id in CALLED
        return known and (not _power(node) or _is_low(node.args))
    if isinstance(node, ast.BinOp):
        shifts = isinstance(node.op, ast.LShift | ast.RShift | ast.MatMult)
        return not shifts and (not _power(node) or _is_low([node.left, node.right]))
    return True


def _power(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in POWERS
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)


def _is_low(sides: list[ast.expr]) -> bool:
    """Whether a base that holds no power is raised to a low, literal exponent."""
    if len(sides) != 2:
        return False
    base, exponent = sides
    if isinstance(exponent, ast.Call) and len(exponent.args) == 1:  # Integer(2)
        exponent = exponent.args[0]
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    low = isinstance(exponent, ast.Constant) and isinstance(exponent.value, int)
    return (
        low
        and 0 <= exponent.value <= HIGHEST  # type: ignore[attr-defined]
        and not any(map(_power, ast.walk(base)))
    )
