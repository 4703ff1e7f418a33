"""Every built-in pass does what a pass must, in each of its forms."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from edgeopt.environments import environments
from edgeopt.schemes import LITERT, OF_WEIGHTS, SCHEMES
from edgeopt.step import Pass, registry
from edgeopt.testing.passes import Facts, PassConformance

FLOAT16, INT8 = frozenset({"float16"}), frozenset({"qdq", "int8"})
TRAINED = frozenset({"float32", "fake-quantized", "qat-u8s8"})
FOR_LITERT = frozenset({"float32", "fake-quantized", "qat-int8"})
KERAS_INT8 = frozenset({"keras-int8"})
QUICK = {"epochs": 2, "batch": 8, "lr": 0.01}


class Case(NamedTuple):
    """A pass by its name and the format it takes, its fields, and what it must refuse."""

    name: str
    takes: str
    refused: tuple[Facts, ...]
    fields: dict[str, Any] = {}

    @property
    def step(self) -> Pass:
        return registry()[self.name, self.takes](**self.fields)


CASES = [
    Case("simplify-onnx", "onnx", (INT8,)),
    Case("slice-to-conv", "onnx", (INT8,)),
    Case("fp16", "onnx", (INT8, FLOAT16)),
    *(
        Case("quantize-int8", "onnx", (INT8, FLOAT16), {"scheme": each})
        for each in (*SCHEMES, *OF_WEIGHTS)
    ),
    Case("quantize-int8", "onnx", (INT8, FLOAT16), {"scheme": "u8s8", "per_channel": False}),
    Case("quantize-int8", "onnx", (INT8, FLOAT16), {"scheme": "u8s8", "calibration": "mse"}),
    Case("quantize-int8", "onnx", (INT8, FLOAT16), {"engine": "nncf", "scheme": "mixed"}),
    Case("quantize-int4", "onnx", (INT8, FLOAT16)),
    Case("quantize-int4", "onnx", (INT8, FLOAT16), {"form": "qdq", "block": 16}),
    Case("fp16", "tflite", (INT8, FLOAT16)),
    *(Case("quantize-int8", "tflite", (INT8, FLOAT16), {"scheme": each}) for each in LITERT),
    Case("quantize-int8", "tflite", (INT8, FLOAT16), {"scheme": "static-int8-io"}),
    Case("quantize-int8", "tflite", (INT8, FLOAT16), {"scheme": "int16x8"}),
    Case("quantize-int4", "tflite", (INT8, FLOAT16)),
    Case("export-onnx", "torch", (FLOAT16, FOR_LITERT)),
    Case("export-tflite", "torch", (FLOAT16,)),
    *(
        Case(name, takes, (FLOAT16, KERAS_INT8))
        for name in ("export-onnx", "export-tflite")
        for takes in ("keras", "savedmodel")
    ),
    *(
        Case("quantize-int8", takes, (FLOAT16, KERAS_INT8), {"engine": "tensorflow", **fields})
        for fields in ({}, {"scheme": "dynamic"})
        for takes in ("keras", "savedmodel")
    ),
    Case("to-torch", "keras", (FLOAT16, KERAS_INT8)),
    Case("to-torch", "onnx", (FLOAT16, INT8)),
    Case("export-tflite", "onnx", (FLOAT16,)),
    Case(
        "quantize-int8",
        "torch",
        (FLOAT16, TRAINED),
        {"engine": "neural-compressor", "scheme": "u8s8"},
    ),
    Case("prune-structured", "torch", (FLOAT16, TRAINED), {"macs": 0.6}),
    Case("prune-structured", "torch", (FLOAT16, TRAINED), {"ratio": {"first": 0.5}}),
    Case("prune-unstructured", "torch", (FLOAT16, TRAINED), {"sparsity": 0.5}),
    Case("prune-unstructured", "torch", (FLOAT16, TRAINED), {"pattern": "2:4"}),
    Case("prune-gradual", "torch", (FLOAT16, TRAINED), {"sparsity": 0.5, **QUICK}),
    Case("distill", "torch", (FLOAT16, TRAINED), QUICK),
    Case("qat", "torch", (FLOAT16, TRAINED), {"scheme": "u8s8", **QUICK}),
    Case("qat", "torch", (FLOAT16, TRAINED), {"scheme": "int8", **QUICK}),
]


def marked(case: Case) -> Any:
    """Formats of extras need them; of the forms of one pass all but the first are long."""
    first = next(c for c in CASES if (c.name, c.takes) == (case.name, case.takes))
    twin = case.takes == "savedmodel"  # its passes are those of Keras models
    tool = case.step.worker in environments()
    marks = [] if case is first and not twin and not tool else [pytest.mark.long]
    core = case.takes == "onnx" and not tool and "nncf" not in case.fields.values()
    marks += [] if core else [pytest.mark.extras]
    return pytest.param(case, marks=marks, id=f"{case.takes}-{case.step.label}")


class TestBuiltIn(PassConformance):
    @pytest.fixture(params=map(marked, CASES))
    def case(self, request: pytest.FixtureRequest) -> Case:
        found: Case = request.param
        return found

    @pytest.fixture
    def step(self, case: Case) -> Pass:
        return case.step

    @pytest.fixture
    def refused(self, case: Case) -> tuple[Facts, ...]:
        return case.refused


def test_every_built_in_pass_is_held_to_it() -> None:
    built_in = {key for key, kind in registry().items() if kind.__module__.startswith("edgeopt.")}
    assert {(case.name, case.takes) for case in CASES} == built_in
