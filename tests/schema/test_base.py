from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgeopt.schema.base import Noun, canonical, counted, digest_of, printable


class Point(Noun):
    x: int
    y: int = 0


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers()))
def test_the_order_of_keys_changes_no_digest(value: dict[str, int]) -> None:
    turned = dict(reversed(list(value.items())))
    assert canonical(value) == canonical(turned)
    assert digest_of(value) == digest_of(turned)
    assert json.loads(canonical(value)) == value


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("inf")]}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of(value)


def test_a_digest_tells_values_apart_that_print_alike() -> None:
    assert len({digest_of(value) for value in (1, "1", [1], {"1": 1}, True, None)}) == 6


def test_a_noun_is_frozen_and_closed() -> None:
    point = Point(x=1)
    with pytest.raises(ValidationError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Point.model_validate({"x": 1, "z": 3})
    assert Point.model_validate(point.to_json()) == point


@pytest.mark.parametrize(
    ("n", "told"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (12345, "12,345 jobs")]
)
def test_one_is_told_as_one(n: int, told: str) -> None:
    assert counted(n, "job") == told


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert all(char.isprintable() or char in "\n\t" for char in shown)
    assert printable(shown) == shown


def test_control_characters_are_told_as_escapes_and_words_stay() -> None:
    assert printable("naïve \x1b[31m\u202e\ud800\n") == "naïve \\x1b[31m\\u202e\\ud800\n"
