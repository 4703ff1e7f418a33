"""A folder never holds the report of one run beside the result of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_labels import archive, inputs, network, scored, weights

from edgeopt import api


def test_an_interrupt_while_the_report_is_drawn_leaves_no_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is in place by then, and what an earlier run reported is not of it."""
    model = network(tmp_path, {"scores": weights(6, 0)})
    data = archive(tmp_path, x=inputs(), label=np.arange(120) % 6)
    out = tmp_path / "out"
    out.mkdir()
    (out / api.REPORT).write_text("the report of an earlier run")

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scored(model, data, tmp_path, label="label", out=out)
    assert (out / api.RESULT).exists()
    assert not (out / api.REPORT).exists()
