"""An array that fits an input as it is stays so; image layouts are read only where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgeopt
from edgeopt.bench.jobs import run_bench
from edgeopt.data.tensors import bind, make_tensors
from edgeopt.engine import Engine
from edgeopt.models.layout import image_layout
from edgeopt.pipeline.prepare import prepare
from edgeopt.planner import tensors_job
from edgeopt.planner.known import Known
from edgeopt.recipe import make_recipe
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError, ModelError
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

NETS = """
import torch
from torch import nn

class Named(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.inner = nn.Sequential(*layers)

    def forward(self, x):
        return self.inner(x)

class Last(nn.Module):
    def forward(self, given):
        return given[0][:, -1]

def spectra():  # (batch, 1, 128, 3): the last axis is no colour
    return Named(nn.Conv2d(1, 4, (5, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 124, 2))

def signals():  # (batch, time, features)
    return Named(nn.GRU(12, 4, batch_first=True), Last(), nn.Linear(4, 2))

def squares():  # (batch, 4, 4, 4), and its channels are not told by shape
    return Named(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 2))

def gray():  # (batch, 1, 28, 28)
    return Named(nn.Conv2d(1, 2, 5, stride=4), nn.Flatten(), nn.Linear(2 * 36, 3))

def colour():  # (batch, 3, 8, 10)
    return Named(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 48, 3))

def table():  # takes any 192 numbers
    return Named(nn.Flatten(), nn.Linear(192, 3))
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for all tests, so that torch is loaded once."""
    with (
        Store(tmp_path_factory.mktemp("store")) as opened,
        Engine(opened, on_event=lambda event: None, bench=run_bench) as engine,
    ):
        yield engine


def counted(dtype: str, *shape: int) -> np.ndarray[Any, Any]:
    """Values of which none stands twice in a sample, so that a moved axis shows."""
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


def taking(shape: tuple[Any, ...], dtype: str = "float32") -> Signature:
    """One input ``x`` with the layout that formats read from its shape."""
    tensor = Tensor(name="x", dtype=dtype, shape=shape, layout=image_layout(shape))
    return Signature(inputs=(tensor,), outputs=())


def fed(store: Store, array: Any, signature: Signature, **how: Any) -> np.ndarray[Any, Any]:
    raw = Arrays(split="validation", n=len(array), arrays={"x": store.put_array(array)})
    made = make_tensors(raw, {"bind": bind(raw, [], signature, **how)}, store)
    return store.get_array(made.arrays["x"])


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        pytest.param(
            counted("float32", 2, 1, 128, 3), ("batch", 1, 128, 3), id="a spectrum of 3 columns",
        ),
        pytest.param(
            counted("float32", 2, 4, 4, 4), ("batch", 4, 4, 4), id="a square that fits both ways",
        ),
        pytest.param(
            counted("float32", 2, 3, 3, 3), (2, 3, 3, 3), id="a square with a fixed batch",
        ),
        pytest.param(
            counted("float32", 2, 4, 6, 3), ("batch", 4, "height", "width"), id="free sizes",
        ),
        pytest.param(counted("uint8", 2, 40, 12), ("batch", 40, 12), id="bytes over time"),
        pytest.param(counted("float32", 2, 12, 40), ("batch", 12, 40), id="a signal of channels"),
        pytest.param(counted("float32", 2, 40), ("batch", 40), id="a signal"),
        pytest.param(counted("int64", 2, 6, 6, 6), ("batch", 6, 6, 6), id="no image at all"),
    ],
)  # fmt: skip
def test_an_array_that_fits_as_it_is_stays_as_it_is(
    store: Store, array: np.ndarray[Any, Any], shape: tuple[Any, ...]
) -> None:
    """Guards arrays of the input's own shape from being moved, whatever channels they show."""
    np.testing.assert_array_equal(fed(store, array, taking(shape)), array.astype("float32"))


def test_image_readings_follow_where_an_array_does_not_fit(store: Store) -> None:
    """Guards the conventions: gray images get their channel, and channels move where they must."""
    gray, last = counted("uint8", 2, 5, 6), counted("uint8", 2, 5, 6, 3)
    first = last.transpose(0, 3, 1, 2)
    for array, shape, expected in [
        (gray, ("batch", 1, 5, 6), gray[:, None]),
        (gray.astype("float32"), ("batch", 5, 6, 1), gray[..., None]),
        (last, ("batch", 3, 5, 6), first),
        (np.ascontiguousarray(first), ("batch", 5, 6, 3), last),
    ]:
        np.testing.assert_array_equal(fed(store, array, taking(shape)), expected)


