"""From raw arrays to model inputs: a pure plan (``bind``), then the work (``make_tensors``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from edgeopt.data.constants import Constant, arrays_named, check_value, constants_of
from edgeopt.data.constants import for_torch as constant_for_torch
from edgeopt.data.layouts import SAID, doubt, for_torch, given_for, reading_of
from edgeopt.data.preprocess import Step, preprocessed, steps_for
from edgeopt.data.quantized import quantized
from edgeopt.schema.artifact import Signature, Tensor
from edgeopt.schema.base import Noun
from edgeopt.schema.errors import DataError, did_you_mean
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.store import Store

Layout = str | Mapping[str, str] | None
Inputs = Mapping[str, str | Constant] | None


class Binding(Noun):
    """How one model input is made of one raw array; ``shape`` is that of a sample.

    Of a constant, ``value`` is given in place of an array. ``whole``: it is the same for all
    samples of a batch, and ``shape`` is all that the model is fed.
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
    value: Constant | None = None
    whole: bool = False
    axis: int = 0  # on which the model takes its samples

    def to_json(self) -> dict[str, Any]:
        """Without what only constants say."""
        json, constant = super().to_json(), self.whole or self.value is not None
        left_out = (() if constant else ONLY_CONSTANTS) + (() if self.axis else ("axis",))
        return {k: json[k] for k in json if k not in left_out}


ONLY_CONSTANTS = ("value", "whole")


def bind(
    raw: Arrays,
    preprocess: Any,
    signature: Signature,
    inputs: Inputs = None,
    layout: Layout = None,
    codes: Collection[str] = (),
) -> list[dict[str, Any]]:
    """One Binding, as JSON, for each input of ``signature``; pure, no sample is read.

    ``inputs`` maps model inputs to raw arrays, or to a number or boolean, a constant; where it
    names no array, arrays are taken by equal names, or the only array for the only other input.
    ``layout`` is that of the raw arrays, one for all or by input; where there is none, an array
    is fed as it is if it fits, else as images.
    ``codes`` names the quantized inputs: real values become codes there, and an array that
    has the input's own dtype and no steps is taken for codes already. Raises DataError for a
    shape or dtype that does not fit, naming input and array; UsageError for a preprocess step
    that cannot be read.
    """
    names = [tensor.name for tensor in signature.inputs]
    chosen, constants = _arrays_of(raw, names, inputs), constants_of(inputs)
    unknown = set(preprocess) - set(names) if isinstance(preprocess, Mapping) else set()
    for name in sorted(unknown):
        raise DataError(
            f"preprocess names '{name}', which is not an input", hint=did_you_mean(name, names)
        )
    bound = [
        constant(tensor, constants[tensor.name], tensor.name in codes)
        if tensor.name in constants
        else whole(tensor, raw, chosen[tensor.name])
        if chosen[tensor.name] in raw.axes
        else _bound(
            tensor,
            chosen[tensor.name],
            raw.arrays[chosen[tensor.name]],
            steps_for(preprocess, tensor.name),
            given_for(layout, tensor.name),
            tensor.name in codes,
        )
        for tensor in signature.inputs
    ]
    return [each.to_json() for each in bound]


def layouts_read(
    raw: Arrays, signature: Signature, inputs: Inputs, layout: str | None
) -> dict[str, str]:
    """The layout of the raw array of each input as ``signature``, the source's, takes it.

    Artifacts made of the source read arrays so, whatever layout they take themselves; empty
    where the axes mean nothing in particular. Raises DataError as ``bind`` does.
    """
    chosen = _arrays_of(raw, [tensor.name for tensor in signature.inputs], inputs)
    return {
        t.name: reading_of(chosen[t.name], raw.arrays[chosen[t.name]], t.batch_first, layout).raw
        for t in signature.inputs
        if t.name in chosen and t.shape and chosen[t.name] not in raw.axes
    }


def doubts(
    raw: Arrays,
    signature: Signature,
    inputs: Inputs,
    also: Mapping[str, str],
) -> list[str]:
    """What to tell of arrays that are fed as they are and could be read otherwise.

    ``also`` are layouts by input in which a network without a signature ran, too.
    """
    chosen = _arrays_of(raw, [tensor.name for tensor in signature.inputs], inputs)
    messages = [
        doubt(chosen[t.name], raw.arrays[chosen[t.name]], t.batch_first, also.get(t.name, ""))
        for t in signature.inputs
        if t.name in chosen
    ]
    return [each for each in messages if each]


def sample_inputs(
    raw: Arrays,
    preprocess: Any,
    inputs: Inputs = None,
    layout: str | None = None,
) -> dict[str, dict[str, Any]]:
    """What the raw arrays make of a model that has no signature yet (torch), by input.

    ``layouts.for_torch`` says what is in each. Raises DataError for an array that is not there.
    """
    mapping = arrays_named(inputs) or {name: name for name in raw.arrays}
    _arrays_of(raw, list(mapping), mapping)
    arrays = {
        name: for_torch(raw.arrays[array], preprocess, name, layout)
        for name, array in mapping.items()
    }
    return arrays | {name: constant_for_torch(v) for name, v in constants_of(inputs).items()}


