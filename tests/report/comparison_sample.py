"""A comparison as a real one is made: one target, a bound that holds and one that does not."""

from __future__ import annotations

from typing import Any

from edgeopt.schema.comparison import Answers, ComparedPair, ComparedSide, Comparison
from edgeopt.schema.constraint import Verdict
from edgeopt.schema.measurement import Measurement

HOSTILE = "<b>*_a_*</b>|\x1b[31m\u202e\x00"


def verdict(word: str, text: str) -> Verdict:
    return Verdict.model_validate({
        "constraint": text, "quantity": "size", "verdict": word, "value": 0, "low": 0, "high": 0,
        "bound": 1, "margin": 0, "basis": "absolute", "unit": "bytes",
        "sentence": f"{text}, so {word}",
    })  # fmt: skip


def side(name: str, size: float) -> ComparedSide:
    found = {"size": Measurement(quantity="size", value=size, unit="bytes")}
    return ComparedSide(name=name, target="local/onnxruntime", measurements=found)


def sample_comparison(**changed: Any) -> Comparison:
    pair = ComparedPair(
        target="local/onnxruntime",
        a=side("a.onnx", 1_240_000),
        b=side("b.onnx", 312_000),
        against={"ratio.size": Measurement(quantity="ratio.size", value=0.2516, unit="x")},
        answers=Answers(n=1000, changed=3, worst=17),
        verdicts=(
            verdict("pass", "size <= 1 MB"),
            verdict("fail", "accuracy >= a"),
            verdict("inconclusive", "latency.p50 <= a"),
        ),
        notes=("p99 of few inferences",),
    )
    form = {
        "edgeopt": "0.1.0", "kind": "models", "a": "a.onnx", "b": HOSTILE, "samples": "1,000 of d",
        "pairs": (pair,), "undecided": {"local/litert": "unmet: none keeps it"},
        "notes": ("files are of unlike formats",), "exit_code": 3,
    }  # fmt: skip
    return Comparison.model_validate({**form, **changed})
