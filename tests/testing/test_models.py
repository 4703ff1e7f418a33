"""The small network is one network in each format, and its answers are those of its arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeopt.formats import format_named
from edgeopt.schema.errors import UsageError
from edgeopt.testing.models import OUTPUTS, SPLITS, answers, small_model

FORMATS = [
    "onnx",
    pytest.param("torch", marks=pytest.mark.extras),
    pytest.param("tflite", marks=pytest.mark.extras),
]


@pytest.mark.parametrize("name", FORMATS)
def test_its_files_answer_as_its_arithmetic(tmp_path: Path, name: str) -> None:
    made = small_model(name, tmp_path / "given")
    assert made.file.is_file() and made.n == 96
    into = tmp_path / "into"
    into.mkdir()
    fmt = format_named(name)
    fmt.gather({"sources": [], **made.spec}, made.root, into, made.said)
    run = fmt.runner(into)
    batch = fmt.describe(into).signature.batch or 4
    found = run({key: array[:batch] for key, array in made.samples.items()})
    for output, size in OUTPUTS.items():
        assert found[output].shape == (batch, size)
        np.testing.assert_allclose(
            found[output], made.expected[output][:batch], rtol=1e-4, atol=1e-5
        )


def test_splits_share_no_sample_and_labels_are_its_own_classes(tmp_path: Path) -> None:
    made = small_model("onnx", tmp_path / "given")
    rows = [set(range(made.n)[made.rows(split)]) for split in SPLITS]
    assert [len(each) for each in rows] == [32] * 3 and len(set.union(*rows)) == 96
    assert made.labels is not None
    assert made.labels.tolist() == answers(made.samples["x"])["scores"].argmax(axis=1).tolist()
    assert len(set(made.labels.tolist())) > 1, "a guess is not enough"


def test_a_format_without_one_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no small network in the format 'none'") as caught:
        small_model("none", tmp_path / "given")
    assert "fixture 'model'" in caught.value.hint and not (tmp_path / "given").exists()
