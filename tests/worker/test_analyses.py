"""Metrics of a recipe's own, run where the user's code runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import DataError, EdgeoptError, ModelError, WorkerError
from edgeopt.schema.job import Arrays, Job, Outcome, Request
from edgeopt.store import Store
from edgeopt.worker.analyses import analyse

CODE = """\
import numpy as np
def hits(outputs, labels): return (outputs["scores"].argmax(axis=1) == labels).astype(float)
def broken(outputs, labels):
    return 1 / 0
"""
LABELS = np.array([0, 1, 2, 0])
SOURCE = np.eye(3, dtype=np.float32)[LABELS]
MINE = SOURCE[:, [0, 2, 1]]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def ask(store: Store, tmp_path: Path) -> Ask:
    """``ask(function)``: the figures of ``metric.own`` by it."""
    (tmp_path / "score.py").write_text(CODE)

    def scored(array: np.ndarray) -> Outcome:
        outputs = {"y": store.put_array(array).to_json()}
        return Outcome(job="s", status="ok", value={"outputs": outputs, "order": ["y"]})

    def asked(function: str, name: str = "metric", **params: Any) -> dict[str, Any]:
        tensor = Tensor(name="scores", dtype="float32", shape=("batch", 3)).to_json()
        labels = Arrays(split="v", n=4, arrays={}, labels={"label": store.put_array(LABELS)})
        given = {"name": "own", "better": "more", "mine": [tensor], "source": [tensor],
                 "labels": "label"}  # fmt: skip
        job = Job(
            id="metric:own", kind="analysis", name=name, params={**given, **params},
            where={"function": function, "root": str(tmp_path)},
        )  # fmt: skip
        inputs = {"mine": scored(MINE), "source": scored(SOURCE),
                  "raw": Outcome(job="r", status="ok", value=labels.to_json())}  # fmt: skip
        request = Request(job=job, inputs=inputs, store=str(store.root), workdir=str(tmp_path))
        return analyse(request, store, lambda *_, **__: None)[1]

    return asked


def test_a_users_metric_is_measured_alone_and_against_the_source(ask: Ask) -> None:
    found = ask("score.py:hits")
    assert found["metric.own"]["value"] == 0.5 and found["metric.own"]["n"] == 4
    assert found["difference.metric.own"]["value"] == -0.5


def test_what_the_users_code_raises_is_blamed_on_its_line(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="raised ZeroDivisionError") as caught:
        ask("score.py:broken")
    assert f"({tmp_path / 'score.py'}:4)" in caught.value.what
    assert caught.value.where == "metric.own (score.py:broken)"


def test_a_function_that_is_not_there_is_named(ask: Ask) -> None:
    with pytest.raises(EdgeoptError, match="none"):
        ask("score.py:none")


def test_another_count_of_outputs_is_the_models_fault(ask: Ask) -> None:
    with pytest.raises(ModelError, match="gave 1 outputs, not"):
        ask("score.py:hits", mine=[])


def test_an_analysis_that_nobody_knows_is_an_error(ask: Ask) -> None:
    with pytest.raises(WorkerError, match="unknown analysis 'nonsense'") as caught:
        ask("score.py:hits", name="nonsense")
    assert caught.value.where == "metric:own"
