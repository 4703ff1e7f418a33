"""A result as a real run makes it: eight candidates, one of each status."""

from __future__ import annotations

from typing import Any

from edgeopt.schema.artifact import Artifact, Description, Signature, Tensor
from edgeopt.schema.base import digest_of
from edgeopt.schema.constraint import Verdict, VerdictWord
from edgeopt.schema.measurement import Measurement, figure, span
from edgeopt.schema.result import CandidateResult, JobLists, PassRecord, Result, TargetResult

TARGET = "local/onnxruntime"
LABELS = ("export-onnx", "simplify-onnx", "quantize-int8(scheme=u8s8)")
RACE = "race: log-ratio per process, Student's t over processes"
SCORE = "top-1 over all samples, Wilson interval"
PAIRED = "paired difference on the same samples, Bonett-Price interval"
BOUND = "accuracy >= source - 1.0pt"
HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e"
SENTENCES = {
    "export-onnx": "close to the parent: largest difference 4.8e-06 on 16 samples",
    "simplify-onnx": "close to the parent: largest difference 0 on 16 samples",
}


def measured(
    ratio: tuple[float, float] | None, points: float | None, size: float, raced: str = "full"
) -> dict[str, Measurement]:
    """Figures of a candidate: ratio with half-width, points against source, bytes."""
    found = {
        "size": Measurement(quantity="size", value=size, unit="bytes", protocol="sum of the files"),
        "ratio.size": Measurement(quantity="ratio.size", value=size / 1_240_000, unit="x"),
    }
    if points is not None:
        value = 0.9386 + points / 100
        found["accuracy"] = Measurement(
            quantity="accuracy", value=value, unit="fraction", low=value - 0.0069,
            high=value + 0.0064, n=5000, protocol=SCORE,
        )  # fmt: skip
        found["difference.accuracy"] = Measurement(
            quantity="difference.accuracy", value=points / 100, unit="fraction",
            low=points / 100 - 0.0016, high=points / 100 + 0.0015, n=5000, protocol=PAIRED,
        )  # fmt: skip
        found["macro_f1"] = Measurement(
            quantity="macro_f1", value=value - 0.0004, unit="fraction", low=value - 0.007,
            high=value + 0.006, n=5000, protocol="bootstrap over samples",
        )  # fmt: skip
    if ratio is not None:
        value, half = ratio
        for name, factor in (("latency.p50", 1.62), ("latency.p99", 2.05)):
            found[f"ratio.{name}"] = Measurement(
                quantity=f"ratio.{name}", value=value, unit="x", low=value - half,
                high=value + half, n=5, protocol=RACE,
            )  # fmt: skip
            found[name] = Measurement(
                quantity=name, value=factor * value, unit="ms", low=factor * value * 0.97,
                high=factor * value * 1.04, n=5, protocol=RACE,
            )  # fmt: skip
        found["load_time"] = Measurement(
            quantity="load_time", value=11.2 + 4 * value, unit="ms", low=9.8, high=17.0, n=5
        )
    if raced == "full" and ratio is not None:
        found["memory.peak"] = Measurement(
            quantity="memory.peak", value=3.1e6 * (0.5 + ratio[0]), unit="bytes", low=2.4e6,
            high=4.9e6, n=5, protocol="fresh process each, peak above the start",
        )  # fmt: skip
    return found


def verdicts(found: dict[str, Measurement], quantity: str = "difference.accuracy") -> Any:
    """The verdict on the accuracy bound, as ``decide`` would word it."""
    if quantity not in found:
        return ()
    m = found[quantity]
    low, high = m.interval
    word: VerdictWord = "pass" if low >= -0.01 else "fail" if high < -0.01 else "inconclusive"
    told, interval = figure(m.value, "pt"), span(low, high, "pt")
    sentence = f"accuracy is {told} against source (95% interval {interval}); allowed 1.0pt: {word}"
    return (
        Verdict(
            constraint=BOUND, quantity="accuracy", verdict=word, value=m.value, low=low, high=high,
            bound=-0.01, margin=m.value + 0.01, basis="difference", unit="fraction",
            sentence=sentence,
        ),
    )  # fmt: skip


def chain(labels: tuple[str, ...], error: dict[str, str] | None = None) -> tuple[PassRecord, ...]:
    """Records of a chain; the error, if any, befell the last."""
    return tuple(
        PassRecord(
            label=label,
            name=label.partition("(")[0],
            job="/".join(labels[: index + 1]),
            seconds=4.2 - index,
            cached=index == 0,
            promise="close" if label in SENTENCES else "approximate",
            check={"sentence": SENTENCES[label]} if label in SENTENCES else {},
            error=error if index == len(labels) - 1 else None,
        )
        for index, label in enumerate(labels)
    )


def candidate(status: str, labels: tuple[str, ...], reason: str, **more: Any) -> CandidateResult:
    """A candidate whose measurements and verdicts fit each other."""
    found = more.pop("measurements", {})
    error = more.pop("error", None)
    name = "/".join(labels)
    artifact = Artifact(
        format="onnx",
        files={"model.onnx": digest_of(name)},
        size_bytes=int(found["size"].value) if found else 1,
    )
    form = {
        "id": f"{TARGET}#{name}", "chain": chain(labels, error), "label": " > ".join(labels),
        "status": status, "reason": reason, "artifact": None if error else artifact,
        "description": None if error else described(), "measurements": found,
        "verdicts": verdicts(found),
        "placement": {"CPUExecutionProvider": 17} if found else {},
    }  # fmt: skip
    return CandidateResult.model_validate({**form, **more})


