"""Recipes and what is known of their models and targets, without any model or target."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from edgeopt.planner import Known, make_plan
from edgeopt.recipe import Recipe, make_recipe
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.job import ArrayRef, Arrays
from edgeopt.schema.plan import Plan
from edgeopt.schema.target import Target, TargetFacts, TargetGroup, parse_target

BATCH = ("batch", 1, 28, 28)


def description(format: str = "torch", *facts: str) -> Description:
    signature = Signature(
        inputs=(Tensor(name="image", dtype="float32", shape=BATCH, layout="NCHW"),),
        outputs=(Tensor(name="logits", dtype="float32", shape=("batch", 10)),),
    )
    return Description(format=format, signature=signature, facts=frozenset(facts or ("float32",)))


def images(split: str, n: int = 32) -> Arrays:
    ref = ArrayRef(blob="0" * 64, dtype="uint8", shape=(n, 28, 28))
    return Arrays(split=split, n=n, arrays={"images": ref})


def group(asked: Target) -> TargetGroup:
    names = FOUND if asked.every else (asked.runtime,)
    return TargetGroup(
        asked=asked,
        members=tuple(
            (asked.on(name), TargetFacts(target=str(asked.on(name)), isa="x86_64-avx2"))
            for name in names
        ),
    )


FOUND = ("onnxruntime", "openvino", "litert", "torch")  # what a device has


def asked(
    passes: list[Any],
    source: Description | None = None,
    splits: tuple[str, ...] = ("calibration", "validation"),
    versions: Mapping[str, str] = MappingProxyType({}),  # of libraries; 1 of others
    **fields: Any,
) -> tuple[Recipe, Known]:
    """A recipe of these passes and what is known before it is planned."""
    source = source or description()
    recipe = make_recipe(
        {
            "model": {"factory": "net.py:net", "weights": "w.safetensors"}
            if source.format == "torch"
            else "m.onnx",
            "data": {
                "source": "d.npz",
                "inputs": {"image": "images"},
                "splits": {split: split for split in splits},
                "preprocess": [{"scale": 255}],
            },
            "passes": passes,
            **fields,
        }
    )
    known = Known(
        source=source,
        source_job="open",
        raw={split: images(split) for split in splits},
        raw_jobs={split: f"data:{split}" for split in splits},
        groups=tuple(group(parse_target(t)) for t in recipe.targets),
        host_isa="x86_64-avx2",
        version=lambda name: versions.get(name, "1"),
    )
    return recipe, known


def plan(passes: list[Any], *given: Any, **fields: Any) -> Plan:
    """The plan of ``asked``."""
    return make_plan(*asked(passes, *given, **fields))
