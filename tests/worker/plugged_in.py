"""Passes for the tests of the worker: some honest, some not."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper

from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.errors import PassError
from edgeopt.step import EXACT, Pass, PassContext, close


class OnnxPass(Pass):
    """What they share; it has no name, and is none itself."""

    name = "plain"
    takes = gives = "onnx"
    worker = "onnx"


def weights(model: Any) -> Any:
    return numpy_helper.to_array(model.graph.initializer[0]).copy()


def with_weights(model: Any, values: Any) -> Any:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "w"))
    return model


class Keep(OnnxPass):
    name = "keep"
    promise = EXACT

    def run(self, model: Any, ctx: PassContext) -> Any:
        return model


class Scale(OnnxPass):
    name = "scale"
    factor: float = 1.0
    promise = close(rtol=1e-3, atol=0.0)

    def requires(self, d: Description) -> None:
        if self.factor == 0:
            raise PassError("a factor of zero leaves nothing")

    def run(self, model: Any, ctx: PassContext) -> Any:
        return with_weights(model, weights(model) * np.float32(self.factor))


class Double(OnnxPass):
    """Its work is in another module."""

    name = "double"
    body = "plugged_in_body"


class Noise(OnnxPass):
    """Random in three ways; the seed must tame them all."""

    name = "noise"

    def run(self, model: Any, ctx: PassContext) -> Any:
        noise = np.random.rand() + random.random() + np.random.default_rng(ctx.seed).random()
        return with_weights(model, weights(model) + np.float32(noise))


class FromData(OnnxPass):
    """Needs its calibration split, and may ask for another."""

    name = "from-data"
    splits = ("calibration",)
    ask: str = "calibration"

    def run(self, model: Any, ctx: PassContext) -> Any:
        x = ctx.data(self.ask)["x"]
        assert not x.flags.writeable
        for step in range(3):
            ctx.progress(step + 1, 3, mean=np.float32(x.mean()))
        return with_weights(model, weights(model) + x.mean())


class Taught(OnnxPass):
    """Sees labels, the source and a folder that outlives it, where it asks for what it may."""

    name = "taught"
    splits = ("calibration",)
    labels = teaches = True
    ask: str = "calibration"
    code_named: str = ""

    def run(self, model: Any, ctx: PassContext) -> Any:
        labels = ctx.labels(self.ask)
        assert len(labels) == len(ctx.data("calibration")["x"])
        if self.code_named:
            ctx.code(self.code_named)
        before = list(ctx.checkpoints.iterdir())
        (ctx.checkpoints / "seen").write_text(str(labels.sum()))
        if self.ask == "calibration" and not before and ctx.seed == 1:
            raise PassError("killed on the way")
        assert np.array_equal(weights(ctx.teacher()), weights(model))
        return with_weights(model, weights(model) + float(labels.sum()) + len(before))


class Liar(OnnxPass):
    name = "liar"

    def effect(self, d: Description) -> Description:
        return d.model_copy(update={"facts": d.facts | {"int8"}})

    def run(self, model: Any, ctx: PassContext) -> Any:
        return model


class Noisy(OnnxPass):
    """Writes where it should not, reads what is not there, and returns a file."""

    name = "noisy"

    def run(self, model: Any, ctx: PassContext) -> Any:
        print('{"outcome": {"job": "forged"}}', flush=True)
        os.write(1, b'{"progress": {"done": 99}}\n')
        assert os.read(0, 10) == b""
        assert list(ctx.workdir.iterdir()) == []
        Path("left-behind").write_text("in the current folder")
        try:
            import torch  # noqa: F401
        except ImportError:
            out = ctx.workdir / "out.onnx"
            out.write_bytes(model.SerializeToString())
            return out
        raise AssertionError("torch can be imported beside ONNX")


class FixBatch(OnnxPass):
    """A batch of four: the check must fill up the last one."""

    name = "fix-batch"
    promise = EXACT

    def effect(self, d: Description) -> Description:
        (x,), (y,) = d.signature.inputs, d.signature.outputs
        fixed = Signature(
            inputs=(x.model_copy(update={"shape": (4, *x.shape[1:])}),),
            outputs=(y.model_copy(update={"shape": (4, *y.shape[1:])}),),
        )
        return d.model_copy(update={"signature": fixed, "facts": d.facts | {"static-batch"}})

    def run(self, model: Any, ctx: PassContext) -> Any:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 4
        return model


class Narrow(OnnxPass):
    """Fewer classes than its parent."""

    name = "narrow"

    def effect(self, d: Description) -> Description:
        (y,) = d.signature.outputs
        fewer = d.signature.model_copy(
            update={"outputs": (y.model_copy(update={"shape": ("batch", 2)}),)}
        )
        return d.model_copy(update={"signature": fewer})

    def run(self, model: Any, ctx: PassContext) -> Any:
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
        return with_weights(model, weights(model)[:, :2])


class Poison(OnnxPass):
    name = "poison"

    def run(self, model: Any, ctx: PassContext) -> Any:
        values = weights(model)
        values[0, 0] = np.nan
        return with_weights(model, values)


class Given(OnnxPass):
    """Gives what no format can save."""

    name = "given"
    what: str = "nothing"

    def run(self, model: Any, ctx: PassContext) -> Any:
        return None if self.what == "nothing" else self.what
