"""Expressions of sizes: what PyTorch writes is taken, what is code or would never end is not."""

from __future__ import annotations

import time

import pytest
import sympy
import torch.utils._sympy.functions as functions

from edgeopt.formats.torch.symbolic import is_arithmetic

S0, S1 = (sympy.Symbol(name, positive=True, integer=True) for name in ("s0", "s77"))


@pytest.mark.parametrize(
    "size",
    [
        S0, sympy.Integer(-3), 2 * S0 + 1, S0**2 - S1, S0**-1, sympy.Rational(1, 2) * S0,
        functions.FloorDiv(S0 + 1, 2), functions.CeilDiv(S0, 3), functions.PythonMod(S0, S1),
        functions.Max(S0, S1), functions.Min(S0, 7), functions.ModularIndexing(S0, 2, 3),
        functions.IntTrueDiv(S0, S1), functions.CeilToInt(functions.IntTrueDiv(S0, 2)),
        functions.Where(S0 > 2, S0, S1), functions.Mod(S0, 2), sympy.Eq(S0, 3),
        (functions.FloorDiv(S0 - 1, 2) + 1) ** 2 * functions.Max(1, S1),
    ],
    ids=str,
)  # fmt: skip
def test_what_pytorch_writes_is_taken(size: sympy.Basic) -> None:
    assert is_arithmetic(str(sympy.srepr(size)))
    assert is_arithmetic(str(size).replace("(s0 > 2)", "s0 > 2"))


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9", "9**(9**9)", "Pow(9, Pow(9, 9))", "((9**8)**8)**8", "s0**s1", "s0**1.5",
        "Pow(Integer(9), Integer(999999999))", "Pow(2)", "1 << 10**9", "1 << 999999999",
        "LShift(1, 999999999)", "9" * 4000, "9" * 5000, "1" + "+1" * 400, "-" * 9000 + "1",
        "(" * 150 + "1" + ")" * 150 + "+ s0 - " + "Abs(" * 70 + "1" + ")" * 70,
        "Max(" + "s0," * 600 + "1)", "Sum(s0, (s0, 1, 9))", "Product(s0, 9)", "factorial(9)",
        "Function('f')(1)", "S('s0')", "Lambda(s0, s0)", "s0.__class__", "[s0]", "lambda: 1",
        "Integer('1+1')", "print(1)", "open('x')", "x if y else z", "(s0 := 3)", "", "1 2", "\x00",
    ],
    ids=lambda text: repr(text)[:30],
)  # fmt: skip
def test_code_and_what_would_never_end_is_not(text: str) -> None:
    start = time.monotonic()
    assert not is_arithmetic(text)
    assert time.monotonic() - start < 5
