"""From raw arrays to model inputs: a pure plan (``bind``), then the work (``make_tensors``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from edgeopt.data.preprocess import Step, preprocessed, steps_for
from edgeopt.data.quantized import quantized
from edgeopt.schema.artifact import Signature, Tensor
from edgeopt.schema.base import Noun
from edgeopt.schema.errors import DataError, did_you_mean
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

CHANNELS = (1, 3, 4)  # what makes an axis a channel axis: gray, RGB, RGBA
RAW_RANK = {"NHW": 3, "NCHW": 4, "NHWC": 4}


class Binding(Noun):
    """How one model input is made of one raw array; ``shape`` is that of a sample.

    ``raw_layout`` and ``layout`` are empty where the input is no image. Values of a
    ``quantized`` input become codes, by the scale and zero point of the model that was made.
    """

    input: str
    array: str
    dtype: str
    shape: tuple[int, ...]
    layout: str = ""
    raw_layout: str = ""
    steps: tuple[Step, ...] = ()
    quantized: bool = False


def bind(
    raw: Arrays,
    preprocess: Any,
    signature: Signature,
    inputs: Mapping[str, str] | None = None,
    layout: str | None = None,
    codes: Collection[str] = (),
) -> list[dict[str, Any]]:
    """One Binding, as JSON, for each input of ``signature``; pure, no sample is read.

    ``inputs`` maps model inputs to raw arrays; where None, arrays are taken by equal names,
    or the only array for the only input. ``layout`` of raw images is read from their shapes
    where None. ``codes`` names the quantized inputs: real values become codes there, and an
    array that has the input's own dtype and no steps is taken for codes already.
    Raises DataError for a shape or dtype that does not fit, naming input and
    array; UsageError for a preprocess step that cannot be read.
    """
    names = [tensor.name for tensor in signature.inputs]
    chosen = _arrays_of(raw, names, inputs)
    unknown = set(preprocess) - set(names) if isinstance(preprocess, Mapping) else set()
    for name in sorted(unknown):
        raise DataError(
            f"preprocess names '{name}', which is no input", hint=did_you_mean(name, names)
        )
    return [
        _bound(
            tensor,
            chosen[tensor.name],
            raw.arrays[chosen[tensor.name]],
            steps_for(preprocess, tensor.name),
            layout,
            tensor.name in codes,
        ).to_json()
        for tensor in signature.inputs
    ]


def sample_inputs(
    raw: Arrays,
    preprocess: Any,
    inputs: Mapping[str, str] | None = None,
    layout: str | None = None,
) -> dict[str, dict[str, Any]]:
    """What the raw arrays make of a model that has no signature yet (torch).

    For each input ``{"shape": of a sample, "dtype", "layout"}``: images float32 NCHW, other
    floats and all that is preprocessed float32, integers as they are.
    Raises DataError for an array that is not there or not of ``layout``.
    """
    mapping = {name: name for name in raw.arrays} if inputs is None else dict(inputs)
    _arrays_of(raw, list(mapping), mapping)
    found: dict[str, dict[str, Any]] = {}
    for name, array in mapping.items():
        ref = raw.arrays[array]
        raw_layout = _raw_layout(array, ref, layout, image=False)
        shape = list(ref.shape[1:])
        dtype = ref.dtype
        if raw_layout:
            shape = list(_sample_shape(ref.shape, raw_layout, "NCHW"))
        if raw_layout or dtype.startswith("float") or steps_for(preprocess, name):
            dtype = "float32"
        found[name] = {"shape": shape, "dtype": dtype, "layout": "NCHW" if raw_layout else ""}
    return found


def make_tensors(
    raw: Arrays, params: Mapping[str, Any], store: Store, signature: Signature | None = None
) -> Arrays:
    """The arrays that ``params["bind"]`` (a list from ``bind``) says, by model input.

    ``signature`` is the model's as it was made: it has the scales of quantized inputs. No
    labels and no hashes: they stay with the raw arrays. Raises DataError naming input,
    array and first sample for values that the input's dtype cannot hold.
    """
    refs = {}
    for json in params["bind"]:
        binding = Binding.model_validate(json)
        array = store.get_array(raw.arrays[binding.array])
        made = _made(array, binding)
        if binding.quantized:
            assert signature is not None, "quantized inputs come with their model"
            tensors = {tensor.name: tensor for tensor in signature.inputs}
            made = quantized(made, tensors[binding.input])
        refs[binding.input] = store.put_array(made)
    return Arrays(split=raw.split, n=raw.n, arrays=refs)


def _arrays_of(
    raw: Arrays, names: list[str], inputs: Mapping[str, str] | None
) -> Mapping[str, str]:
    """Model input -> raw array. Raises DataError for an input or array that is missing."""
    if inputs is None:
        only = list(raw.arrays)
        alone = len(names) == len(only) == 1
        inputs = {names[0]: only[0]} if alone else {n: n for n in names if n in raw.arrays}
    for name in inputs:
        if name not in names:
            raise DataError(
                f"the model has no input '{name}' (data.inputs)", hint=did_you_mean(name, names)
            )
    for name in names:
        if name not in inputs:
            known = ", ".join(f"'{array}'" for array in raw.arrays)
            raise DataError(
                f"no array is given for the model's input '{name}'",
                hint=f"name one under data.inputs; split '{raw.split}' has {known}",
            )
        if inputs[name] not in raw.arrays:
            raise DataError(
                f"split '{raw.split}' has no array '{inputs[name]}' for input '{name}'",
                hint=did_you_mean(inputs[name], raw.arrays),
            )
    return inputs


def _bound(
    tensor: Tensor,
    array: str,
    ref: ArrayRef,
    steps: tuple[Step, ...],
    layout: str | None,
    codes: bool,
) -> Binding:
    if not tensor.shape:
        raise DataError(
            f"input '{tensor.name}' is a single number; it takes no samples",
            hint="give it an axis for the batch, (batch,) or (batch, 1), or make it a constant",
        )
    raw_layout = _raw_layout(array, ref, layout, image=True) if tensor.layout else ""
    shape = ref.shape[1:]
    if raw_layout:
        shape = _sample_shape(ref.shape, raw_layout, tensor.layout)
    wanted = tensor.shape[1:]
    fits = len(shape) == len(wanted) and all(
        isinstance(want, str) or want == got for want, got in zip(wanted, shape, strict=True)
    )
    if not fits:
        as_what = f" ({raw_layout}, {list(shape)} as {tensor.layout})" if raw_layout else ""
        raise DataError(
            f"array '{array}' does not fit input '{tensor.name}': samples are "
            f"{list(ref.shape[1:])}{as_what}, the input takes {list(wanted)}"
        )
    codes = codes and (bool(steps) or ref.dtype != tensor.dtype)
    if not codes:
        _check_dtypes(tensor, array, ref, steps)
    channels = (shape or (1,))[0 if raw_layout and tensor.layout == "NCHW" else -1]
    for step in steps:
        if step.channels not in (1, channels):
            raise DataError(
                f"{step.kind} of input '{tensor.name}' has {step.channels} numbers, "
                f"array '{array}' has {channels} channels"
            )
    return Binding(
        input=tensor.name,
        array=array,
        dtype=tensor.dtype,
        shape=shape,
        layout=tensor.layout if raw_layout else "",
        raw_layout=raw_layout,
        steps=steps,
        quantized=codes,
    )


def _check_dtypes(tensor: Tensor, array: str, ref: ArrayRef, steps: tuple[Step, ...]) -> None:
    kind: str = ""
    with suppress(TypeError):
        kind = np.dtype(tensor.dtype).kind
    if kind not in tuple("biuf"):
        raise DataError(
            f"input '{tensor.name}' takes {tensor.dtype}, which array '{array}' "
            f"({ref.dtype}) cannot be made into"
        )
    if steps and kind != "f":
        raise DataError(
            f"input '{tensor.name}' takes {tensor.dtype} and preprocess makes floats of "
            f"array '{array}'",
            hint="leave preprocess out for this input",
        )


def _raw_layout(array: str, ref: ArrayRef, given: str | None, *, image: bool) -> str:
    """Layout of a raw array; empty for no image. ``image``: the model's input is one.

    Raises DataError where an image is needed, or a layout is given, and the rank is another.
    """
    rank = len(ref.shape)
    if given:
        if rank == RAW_RANK[given]:
            return given
        if image:
            raise DataError(f"array '{array}' is {list(ref.shape)}, which is not {given}")
        return ""
    if rank == 3 and (image or ref.dtype == "uint8"):
        return "NHW"
    if rank == 4 and ref.shape[3] in CHANNELS:
        return "NHWC"
    if rank == 4 and ref.shape[1] in CHANNELS:
        return "NCHW"
    if image:
        raise DataError(
            f"array '{array}' is {list(ref.shape)}, in which no axis looks like channels",
            hint="images are (n, height, width), (n, height, width, channels) or "
            "(n, channels, height, width), with 1, 3 or 4 channels; data.layout overrides",
        )
    return ""


def _sample_shape(shape: tuple[int, ...], raw_layout: str, layout: str) -> tuple[int, ...]:
    """Shape of one sample in ``layout``."""
    sizes = {"C": 1, **dict(zip(raw_layout, shape, strict=True))}
    return tuple(sizes[axis] for axis in layout[1:])


def _made(array: np.ndarray[Any, Any], binding: Binding) -> np.ndarray[Any, Any]:
    x = array
    if binding.raw_layout == "NHW":
        x = x[..., np.newaxis]
    elif binding.raw_layout == "NCHW":
        x = x.transpose(0, 2, 3, 1)
    if binding.steps:
        flat = x if x.ndim > 1 else x[:, np.newaxis]
        x = preprocessed(flat, binding.steps).reshape(x.shape)
    if binding.layout == "NCHW":
        x = x.transpose(0, 3, 1, 2)
    made = np.ascontiguousarray(_cast(x, binding))
    if made.shape[1:] != binding.shape:
        raise DataError(
            f"array '{binding.array}' has samples of {list(made.shape[1:])} for input "
            f"'{binding.input}', not {list(binding.shape)}"
        )
    return made


def _cast(x: np.ndarray[Any, Any], binding: Binding) -> np.ndarray[Any, Any]:
    """To the input's dtype: floats are rounded, whole numbers must survive unchanged."""
    dtype = np.dtype("float32" if binding.quantized else binding.dtype)
    if x.dtype == dtype:
        return x
    with np.errstate(all="ignore"):
        made = x.astype(dtype)
        if dtype.kind == "f" and x.dtype.kind == "f":
            held = np.isfinite(made)
        else:
            held = made.astype(x.dtype) == x
            if dtype.kind in "iu":  # a float or wider integer may wrap there and back
                held &= (x >= np.iinfo(dtype).min) & (x <= np.iinfo(dtype).max)
    if not held.all():
        bad = ~held.all(axis=tuple(range(1, held.ndim)))
        first = int(np.argmax(bad))
        value = x[first][~held[first]].flat[0] if x.ndim > 1 else x[first]
        raise DataError(
            f"input '{binding.input}' takes {dtype}, which cannot hold {value} of array "
            f"'{binding.array}' in sample {first} ({int(bad.sum()):,} such samples in all)"
        )
    return made
