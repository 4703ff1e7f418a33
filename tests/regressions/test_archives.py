"""One form of archive for all that read samples: arrays named SPLIT.ARRAY, or plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeopt
from edgeopt.commands.samples import samples_for
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import Arrays
from edgeopt.store import Store

FEATURES, CLASSES = 4, 3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def rows(n: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n, FEATURES)).astype(np.float32)


def labels(n: int) -> np.ndarray[Any, Any]:
    return np.arange(n) % CLASSES


def net(path: Path, name: str = "x") -> Path:
    """``scores = row @ w`` as an ONNX file whose input is called ``name``."""
    weights = np.random.default_rng(0).standard_normal((FEATURES, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [name, "w"], ["scores"])], "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def saved(path: Path, **arrays: np.ndarray[Any, Any]) -> Path:
    np.savez(path, **arrays)
    return path


def taking(*names: str) -> Description:
    tensors = [Tensor(name=n, dtype="float32", shape=("batch", FEATURES)) for n in names]
    return Description(format="onnx", signature=Signature(inputs=tuple(tensors), outputs=()))


@pytest.mark.parametrize("name", ["x", "input.1"], ids=["a plain name", "a name with a dot"])
def test_a_bare_model_takes_plain_arrays(tmp_path: Path, name: str) -> None:
    """Guards ``optimize MODEL --data FILE``: plain arrays are cut to calibrate and to validate."""
    data = saved(tmp_path / "plain.npz", **{name: rows(40), "label": labels(40)})
    model = net(tmp_path / "net.onnx", name)
    plan, _ = edgeopt.plan(model, data=data, store=tmp_path / "store")
    assert any("quantize-int8" in candidate.label for candidate in plan.candidates)
    (note,) = [note for note in plan.notes if "plain.npz" in note]
    assert "calibration" in note and "samples[:10]" in note and "samples[10:]" in note


@pytest.mark.parametrize(
    "splits",
    [
        {"validation": "validation"},
        {"validation": "samples"},
        {"calibration": "samples[:8]", "validation": "samples[8:30]", "test": "samples[30:]"},
    ],
    ids=lambda splits: ", ".join(splits.values()),
)
def test_a_recipe_selects_of_plain_arrays(tmp_path: Path, splits: dict[str, str]) -> None:
    """Guards recipes over plain arrays: they are the split validation, also called samples."""
    data = saved(tmp_path / "plain.npz", rows=rows(40), label=labels(40))
    net(tmp_path / "net.onnx")
    plan, estimate = edgeopt.plan(
        {"path": str(tmp_path / "net.onnx")}, passes=["simplify-onnx"], store=tmp_path / "store",
        data={"source": str(data), "inputs": {"x": "rows"}, "label": "label", "splits": splits},
    )  # fmt: skip
    assert plan.candidates and estimate["samples_scored"] > 0


def test_a_split_that_plain_arrays_lack_is_told_with_what_is_there(tmp_path: Path) -> None:
    """Guards the error for a second split of a file that has one."""
    data = saved(tmp_path / "plain.npz", x=rows(40))
    net(tmp_path / "net.onnx")
    splits = {"validation": "validation", "test": "test"}
    with pytest.raises(DataError) as caught:
        edgeopt.plan(
            {"path": str(tmp_path / "net.onnx")}, passes=["fp16"], store=tmp_path / "store",
            data={"source": str(data), "splits": splits},
        )  # fmt: skip
    told = str(caught.value)
    assert "plain.npz" in told and "'test'" in told
    assert "validation" in told and "samples" in told and "SPLIT.ARRAY" in told


def test_another_plain_array_makes_another_job(tmp_path: Path) -> None:
    """Guards the key of plain arrays: a change of any of them is seen."""
    from edgeopt.data.sources.npz import members_digest

    data = saved(tmp_path / "plain.npz", x=rows(8), label=labels(8))
    before = {split: members_digest(data, split) for split in ("validation", "samples")}
    saved(data, x=rows(8, seed=1), label=labels(8))
    after = {split: members_digest(data, split) for split in before}
    assert all(after[split] != before[split] for split in before)


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (("train.x", "validation.x", "test.x"), "validation.x"),
        (("train.x", "test.x"), "test.x"),
        (("holdout.x",), "holdout.x"),
        (("validation.image", "validation.label"), "validation.image"),
        (("image", "label"), "image"),
    ],
)
def test_benchmark_and_compare_read_both_forms(
    tmp_path: Path, store: Store, names: tuple[str, ...], read: str
) -> None:
    """Guards ``--data``: validation, else test, else the only split; one array for one input."""
    held = {
        name: labels(5) if name.endswith("label") else rows(5, seed=at)
        for at, name in enumerate(names)
    }
    found = samples_for(taking("x"), saved(tmp_path / "a.npz", **held), store)
    assert found.n == 5
    np.testing.assert_array_equal(store.get_array(found.arrays["x"]), held[read])


def test_a_split_among_several_that_none_stands_out_of_is_asked_for(
    tmp_path: Path, store: Store
) -> None:
    """Guards against a guess between splits, and says which there are."""
    data = saved(tmp_path / "a.npz", **{"summer.x": rows(5), "winter.x": rows(5, seed=1)})
    with pytest.raises(DataError, match=r"a\.npz.*summer, winter"):
        samples_for(taking("x"), data, store)
    with pytest.raises(DataError, match=r"a\.npz.*'y'.*z"):
        samples_for(taking("x", "y"), saved(data, **{"test.x": rows(5), "test.z": rows(5)}), store)


def test_a_damaged_archive_is_named_however_it_is_read(tmp_path: Path, store: Store) -> None:
    """Guards that all read through the guarded reader: a cut file, a claim beyond memory."""
    data = saved(tmp_path / "cut.npz", x=rows(500), label=labels(500))
    data.write_bytes(data.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.npz"):
        samples_for(taking("x"), data, store)
    holes = rows(5)
    holes[3, 1] = np.nan
    with pytest.raises(DataError, match=r"nan\.npz.*'x' has NaN in sample 3"):
        samples_for(taking("x"), saved(tmp_path / "nan.npz", x=holes), store)


def test_compare_takes_the_archive_that_optimize_takes(tmp_path: Path) -> None:
    """Guards the whole of it: ``compare --data --label --split`` on arrays named SPLIT.ARRAY."""
    data = saved(
        tmp_path / "a.npz",
        **{"validation.x": rows(30), "validation.label": labels(30),
           "test.x": rows(20, seed=1), "test.label": labels(20)},
    )  # fmt: skip
    model = net(tmp_path / "net.onnx")
    how: dict[str, Any] = {
        "targets": ["local/onnxruntime"], "data": data, "label": "label", "quick": True,
        "store": tmp_path / "store",
    }  # fmt: skip
    for split, n in ((None, 30), ("test", 20)):
        (pair,) = edgeopt.compare(model, model, **how, **({"split": split} if split else {})).pairs
        assert pair.answers is not None and (pair.answers.n, pair.answers.changed) == (n, 0)
        assert pair.b.measurements["accuracy"].n == n
    with pytest.raises(DataError, match=r"a\.npz.*'kind'.*label"):
        edgeopt.compare(model, model, **{**how, "label": "kind"})


def test_a_live_model_takes_plain_arrays(tmp_path: Path) -> None:
    """Guards ``optimize(module, data='plain.npz')``: cut in two, as arrays in memory are."""
    from edgeopt.live.samples import read

    data = saved(tmp_path / "plain.npz", x=rows(40), label=labels(40))
    found = read(str(data), ["x"], lambda count: None)
    assert {split: len(arrays["x"]) for split, arrays in found.items()} == {
        "calibration": 10, "validation": 30
    }  # fmt: skip
    np.testing.assert_array_equal(found["validation"]["label"], labels(40)[10:])


def test_arrays_named_by_split_are_read_as_before(tmp_path: Path, store: Store) -> None:
    """Guards archives with splits, whose other arrays are nobody's business."""
    data = saved(
        tmp_path / "a.npz",
        **{"validation.x": rows(9), "train.0": rows(9, seed=2), "names": labels(2)},
    )
    net(tmp_path / "net.onnx")
    plan, _ = edgeopt.plan(tmp_path / "net.onnx", data=data, store=store)
    assert plan.candidates
    raw = samples_for(taking("x"), saved(tmp_path / "b.npz", x=rows(7), y=labels(7)), store)
    assert isinstance(raw, Arrays) and raw.n == 7