def make_tensors(
    raw: Arrays, params: Mapping[str, Any], store: Store, signature: Signature | None = None
) -> Arrays:
    """The arrays that ``params["bind"]`` (a list from ``bind``) says, by model input.

    ``signature`` is the model's as it was made: it has the scales of quantized inputs. No
    labels and no hashes: they stay with the raw arrays. Raises DataError naming input,
    array and first sample for values that the input's dtype cannot hold.
    """
    refs: dict[str, ArrayRef] = {}
    axes: dict[str, int | None] = {}
    for json in params["bind"]:
        binding = Binding.model_validate(json)
        if binding.value is not None:
            shape = binding.shape if binding.whole else (raw.n, *binding.shape)
            prepared = np.full(shape, binding.value, _dtype(binding))
        elif binding.whole:
            prepared = _cast(store.get_array(raw.arrays[binding.array]), binding)
        else:
            prepared = _made(store.get_array(raw.arrays[binding.array]), binding)
        if binding.whole or binding.axis:
            axes[binding.input] = None if binding.whole else binding.axis
        if binding.quantized:
            assert signature is not None, "quantized inputs come with their model"
            tensors = {tensor.name: tensor for tensor in signature.inputs}
            prepared = quantized(prepared, tensors[binding.input])
        refs[binding.input] = store.put_array(prepared)
    return Arrays(
        split=raw.split, n=raw.n, arrays=refs, axes=axes, outputs=dict(params.get("outputs", {}))
    )


def axes_of(signature: Signature) -> dict[str, Any]:
    """``{"outputs": ...}`` for ``make_tensors``: the axis of the samples in each output that has
    them on another than the first; empty where none has."""
    axes = {tensor.name: tensor.batch_axis for tensor in signature.outputs if tensor.batch_axis}
    return {"outputs": axes} if axes else {}


def _arrays_of(raw: Arrays, names: list[str], given: Inputs) -> Mapping[str, str]:
    """Model input -> raw array. Raises DataError for an input or array that is missing."""
    inputs, constants = arrays_named(given), constants_of(given)
    sampled = [name for name in names if name not in constants]
    if inputs is None:
        only = list(raw.arrays)
        alone = len(sampled) == len(only) == 1
        inputs = {sampled[0]: only[0]} if alone else {n: n for n in sampled if n in raw.arrays}
    for name in [*inputs, *constants]:
        if name not in names:
            raise DataError(
                f"the model has no input '{name}' (data.inputs)", hint=did_you_mean(name, names)
            )
    for name in sampled:
        if name not in inputs:
            known = ", ".join(f"'{array}'" for array in raw.arrays)
            raise DataError(
                f"no array is given for the model's input '{name}'",
                hint=f"name one under data.inputs, or a number that is the same for all samples; "
                f"split '{raw.split}' has {known}",
            )
        if inputs[name] not in raw.arrays:
            raise DataError(
                f"split '{raw.split}' has no array '{inputs[name]}' for input '{name}'",
                hint=did_you_mean(inputs[name], raw.arrays),
            )
    return inputs


def constant(tensor: Tensor, value: Constant, codes: bool) -> Binding:
    """The binding of a number that is the same for all samples. Raises DataError.

    An input whose first axis is free takes it once for each sample, others the whole of it.
    """
    shape = list(tensor.shape)
    whole = not shape or not isinstance(shape[0], str)
    free = [dim for dim in (shape if whole else shape[1:]) if isinstance(dim, str)]
    if free:
        raise DataError(
            f"input '{tensor.name}' is {shape}: a constant does not say how large {free[0]} is",
            hint="name an array for it under data.inputs",
        )
    if not codes:
        check_value(tensor, value)
    return Binding(
        input=tensor.name, array="", dtype=tensor.dtype, value=value, quantized=codes,
        whole=whole, shape=tuple(int(n) for n in (shape if whole else shape[1:])),
    )  # fmt: skip


def whole(tensor: Tensor, raw: Arrays, array: str) -> Binding:
    """The binding of an array that is a constant itself. Raises DataError for another shape."""
    shape = raw.arrays[array].shape
    if shape != tensor.shape:
        raise DataError(
            f"array '{array}' is {list(shape)}, input '{tensor.name}' takes {list(tensor.shape)}"
        )
    return Binding(input=tensor.name, array=array, dtype=tensor.dtype, shape=shape, whole=True)


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
            hint=f"give it a constant under data.inputs, such as {{{tensor.name}: 1}}",
        )
    reading = reading_of(array, ref, tensor.batch_first, layout)
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
        axis=tensor.batch_axis,
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


def _dtype(binding: Binding) -> np.dtype[Any]:
    return np.dtype("float32" if binding.quantized else binding.dtype)


def _cast(x: np.ndarray[Any, Any], binding: Binding) -> np.ndarray[Any, Any]:
    """To the input's dtype: floats are rounded, whole numbers must survive unchanged."""
    dtype = _dtype(binding)
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
