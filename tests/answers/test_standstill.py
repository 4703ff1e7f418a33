from __future__ import annotations

import numpy as np
import pytest
from nearness import drawn

from edgeopt.answers.profile import profile
from edgeopt.answers.standstill import check_moves
from edgeopt.schema.errors import ModelError

SOURCE = drawn(300, 5)


def test_an_output_that_stands_still_is_told_with_what_it_should_vary_by() -> None:
    with pytest.raises(ModelError, match="output 'o': it stands still: over the samples") as caught:
        check_moves("o", np.ones_like(SOURCE), profile(SOURCE))
    assert "varies by 0, the source's by " in caught.value.what
    assert "its values are lost" in caught.value.hint


@pytest.mark.parametrize(
    ("still", "said"),
    [
        ([3], "channel 3 of axis 1 stands still:"),
        ([1, 3], r"channel 1 of axis 1 stands still \(and 1 other\):"),
        ([0, 1, 3], r"channel 0 of axis 1 stands still \(and 2 others\):"),
    ],
)
def test_channels_that_stand_still_are_counted(still: list[int], said: str) -> None:
    copy = SOURCE.copy()
    copy[:, still] = 7
    with pytest.raises(ModelError, match=said):
        check_moves("o", copy, profile(SOURCE))


def test_what_still_moves_a_little_passes() -> None:
    check_moves("o", 0.02 * SOURCE, profile(SOURCE))
    with pytest.raises(ModelError, match="stands still"):
        check_moves("o", 0.005 * SOURCE, profile(SOURCE))


def test_a_single_cell_is_seen_where_it_varies_by_more_than_two_steps() -> None:
    source = drawn(300, 3, 4)
    copy = source.copy()
    copy[:, 1, 2] = 0
    with pytest.raises(ModelError, match=r"value \[1, 2\] stands still"):
        check_moves("o", copy, profile(source))
    weights = np.ones((3, 4))
    weights[1, 2] = 1e-3
    check_moves("o", copy, profile(source * weights))


def test_rare_events_and_single_samples_tell_nothing() -> None:
    source = drawn(300, 5)
    source[:, 2] = np.where(np.arange(300) < 9, 50.0, 0.0)
    copy = source.copy()
    copy[:, 2] = 0
    check_moves("o", copy, profile(source))
    check_moves("o", np.ones((1, 5)), profile(SOURCE))
    check_moves("o", np.zeros((300, 5)), profile(np.ones((300, 5))))
