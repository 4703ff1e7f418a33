"""What a YAML file may hold, and where what it may not hold stands."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from edgeopt.schema.errors import RecipeError
from edgeopt.yaml_lines import read_yaml
from edgeopt.yaml_values import DEEPEST, FaultError, values_and_lines

DEEP = 10_000


def laughs(item: str, many: str) -> str:
    """Nine levels, each nine times the one before: 3.5e9 values in a kilobyte."""
    lines = [f"a0: &a0 {item}"]
    for level in range(9):
        each = [f"*a{level}"] * 9
        parts = [f"k{i}: {alias}" for i, alias in enumerate(each)] if many == "{}" else each
        lines.append(f"a{level + 1}: &a{level + 1} {many[0]}{', '.join(parts)}{many[-1]}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a: &b {x: 1}\nc: *b", {"a": {"x": 1}, "c": {"x": 1}}),
        ("a: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}", {"a": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}),
        ("c: {y: 3, <<: [{x: 1}, {x: 2, z: 4}]}", {"c": {"y": 3, "x": 1, "z": 4}}),
        ("c: {<<: {<<: {x: 1}, y: 2}}", {"c": {"x": 1, "y": 2}}),
        ("'<<': {x: 1}", {"<<": {"x": 1}}),
        ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        ("[!!str 3, !!int '3', !!float 3, !!bool 'true', !!null '', ! 4]", "3 3 3.0 True None 4"),
        ("[0x1F, 0o17, 0b11, 010, 1_000, -5, +7]", [31, 15, 3, 10, 1000, -5, 7]),
        ("[1.5, .5, 1e3, 1_0.5, -2.]", [1.5, 0.5, 1000.0, 10.5, -2.0]),
        ("[true, FALSE, ~, null, yes, 'true']", [True, False, None, None, "yes", "true"]),
        ("[2001-01-01, 2001-99-99, 1.2.3, 0x, e5, .]", "2001-01-01 2001-99-99 1.2.3 0x e5 ."),
        ("%YAML 1.1\n---\na: yes", {"a": "yes"}),
        ("a: |\n  3\nb: >-\n  x\n  y", {"a": "3\n", "b": "x y"}),
        ("", None), ("# nothing", None), ("--- x\n...", "x"),
        ("[" * (DEEPEST - 1) + "]" * (DEEPEST - 1), None),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_may_be_written(text: str, values: Any) -> None:
    found, _ = values_and_lines(text)
    if text.startswith("[["):
        assert len(found) == 1
    elif isinstance(values, str) and isinstance(found, list):
        assert " ".join(map(str, found)) == values
    else:
        assert found == values
        assert isinstance(found, dict) or repr(found) == repr(values), "True is no 1"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: !!omap [x: 1]", 2, "the tag '!!omap' cannot be used"),
        ("a: 1\nb: !!set {x}", 2, "the tag '!!set'"),
        ("a: !!pairs [x: 1]", 1, "the tag '!!pairs'"),
        ("a: !!binary aGk=", 1, "the tag '!!binary'"),
        ("a: !!timestamp 2001-01-01", 1, "the tag '!!timestamp'"),
        ("a: !own {x: 1}", 1, "the tag '!own'"),
        ("a: !!map [1]", 1, "the tag '!!map'"),
        ('a:\n  !!python/object/apply:os.system ["echo"]', 2, "the tag '!!python"),
        ("a: !!int abc", 1, "'abc' is no int"),
        ("a: !!bool abc", 1, "'abc' is no bool"),
        ("a: !!float abc", 1, "'abc' is no float"),
        ("a: !!null abc", 1, "'abc' is no null"),
        ("a: 1\n1: x", 2, "keys are words, not '1'"),
        ("a: {1.5: x}", 1, "keys are words, not '1.5'"),
        ("~: x", 1, "keys are words"),
        ("true: x", 1, "keys are words"),
        ("? [a, b]\n: x", 1, "keys are words, not a list"),
        ("? {a: b}\n: x", 1, "keys are words, not a map"),
        (f"? {'k' * 1000}\n: 1", 1, "a key of more than 500 characters"),
        ("a: 1\nb: 2\na: 3", 3, "duplicate key 'a'"),
        ("a: *nope", 1, "undefined alias 'nope'"),
        ("a: 1\nb: &b [*b]", 2, "inside what it names"),
        ("a: &b\n  <<: *b", 2, "inside what it names"),
        ("a:\n  <<: 3", 2, "merges a map"),
        ("a:\n  <<: [{x: 1}, 3]", 2, "merges a map"),
        (f"a: 1\nb: {'9' * 5000}", 2, "an integer of more than 64 bits: 9"),
        (f"a: 0x{'f' * 5000}", 1, "an integer of more than 64 bits"),
        (f"a: {2**63}", 1, "an integer of more than 64 bits"),
        ("a: 1\nb: 1e999", 2, "a number that is not finite"),
        (f"a: 1{'0' * 400}.0", 1, "a number that is not finite"),
        ("a: .inf", 1, "a number that is not finite"),
        ("a: -.INF", 1, "a number that is not finite"),
        ("a: .nan", 1, "a number that is not finite"),
        ("a: 1\n---\nb: 2", 3, "another document"),
        (f"%YAML 1.{'9' * 5000}\n---\na: 1", 1, ""),
        ("%YAML 9.9\n---\na: 1", 1, "version"),
        ('a: "\\Uffffffff"', 1, ""),
        ('a: "\\ud800"', 1, "half of a surrogate pair"),
        ("a: 1\nb: " + "[" * DEEP + "]" * DEEP, 2, "nested deeper"),
        ("a: 1\nb: " + "[" * DEEP, 2, "nested deeper"),
        ("a: 1\nb: " + "{a: " * DEEP + "}" * DEEP, 2, "nested deeper"),
        ("a: 1\nb:\n" + "- " * DEEP + "x", 3, "nested deeper"),
        ("a:\n" + "".join(f"{' ' * (i + 1)}a:\n" for i in range(500)), DEEPEST, "nested deeper"),
        ("b0: &b0 [1]\n" + "".join(f"b{i}: &b{i} [*b{i - 1}]\n" for i in range(1, 99)),
         1, "nested deeper"),
        (laughs("[x, y, z]", "[]"), 2, "more than 20,000 values, aliases included"),
        (laughs("{x: 1}", "{}"), 2, "more than 20,000 values"),
        ("a0: &a0 {x: 1}\n" + "".join(
            f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 9)}]}}\n" for i in range(9)
         ), 2, "more than 20,000 values"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_may_not_be_written_has_a_line_and_is_refused_at_once(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    path, start = tmp_path / "a.yaml", time.monotonic()
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_yaml(path, RecipeError)
    assert message in caught.value.what and len(str(caught.value)) < 400 + len(str(path))
    assert caught.value.where == f"{path}:{line}"
    assert time.monotonic() - start < 30


def test_a_file_has_a_size(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: " + "x" * (1 << 19))
    with pytest.raises(RecipeError, match="a file of more than 262,144 bytes"):
        read_yaml(path, RecipeError)


def test_lines_of_what_is_merged_are_those_where_it_stands() -> None:
    values, lines = values_and_lines("a: &b\n  x: 1\n  y: [2]\nc:\n  <<: *b\n  x: 3\nd: *b\n")
    assert values["c"] == {"x": 3, "y": [2]}
    assert (lines["c.x"], lines["c.y"], lines["c.y.0"], lines["d"], lines["d.x"]) == (6, 3, 3, 7, 2)


def test_whatever_is_damaged_is_read_or_refused() -> None:
    """Seeded: bytes of a recipe replaced, removed and repeated."""
    base = (
        "model: &m {format: torch, weights: [a, 'b', \"c\"]}\ndata:\n  <<: *m\n  inputs: !!map\n"
        "    image: images\nlimits: {time: 1.5e3, n: 0x1F, flag: true}\npasses:\n- a\n- b: ~\n"
    )
    drawn = random.Random(7)
    for _ in range(300):
        text = base
        for _ in range(drawn.randint(1, 4)):
            at = drawn.randrange(len(text))
            piece = drawn.choice(
                ["", *"&*!<>{}[]:-?|%@`\"'\n\t# \x00\ud800", text[at : at + 9] * 3]
            )
            text = text[:at] + piece + text[at + drawn.randint(0, 3) :]
        try:
            values_and_lines(text)
        except FaultError as fault:
            assert fault.what and len(fault.what) < 300
