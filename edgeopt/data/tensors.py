"""From raw arrays to model inputs: a pure plan (``bind``), then the work (``make_tensors``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from edgeopt.data.layouts import SAID, doubt, for_torch, given_for, reading_of
from edgeopt.data.preprocess import Step, preprocessed, steps_for
from edgeopt.data.quantized import quantized
from edgeopt.schema.artifact import Signature, Tensor
from edgeopt.schema.base import Noun
from edgeopt.schema.errors import DataError, did_you_mean
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

Layout = str | Mapping[str, str] | None


class Binding(Noun):
    """How one model input is made of one raw array; ``shape`` is that of a sample.

    ``raw_layout`` and ``layout`` are empty where the axes mean nothing in particular. Values of a
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
    layout: Layout = None,
    codes: Collection[str] = (),
) -> list[dict[str, Any]]:
    """One Binding, as JSON, for each input of ``signature``; pure, no sample is read.

    ``inputs`` maps model inputs to raw arrays; where None, arrays are taken by equal names,
    or the only array for the only input. ``layout`` is that of the raw arrays, one for all or
    by input; where there is none, an array is fed as it is if it fits, else as images.
    ``codes`` names the quantized inputs: real values become codes there, and an array that
    has the input's own dtype and no steps is taken for codes already. Raises DataError for a
    shape or dtype that does not fit, naming input and array; UsageError for a preprocess step
    that cannot be read.
    """
    names = [tensor.name for tensor in signature.inputs]
    chosen = _arrays_of(raw, names, inputs)
    unknown = set(preprocess) - set(names) if isinstance(preprocess, Mapping) else set()
    for name in sorted(unknown):
        raise DataError(
            f"preprocess names '{name}', which is not an input", hint=did_you_mean(name, names)
        )
    return [
        _bound(
            tensor,
            chosen[tensor.name],
            raw.arrays[chosen[tensor.name]],
            steps_for(preprocess, tensor.name),
            given_for(layout, tensor.name),
            tensor.name in codes,
        ).to_json()
        for tensor in signature.inputs
    ]


def layouts_read(
    raw: Arrays, signature: Signature, inputs: Mapping[str, str] | None, layout: str | None
) -> dict[str, str]:
    """The layout of the raw array of each input as ``signature``, the source's, takes it.

    Artifacts made of the source read arrays so, whatever layout they take themselves; empty
    where the axes mean nothing in particular. Raises DataError as ``bind`` does.
    """
    chosen = _arrays_of(raw, [tensor.name for tensor in signature.inputs], inputs)
    return {
        t.name: reading_of(chosen[t.name], raw.arrays[chosen[t.name]], t, layout).raw
        for t in signature.inputs
    }


def doubts(
    raw: Arrays,
    signature: Signature,
    inputs: Mapping[str, str] | None,
    also: Mapping[str, str],
) -> list[str]:
    """What to tell of arrays that are fed as they are and could be read otherwise.

    ``also`` are layouts by input in which a network without a signature ran, too.
    """
    chosen = _arrays_of(raw, [tensor.name for tensor in signature.inputs], inputs)
    messages = [
        doubt(chosen[t.name], raw.arrays[chosen[t.name]], t, also.get(t.name, ""))
        for t in signature.inputs
    ]
    return [each for each in messages if each]


def sample_inputs(
    raw: Arrays,
    preprocess: Any,
    inputs: Mapping[str, str] | None = None,
    layout: str | None = None,
) -> dict[str, dict[str, Any]]:
    """What the raw arrays make of a model that has no signature yet (torch), by input.

    ``layouts.for_torch`` says what is in each. Raises DataError for an array that is not there.
    """
    mapping = {name: name for name in raw.arrays} if inputs is None else dict(inputs)
    _arrays_of(raw, list(mapping), mapping)
    return {
        name: for_torch(raw.arrays[array], preprocess, name, layout)
        for name, array in mapping.items()
    }


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
        prepared = _made(array, binding)
        if binding.quantized:
            assert signature is not None, "quantized inputs come with their model"
            tensors = {tensor.name: tensor for tensor in signature.inputs}
            prepared = quantized(prepared, tensors[binding.input])
        refs[binding.input] = store.put_array(prepared)
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
    reading = reading_of(array, ref, tensor, layout)
    codes = codes and (bool(steps) or ref.dtype != tensor.dtype)
    if not codes:
        _check_dtypes(tensor, array, ref, steps)
    channels = (reading.shape or (1,))[0 if reading.layout == "NCHW" else -1]
    for step in steps:
        if step.channels not in (1, channels):
            raise DataError(
                f"{step.kind} of input '{tensor.name}' has {step.channels} numbers, "
                f"array '{array}' has {channels} channels",
                hint=SAID if reading.layout else "the last axis holds the channels",
            )
    return Binding(
        input=tensor.name,
        array=array,
        dtype=tensor.dtype,
        shape=reading.shape,
        layout=reading.layout,
        raw_layout=reading.raw,
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
    prepared = np.ascontiguousarray(_cast(x, binding))
    if prepared.shape[1:] != binding.shape:
        raise DataError(
            f"array '{binding.array}' has samples of {list(prepared.shape[1:])} for input "
            f"'{binding.input}', not {list(binding.shape)}"
        )
    return prepared


def _cast(x: np.ndarray[Any, Any], binding: Binding) -> np.ndarray[Any, Any]:
    """To the input's dtype: floats are rounded, whole numbers must survive unchanged."""
    dtype = np.dtype("float32" if binding.quantized else binding.dtype)
    if x.dtype == dtype:
        return x
    with np.errstate(all="ignore"):
        converted = x.astype(dtype)
        if dtype.kind == "f" and x.dtype.kind == "f":
            held = np.isfinite(converted)
        else:
            held = converted.astype(x.dtype) == x
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
    return converted
