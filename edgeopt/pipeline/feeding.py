"""How an entry was fed and read, for whoever ships its artifact."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeopt.answers.labels import fit, form_of_tensor
from edgeopt.data.tensors import Binding
from edgeopt.decide.entry import Entry
from edgeopt.pipeline.labelled import told_of
from edgeopt.pipeline.measure import Bench
from edgeopt.planner import tensors_job
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.feeding import Input, Output, Scaling
from edgeopt.schema.job import ArrayRef

SPLIT = "validation"


def inputs_of(bench: Bench, entry: Entry) -> tuple[Input, ...]:
    """Each input of an entry and the raw values that it was made of, in the signature's order."""
    description, raw = entry.described, bench.known.raw[SPLIT]
    job = tensors_job(bench.recipe, bench.known, SPLIT, description, entry.plan.job)
    tensors = {tensor.name: tensor for tensor in description.signature.inputs}
    inputs = []
    for each in job.params["bind"]:
        bound = Binding.model_validate(each)
        tensor = tensors[bound.input]
        if bound.value is not None:
            inputs.append(_constant(bound, tensor))
            continue
        ref = raw.arrays[bound.array]
        layout = tensor.layout or bound.layout
        inputs.append(
            Input(
                tensor=tensor.model_copy(update={"layout": layout}),
                array=bound.array,
                raw_dtype=ref.dtype,
                raw_shape=ref.shape[1:],
                raw_layout=bound.raw_layout,
                decoded=_decoded(bench.recipe, ref.shape[1:]),
                steps=tuple(Scaling(subtract=s.subtract, divide=s.divide) for s in bound.steps),
                quantized=bound.quantized,
            )
        )
    return tuple(inputs)


def _constant(bound: Binding, tensor: Tensor) -> Input:
    """An input that is fed the same number with every sample."""
    return Input(
        tensor=tensor, array="", raw_dtype=tensor.dtype, raw_shape=bound.shape,
        quantized=bound.quantized, constant=bound.value,
    )  # fmt: skip


def outputs_of(bench: Bench, entry: Entry) -> tuple[Output, ...]:
    """Each output of an entry, with the labels and names of classes of the source's own.

    Outputs are the source's by equal names, else by position, as in every comparison.
    """
    mine, theirs = entry.described.signature.outputs, bench.known.source.signature.outputs
    by_name = {tensor.name for tensor in mine} == {tensor.name for tensor in theirs}
    of = mine if by_name else theirs
    kept = bench.kept_of_source(SPLIT)
    return tuple(
        _output(bench, tensor, own, kept.get(own.name))
        for tensor, own in zip(mine, of, strict=False)
    )


def _output(bench: Bench, tensor: Tensor, own: Tensor, kept: ArrayRef | None) -> Output:
    known = bench.known
    label, kind = known.labelled.get(own.name, ""), ""
    if any(label in arrays.labels for arrays in known.raw.values()):
        kind = fit(told_of(label, known.raw, bench.store).form, form_of_tensor(own))
    names = known.classes.get(own.name, ())
    form = {"tensor": tensor, "of": own.name, "label": label, "kind": kind, "classes": names}
    if kept is not None and (kind == "classes" or names):
        form["probabilities"] = _probabilities(bench.store.get_array(kept))
    return Output.model_validate(form)


def _probabilities(scores: Any) -> bool | None:
    """Whether (n, classes) of scores are probabilities; None for any other shape."""
    if scores.ndim != 2 or scores.shape[1] < 2:
        return None
    rows = np.asarray(scores, np.float64)
    return bool((rows >= 0).all() and np.allclose(rows.sum(axis=-1), 1.0, atol=1e-3))


def _decoded(recipe: Recipe, shape: tuple[int, ...]) -> str:
    """How image files became the raw values; empty for data that came as arrays."""
    data = recipe.data
    if data is None or recipe.held or not (recipe.root / data.source).is_dir():
        return ""
    colours = "colours in the order red, green, blue" if len(shape) == 3 else "gray"
    size = f", resized to {data.resize[0]} x {data.resize[1]} (bilinear)" if data.resize else ""
    return f"decoded image files, {colours}{size}"
