"""Samples on another axis than the first, and constants, as a model takes them."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.agent.errors import AgentError
from edgeopt.agent.feeds import as_fed, repeated
from edgeopt.agent.files import arrays
from edgeopt.agent.serve import Feed


def test_rows_are_put_where_the_model_takes_them() -> None:
    rows = {"x": np.arange(24).reshape(2, 3, 4), "t": np.arange(6).reshape(2, 3)}
    fed = as_fed(rows, {"t": 1})
    assert fed["x"].shape == (2, 3, 4) and (fed["t"] == rows["t"].T).all()
    assert all(each.flags.c_contiguous for each in fed.values())


@pytest.mark.parametrize("constant", [np.float32(3), np.ones((1, 2), np.int64)])
def test_a_constant_is_fed_once_whatever_the_batch(constant: np.ndarray) -> None:
    rows = repeated(np.asarray(constant), 5)
    assert rows.shape == (5, *np.shape(constant)) and rows.strides[0] == 0, "no copies"
    fed = as_fed({"rate": rows[1:4]}, {"rate": None})["rate"]
    assert fed.shape == np.shape(constant) and fed.dtype == constant.dtype
    assert (fed == constant).all()


def test_batches_to_time_hold_the_constant_once(tmp_path: object) -> None:
    rate = repeated(np.asarray(np.float32(3)), 4)
    feed = Feed({"x": np.arange(4), "rate": rate}, {"rate": None})
    feed.cycle(take=4, batch=2)
    assert [batch["rate"].tolist() for batch in feed.batches] == [3.0, 3.0]
    assert feed.batch(1, 2, 3)["rate"].shape == ()


def test_constants_alone_are_no_samples(tmp_path: object) -> None:
    with pytest.raises(AgentError, match="no arrays"):
        arrays(str(tmp_path), {}, {})