def test_the_layout_that_is_said_wins_over_shapes(store: Store) -> None:
    """Guards ``data.layout``: it moves what would fit as it is, and holds for any channel count."""
    square, spectrum = counted("float32", 2, 4, 4, 4), counted("float32", 2, 1, 128, 3)
    two = counted("float32", 2, 5, 6, 2)
    moved = fed(store, square, taking(("batch", 4, 4, 4)), layout="NHWC")
    np.testing.assert_array_equal(moved, square.transpose(0, 3, 1, 2))
    kept = fed(store, square, taking(("batch", 4, 4, 4)), layout="NCHW")
    np.testing.assert_array_equal(kept, square)
    last = fed(store, spectrum, taking(("batch", 1, 128, 3)), layout="NHWC")
    np.testing.assert_array_equal(last, spectrum)
    pairs = fed(store, two, taking(("batch", 2, 5, 6)), layout="NHWC")
    np.testing.assert_array_equal(pairs, two.transpose(0, 3, 1, 2))


def test_what_fits_in_no_reading_names_the_key_that_helps() -> None:
    """Guards that an error about a shape names array, input, both shapes and ``data.layout``."""
    raw = Arrays(
        split="validation", n=2,
        arrays={"x": ArrayRef(blob="", dtype="float32", shape=(2, 7, 9, 5))},
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        bind(raw, [], taking(("batch", 3, 8, 8)))
    assert "[7, 9, 5]" in caught.value.what and "[3, 8, 8]" in caught.value.what
    assert "data.layout" in caught.value.hint
    with pytest.raises(DataError) as caught:
        bind(raw, [], taking(("batch", 3, 8, 8)), layout="NHW")
    assert "data.layout" in f"{caught.value.what} {caught.value.hint}"


def test_an_artifact_reads_an_array_as_the_source_does(store: Store) -> None:
    """Guards a conversion to NHWC of a square input: what the source took as NCHW must move."""
    array = counted("float32", 2, 4, 4, 4)
    raw = Arrays(split="validation", n=2, arrays={"x": store.put_array(array)})
    source = Description(format="onnx", signature=taking(("batch", 4, 4, 4)))
    tensor = Tensor(name="x", dtype="float32", shape=(1, 4, 4, 4), layout="NHWC")
    converted = Description(format="tflite", signature=Signature(inputs=(tensor,), outputs=()))
    recipe = make_recipe({
        "model": "net.onnx",
        "data": {"source": "samples.npz", "splits": {"validation": "validation"}},
    })  # fmt: skip
    known = Known(
        source=source, source_job="open", raw={"validation": raw},
        raw_jobs={"validation": "data:validation"}, groups=(), host_isa="", version=lambda _: "",
    )  # fmt: skip
    for description, expected in ((source, array), (converted, array.transpose(0, 2, 3, 1))):
        job = tensors_job(recipe, known, "validation", description, "model")
        made = make_tensors(raw, job.params, store, description.signature)
        np.testing.assert_array_equal(store.get_array(made.arrays["x"]), expected)


def read_by_torch(
    engine: Engine, folder: Path, factory: str, array: Any, **data: Any
) -> tuple[Tensor, Known]:
    """The input of a torch source as it was opened with an array as its samples."""
    (folder / "nets.py").write_text(NETS)
    np.savez(folder / "samples.npz", **{"validation.x": array})
    recipe = make_recipe(
        {
            "model": {"factory": f"nets.py:{factory}"},
            "data": {"source": "samples.npz", "splits": {"validation": "validation"}, **data},
        },
        root=folder,
    )
    known, _ = prepare(recipe, engine)
    return known.source.signature.inputs[0], known


@pytest.mark.parametrize(
    ("factory", "array", "shape"),
    [
        pytest.param(
            "spectra", counted("float32", 5, 1, 128, 3), (1, 128, 3),
        ),
        pytest.param(
            "signals", counted("uint8", 5, 40, 12), (40, 12),
        ),
        pytest.param(
            "gray", counted("float32", 5, 28, 28), (1, 28, 28),
        ),
        pytest.param("signals", counted("float32", 5, 40, 12), (40, 12)),
        pytest.param("gray", counted("uint8", 5, 28, 28), (1, 28, 28)),
        pytest.param("colour", counted("uint8", 5, 8, 10, 3), (3, 8, 10)),
        pytest.param("colour", counted("uint8", 5, 3, 8, 10), (3, 8, 10)),
    ],
)  # fmt: skip
def test_a_torch_source_takes_the_first_reading_that_its_network_runs_on(
    engine: Engine, tmp_path: Path, factory: str, array: Any, shape: tuple[int, ...]
) -> None:
    """Guards sources without a signature: as it is first, image readings after."""
    tensor, known = read_by_torch(engine, tmp_path, factory, array)
    assert (tensor.shape, tensor.dtype) == (("batch", *shape), "float32")
    binding = bind(known.raw["validation"], [], known.source.signature)
    assert tuple(binding[0]["shape"]) == shape


@pytest.mark.parametrize(
    ("factory", "array"),
    [("squares", counted("float32", 5, 4, 4, 4)), ("table", counted("float32", 5, 8, 8, 3))],
)
def test_a_note_says_which_of_two_readings_was_taken(
    engine: Engine, tmp_path: Path, factory: str, array: Any
) -> None:
    """Guards against a silent choice where a network runs on an array as it is and moved."""
    tensor, known = read_by_torch(engine, tmp_path, factory, array)
    assert tensor.shape == ("batch", *array.shape[1:])
    (note,) = known.notes
    assert "array 'x'" in note and "input 'x'" in note and "unchanged" in note
    assert "data.layout" in note and "NHWC" in note


def test_no_note_is_made_of_a_layout_that_is_said(engine: Engine, tmp_path: Path) -> None:
    """Guards that ``data.layout`` is obeyed by torch sources, and ends the doubt."""
    square = counted("float32", 5, 4, 4, 4)
    tensor, known = read_by_torch(engine, tmp_path, "squares", square, layout="NHWC")
    assert tensor.layout == "NCHW"
    assert not getattr(known, "notes", ())


def test_a_torch_source_that_runs_on_no_reading_says_which_were_tried(
    engine: Engine, tmp_path: Path
) -> None:
    """Guards the error: every reading with its shape, and the key that says how arrays lie."""
    with pytest.raises(ModelError) as caught:
        read_by_torch(engine, tmp_path, "gray", counted("uint8", 5, 9, 7))
    told = f"{caught.value.what} {caught.value.hint}"
    assert "[2, 9, 7]" in told and "[2, 1, 9, 7]" in told and "data.layout" in told


def test_a_note_of_an_onnx_source_reaches_the_plan(tmp_path: Path) -> None:
    """Guards the note of a model whose signature is known, as ``edgeopt plan`` shows it."""
    shape = ["batch", 4, 4, 4]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["y"])], "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    np.savez(tmp_path / "samples.npz", **{"validation.photos": counted("float32", 5, 4, 4, 4)})
    data = {
        "source": str(tmp_path / "samples.npz"), "inputs": {"image": "photos"},
        "splits": {"validation": "validation"},
    }  # fmt: skip
    fields: dict[str, Any] = {"store": tmp_path / "store", "passes": ["simplify-onnx"]}
    notes = edgeopt.plan({"path": str(tmp_path / "net.onnx")}, data=data, **fields)[0].notes
    (told,) = [note for note in notes if "data.layout" in note]
    assert "array 'photos'" in told and "input 'image'" in told and "unchanged" in told
    said = {**data, "layout": "NCHW"}
    notes = edgeopt.plan({"path": str(tmp_path / "net.onnx")}, data=said, **fields)[0].notes
    assert not [note for note in notes if "data.layout" in note]


def test_a_tflite_source_takes_a_square_as_it_is(store: Store) -> None:
    """Guards sources whose format is NHWC: nothing there is moved either."""
    tensor = Tensor(name="x", dtype="float32", shape=(1, 3, 3, 3), layout="NHWC")
    array = counted("float32", 2, 3, 3, 3)
    square = Signature(inputs=(tensor,), outputs=())
    np.testing.assert_array_equal(fed(store, array, square), array)
    first = Signature(inputs=(taking((1, 4, 4, 4)).inputs[0],), outputs=())
    np.testing.assert_array_equal(fed(store, counted("float32", 2, 4, 4, 4), first),
                                  counted("float32", 2, 4, 4, 4))  # fmt: skip
