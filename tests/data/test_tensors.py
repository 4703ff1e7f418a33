from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.data.tensors import bind, make_tensors, sample_inputs
from edgeopt.schema.artifact import Signature, Tensor
from edgeopt.schema.base import canonical
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

SCALE = [{"scale": 255}]
AXES = {"NHW": (0, 1, 2, None), "NHWC": (0, 1, 2, 3), "NCHW": (0, 2, 3, 1)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def shaped(dtype: str, *shape: int, name: str = "images") -> Arrays:
    """Arrays of which only shape and dtype are known: enough for planning."""
    return Arrays(
        split="test", n=shape[0], arrays={name: ArrayRef(blob="", dtype=dtype, shape=shape)}
    )


def kept(store: Store, **arrays: np.ndarray[Any, Any]) -> Arrays:
    refs = {name: store.put_array(array) for name, array in arrays.items()}
    return Arrays(split="test", n=len(next(iter(arrays.values()))), arrays=refs)


def image(layout: str = "NCHW", dtype: str = "float32", *, shape: Any = None) -> Signature:
    shape = shape or {"NCHW": ("batch", 1, 4, 5), "NHWC": ("batch", 4, 5, 1)}[layout]
    return taking(Tensor(name="image", dtype=dtype, shape=shape, layout=layout))


def taking(*inputs: Tensor) -> Signature:
    return Signature(inputs=inputs, outputs=())


def made(store: Store, raw: Arrays, preprocess: Any, signature: Signature, **how: Any) -> Any:
    binding = bind(raw, preprocess, signature, **how)
    tensors = make_tensors(raw, {"bind": binding}, store)
    assert (tensors.n, tensors.split, tensors.labels) == (raw.n, raw.split, {})
    return {name: store.get_array(ref) for name, ref in tensors.arrays.items()}


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_gray_images_get_their_channel_where_the_model_wants_it(store: Store, layout: str) -> None:
    x = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    found = made(store, kept(store, images=x), SCALE, image(layout))["image"]
    expected = np.expand_dims(x.astype(np.float32) / 255, 1 if layout == "NCHW" else 3)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


@pytest.mark.parametrize("raw_layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_colours_are_normalized_and_moved(store: Store, raw_layout: str, layout: str) -> None:
    nhwc = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    x = nhwc if raw_layout == "NHWC" else nhwc.transpose(0, 3, 1, 2)
    means, stds = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    shape = ("batch", 3, "height", "width") if layout == "NCHW" else ("batch", 5, 6, 3)
    found = made(
        store,
        kept(store, images=x),
        [{"normalize": {"mean": means, "std": stds}}],
        image(layout, shape=shape),
    )["image"]
    expected = (nhwc.astype(np.float32) - np.float32(means)) / np.float32(stds)
    moved = expected if layout == "NHWC" else expected.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(found, moved)


def test_the_recipes_layout_overrides_what_the_shape_suggests(store: Store) -> None:
    x = np.random.default_rng(0).random((2, 4, 4, 4), np.float32)  # fits however it is read
    signature = image(shape=("batch", 4, 4, 4))
    found = made(store, kept(store, images=x), [], signature, layout="NCHW")["image"]
    np.testing.assert_array_equal(found, x)
    found = made(store, kept(store, images=x), [], signature, layout="NHWC")["image"]
    np.testing.assert_array_equal(found, x.transpose(0, 3, 1, 2))
    with pytest.raises(DataError, match=r"as NHWC: samples are \[4, 5, 3\]"):
        bind(shaped("float32", 2, 4, 5, 3), [], image(shape=("batch", 4, 5, 2)), layout="NHWC")


def test_tables_are_fed_as_they_are(store: Store) -> None:
    x = np.random.default_rng(0).random((4, 3))
    signature = taking(Tensor(name="row", dtype="float32", shape=("batch", 3)))
    found = made(store, kept(store, row=x), [], signature)["row"]
    np.testing.assert_array_equal(found, x.astype(np.float32))
    steps = [{"normalize": {"mean": [0.1, 0.2, 0.3], "std": 2}}]
    scaled = made(store, kept(store, row=x), steps, signature)["row"]
    wanted = (x.astype(np.float32) - np.float32([0.1, 0.2, 0.3])) / np.float32(2)
    np.testing.assert_array_equal(scaled, wanted)


def test_one_number_a_sample_is_scaled_too(store: Store) -> None:
    signature = taking(Tensor(name="age", dtype="float32", shape=("batch",)))
    found = made(store, kept(store, age=np.array([10, 20])), [{"scale": 10}], signature)["age"]
    np.testing.assert_array_equal(found, np.float32([1, 2]))


def test_each_input_has_its_array_and_its_steps(store: Store) -> None:
    raw = kept(store, images=np.full((2, 4, 5), 51, np.uint8), ids=np.array([[7], [8]]))
    signature = taking(
        Tensor(name="image", dtype="float32", shape=("batch", 1, 4, 5), layout="NCHW"),
        Tensor(name="id", dtype="int32", shape=("batch", 1)),
    )
    inputs = {"image": "images", "id": "ids"}
    found = made(store, raw, {"image": SCALE}, signature, inputs=inputs)
    assert list(found) == ["image", "id"]
    assert found["image"][0, 0, 0, 0] == np.float32(51) / 255
    np.testing.assert_array_equal(found["id"], np.array([[7], [8]], np.int32))
    with pytest.raises(DataError, match="'id' takes int32 and preprocess makes floats of array"):
        bind(raw, SCALE, signature, inputs)


def test_a_binding_is_plain_json_and_the_same_for_the_same_signature() -> None:
    raw = shaped("uint8", 9, 4, 5)
    binding = bind(raw, SCALE, image(), {"image": "images"}, None)
    assert canonical(binding) == canonical(bind(raw, SCALE, image(), {"image": "images"}))
    first = binding[0]
    assert (first["input"], first["array"], first["dtype"]) == ("image", "images", "float32")
    assert (first["layout"], first["shape"]) == ("NCHW", [1, 4, 5])


def test_a_fixed_batch_is_no_matter_of_the_samples() -> None:
    assert bind(shaped("uint8", 9, 4, 5), SCALE, image(shape=(8, 1, 4, 5)))[0]["shape"] == [1, 4, 5]


SIDE = st.integers(1, 6)


@given(st.sampled_from(sorted(AXES)), SIDE, SIDE, st.sampled_from([1, 3, 4]))
def test_what_sample_inputs_says_fits(raw_layout: str, h: int, w: int, c: int) -> None:
    c = 1 if raw_layout == "NHW" else c
    sizes = {"N": 2, "H": h, "W": w, "C": c}
    raw = shaped("uint8", *(sizes[axis] for axis in raw_layout))
    said = sample_inputs(raw, SCALE, {"image": "images"}, raw_layout)["image"]
    assert said == {"shape": [c, h, w], "dtype": "float32", "layout": "NCHW"}
    tensor = Tensor(name="image", dtype="float32", shape=("batch", c, h, w), layout="NCHW")
    binding = bind(raw, SCALE, taking(tensor), {"image": "images"}, raw_layout)
    assert binding[0]["shape"] == said["shape"]


def test_what_is_no_image_is_said_as_it_is() -> None:
    raw = Arrays(
        split="test",
        n=2,
        arrays={
            "ids": ArrayRef(blob="", dtype="int64", shape=(2, 16)),
            "rows": ArrayRef(blob="", dtype="float64", shape=(2, 7)),
            "bytes": ArrayRef(blob="", dtype="uint8", shape=(2, 7)),
        },
    )
    assert sample_inputs(raw, {"bytes": SCALE}) == {
        "ids": {"shape": [16], "dtype": "int64", "layout": ""},
        "rows": {"shape": [7], "dtype": "float32", "layout": ""},
        "bytes": {"shape": [7], "dtype": "float32", "layout": ""},
    }
    with pytest.raises(DataError, match="no array 'none'"):
        sample_inputs(raw, [], {"a": "none"})


@pytest.mark.parametrize(
    ("raw", "signature", "how", "told"),
    [
        (shaped("uint8", 9, 4, 6), image(), {}, r"'images' does not fit input 'image'.*\[4, 6\]"),
        (shaped("uint8", 9, 3, 4, 5), image(), {}, r"image: .* \[3, 4, 5\], .* takes \[1, 4, 5\]"),
        (shaped("uint8", 9, 20), image(), {}, r"'images' does not fit input 'image'.*\[20\]"),
        (shaped("uint8", 9, 4, 5), image(), {"layout": "NHWC"}, "which is not NHWC"),
        (shaped("uint8", 9, 4, 5), image(), {"inputs": {"imag": "images"}}, "no input 'imag'"),
        (shaped("uint8", 9, 4, 5), image(), {"inputs": {"image": "x"}}, "no array 'x' for input"),
        (shaped("uint8", 9, 4, 5), image(dtype="bfloat16"), {}, "takes bfloat16"),
        (shaped("uint8", 9, 4, 5), image(dtype="string"), {}, "takes string"),
        (
            shaped("float32", 9, 4),
            taking(Tensor(name="row", dtype="float32", shape=("batch", 3))),
            {},
            r"'images' does not fit input 'row': samples are \[4\], the input takes \[3\]",
        ),
        (
            shaped("float32", 9),
            taking(Tensor(name="row", dtype="float32", shape=())),
            {},
            "'row' is a single number",
        ),
        (
            shaped("float32", 9, 4),
            taking(*(Tensor(name=n, dtype="float32", shape=("batch", 4)) for n in "ab")),
            {},
            "no array is given for the model's input 'a'",
        ),
    ],
)
def test_what_does_not_fit_names_input_and_array(
    raw: Arrays, signature: Signature, how: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        bind(raw, [], signature, **how)


def test_preprocess_that_does_not_fit_is_refused() -> None:
    raw = shaped("uint8", 9, 4, 5)
    three = [{"normalize": {"mean": [1, 2, 3], "std": 1}}]
    with pytest.raises(DataError, match="'image' has 3 numbers, array 'images' has 1 channels"):
        bind(raw, three, image())
    with pytest.raises(DataError, match="preprocess names 'imag'"):
        bind(raw, {"imag": SCALE}, image())
    with pytest.raises(DataError, match="takes uint8 and preprocess makes floats"):
        bind(raw, SCALE, image(dtype="uint8"))


@pytest.mark.parametrize(
    ("values", "dtype", "bad"),
    [
        (np.array([1, 300]), "uint8", "300"),
        (np.array([1, -1]), "uint64", "-1"),
        (np.array([1.0, 0.5]), "int64", "0.5"),
        (np.array([1.0, 2.0**63]), "int64", "9.2"),
        (np.array([1, 2**24 + 1]), "float32", "16777217"),
        (np.array([1.0, 1e39]), "float32", "1e\\+39"),
        (np.array([1.0, 70000.0]), "float16", "70000.0"),
        (np.array([1, 2]), "bool", "2"),
    ],
)
def test_values_that_a_dtype_cannot_hold_name_the_sample(
    store: Store, values: np.ndarray[Any, Any], dtype: str, bad: str
) -> None:
    signature = taking(Tensor(name="x", dtype=dtype, shape=("batch",)))
    told = rf"'x' takes {dtype}, which cannot hold {bad}.* of array 'values' in sample 1 \(1 such"
    with pytest.raises(DataError, match=told):
        made(store, kept(store, values=values), [], signature)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32", "float64"])
def test_bytes_fit_every_dtype(store: Store, dtype: str) -> None:
    x = np.arange(256, dtype=np.uint8)
    signature = taking(Tensor(name="x", dtype=dtype, shape=("batch",)))
    found = made(store, kept(store, x=x), [], signature)["x"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, x)
