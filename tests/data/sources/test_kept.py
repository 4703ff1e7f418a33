"""Arrays that lie in the store already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeopt.data.sources.kept import Kept
from edgeopt.data.splits import parse_selection
from edgeopt.schema.errors import DataError
from edgeopt.store import Store


def test_selected_samples_are_read_of_the_store(tmp_path: Path) -> None:
    x, label = np.arange(12.0).reshape(6, 2), np.arange(6)
    with Store(tmp_path) as store:
        refs = {"train.x": store.put_array(x), "train.label": store.put_array(label),
                "test.x": store.put_array(x[:1])}  # fmt: skip
        kept = Kept({name: ref.to_json() for name, ref in refs.items()}, store)
        assert kept.names == ("train.x", "train.label", "test.x")
        found, rows = kept.take(parse_selection("train[1:3]"), ["x", "label"])
        assert found["x"].tolist() == x[1:3].tolist() and found["label"].tolist() == [1, 2]
        assert list(rows) == [1, 2]
        with pytest.raises(DataError, match="selects no sample") as caught:
            kept.take(parse_selection("test[5:]"), ["x"])
    assert caught.value.where == "data"
