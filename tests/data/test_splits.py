from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.data.splits import Selection, parse_selection
from edgeopt.schema.errors import UsageError

BOUND = st.none() | st.integers(-50, 50)
SELECTIONS = st.builds(
    Selection,
    split=st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True),
    start=BOUND,
    stop=BOUND,
    step=BOUND.filter(lambda step: step != 0),
)


@given(SELECTIONS)
def test_a_selection_reads_back_what_it_writes(selection: Selection) -> None:
    assert parse_selection(str(selection)) == selection


@given(SELECTIONS, st.integers(0, 40))
def test_a_selection_means_what_python_means(selection: Selection, n: int) -> None:
    bounds = (selection.start, selection.stop, selection.step)
    assert list(selection.indices(n)) == list(range(n))[slice(*bounds)]


@given(st.text(max_size=20))
def test_any_text_is_a_selection_or_a_usage_error(text: str) -> None:
    try:
        selection = parse_selection(text)
    except UsageError:
        return
    assert parse_selection(str(selection)) == selection


@pytest.mark.parametrize(
    "text", ["", "train[", "train[]", "train[:512", "train[a:b]", "train[1:2:3:4]", "2train", "a.b"]
)
def test_nonsense_is_a_usage_error_that_quotes_it(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read selection") as caught:
        parse_selection(text, where="recipe.yaml:9")
    assert f"'{text}'" in caught.value.what
    assert caught.value.where == "recipe.yaml:9"


def test_one_index_is_answered_with_the_slice_that_was_meant() -> None:
    with pytest.raises(UsageError) as caught:
        parse_selection("train[5]")
    assert "'train[5:6]'" in caught.value.hint


def test_a_step_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="zero"):
        parse_selection("train[::0]")