def described() -> Description:
    """An image classifier."""
    image = Tensor(name="image", dtype="float32", shape=("batch", 1, 28, 28), layout="NCHW")
    logits = Tensor(name="logits", dtype="float32", shape=("batch", 10))
    return Description(
        format="onnx",
        signature=Signature(inputs=(image,), outputs=(logits,)),
        facts=frozenset({"float32"}),
    )


def candidates() -> tuple[CandidateResult, ...]:
    """One of each status."""
    export, simplify, u8s8 = LABELS
    tie = "a tie with the chosen within the uncertainty: 1.012x in their direct race"
    crash = {"type": "WorkerError", "what": f"the worker died of signal 11 {HOSTILE}", "where": ""}
    beside = Measurement(quantity="ratio.latency.p50", value=1.012, unit="x", low=0.998, high=1.026,
                         n=5, protocol=RACE)  # fmt: skip
    return (
        candidate("reference", (export,), "the source converted, nothing else: what all others "
                  "race against", measurements=measured((1.0, 0.006), 0.0, 1.24e6),
                  reference=True),
        candidate("chosen", (export, simplify, u8s8), "the best measured artifact; it holds on "
                  "the test split", measurements=measured((0.412, 0.006), -0.12, 3.29e5),
                  on_front=True, raced="final"),
        candidate("lost", (export, u8s8), tie,
                  measurements=measured((0.417, 0.008), -0.12, 3.36e5), raced="full",
                  against_chosen=beside),
        candidate("lost", (export, simplify), "latency.p50 0.97x against 0.41x of the chosen",
                  measurements=measured((0.971, 0.012), 0.0, 1.21e6), on_front=True,
                  raced="full"),
        candidate("screened", (export, simplify, "fp16"), "screened out by a short race: 1.31x "
                  "the reference's p50 latency",
                  measurements=measured((1.31, 0.07), 0.01, 6.2e5, "short"), raced="short"),
        candidate("infeasible", (export, simplify, "quantize-int8(scheme=u8s8-reduced)"),
                  "accuracy is 2.96pt below source; allowed 1.0pt: fail",
                  measurements=measured((0.43, 0.02), -2.96, 3.29e5, "short"), raced="short"),
        candidate("inconclusive", (export, simplify, "quantize-int8(scheme=s8s8)"),
                  "accuracy is 0.92pt below source (-1.08 to -0.77pt): inconclusive",
                  measurements=measured((0.46, 0.03), -0.92, 3.29e5, "short"), raced="short"),
        candidate("unmeasured", (export, "fp16"), "not raced: the time limit was reached",
                  measurements=measured(None, -0.02, 6.3e5), raced=""),
        candidate("failed", (export, simplify, HOSTILE), crash["what"], error=crash, raced=""),
    )  # fmt: skip


def sample_target(**changed: Any) -> TargetResult:
    """The decision on one target."""
    found = candidates()
    chosen = found[1]
    tested = measured(None, -0.21, 3.29e5)
    form = {
        "target": TARGET,
        "objective": "latency.p50",
        "machine": {
            "isa": "x86_64-avx512_vnni", "runtime_version": "1.32.0", "cores": 2, "load": 0.42,
            "cpu": "Intel(R) Xeon(R) Platinum 8488C", "memory_bytes": 16_000_000_000,
            "governor": "", "system": "Linux", "kernel": "6.1.0", "features": ["avx2", "fma"],
        },
        "reference": found[0].id,
        "source": {"accuracy": found[0].measurements["accuracy"]},
        "candidates": found,
        "chosen": chosen.id,
        "path": "best/local-onnxruntime/model.onnx",
        "verdict": "chosen",
        "sentence": f"{chosen.id.partition('#')[2]} is the best measured artifact; it holds on "
        "the test split",
        "test": {
            "n": 10000,
            "measurements": {name: m.to_json() for name, m in tested.items()},
            "verdicts": [verdict.to_json() for verdict in verdicts(tested)],
        },
    }  # fmt: skip
    return TargetResult.model_validate({**form, **changed})


def sample_result(*targets: TargetResult, **changed: Any) -> Result:
    """A whole run."""
    form = {
        "edgeopt": "0.1.0",
        "started": "2026-03-04T10:20:30+00:00",
        "seconds": 93.4,
        "recipe": {
            "model": {"format": "torch", "factory": "net.py:resnet", "weights": "w.safetensors"},
            "targets": [TARGET], "constraints": [BOUND], "seed": 0,
        },
        "recipe_path": "fashion-mnist.yaml",
        "source": {"digest": digest_of("source"), "artifact": {}, "description": {}},
        "data": {
            split: {
                "n": n,
                "digest": digest_of(split),
                "labels": {"label": digest_of("label" + split)},
            }
            for split, n in (("calibration", 512), ("validation", 5000), ("test", 10000))
        },
        "versions": {"edgeopt": "0.1.0", "onnx": "1.23.2", "onnxruntime": "1.32.0"},
        "jobs": JobLists(ran=("a", "b"), cached=("c",), failed=("d",)),
        "targets": targets or (sample_target(),),
        "notes": ("not planned: fp16 after quantize-int8: its weights are int8 already",),
        "exit_code": 0,
    }  # fmt: skip
    return Result.model_validate({**form, **changed})
