"""The emulation itself: made, repaired, interrupted; agents on its cores and what they count."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from edgeopt.bench.jobs import run_bench
from edgeopt.schema.errors import DeviceError, UsageError
from edgeopt.schema.job import Arrays, Job, Outcome, Request
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.transport.kinds import device_named

MODEL = Path(__file__).parents[3] / "models" / "fashion_mnist"


def test_a_device_without_its_emulation_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEOPT_EMULATION", str(tmp_path / "none"))
    device = type(device_named("emulated:cortex-a53"))("emulated:cortex-a53")
    with pytest.raises(DeviceError, match="not set up") as caught:
        device.facts(parse_target("emulated:cortex-a53/onnxruntime"))
    assert caught.value.hint == "run 'edgeopt devices setup emulated'"


def test_more_than_one_thread_is_refused() -> None:
    with pytest.raises(UsageError, match="counted for one thread, not 2"):
        device_named("emulated:cortex-a53").facts(
            parse_target("emulated:cortex-a53/onnxruntime?threads=2")
        )


@pytest.mark.long
@pytest.mark.parametrize(
    ("core", "isa"), [("cortex-a53", "aarch64-asimd"), ("haswell", "x86_64-avx2")]
)
def test_an_agent_on_a_core_says_what_the_core_is(emulation: Path, core: str, isa: str) -> None:
    facts = device_named(f"emulated:{core}").facts(parse_target(f"emulated:{core}/onnxruntime"))
    assert facts.isa == isa
    assert "avx512_vnni" not in facts.features and "asimddp" not in facts.features
    assert set(facts.quantities) == {"instructions", "bytes", "size"}
    assert facts.runtime_version


@pytest.mark.long
def test_an_inference_repeats_within_a_thousandth(emulation: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        folder = tmp_path / "artifact"
        folder.mkdir()
        (folder / "model.onnx").write_bytes((MODEL / "source.onnx").read_bytes())
        artifact = store.put_artifact(folder, "onnx")
        x = np.random.default_rng(0).standard_normal((4, 1, 28, 28)).astype(np.float32)
        arrays = Arrays(split="x", n=4, arrays={"image": store.put_array(x)})
        made = Outcome(job="a", status="ok", digest="a", value={"artifact": artifact.to_json()})
        fed = Outcome(job="s", status="ok", digest="s", value=arrays.to_json())
        sides = ("a", "b")
        target = "emulated:cortex-a53/onnxruntime"
        params = {"targets": dict.fromkeys(sides, target), "protocol": "count"}
        request = Request(
            job=Job(id="count", kind="race", name="count", worker="bench", params=params),
            inputs={**dict.fromkeys(sides, made), "samples:a": fed, "samples:b": fed},
            store=str(store.root),
            workdir=str(tmp_path),
        )
        digest, value = run_bench(request, lambda *_, **__: None, threading.Event())
        pairs = json.loads(store.get_bytes(digest))["pairs"]
    ratio = Measurement.model_validate(value["ratio"]["instructions"])
    assert ratio.value == pytest.approx(1.0, abs=1e-3)
    assert set(ratio.marks) <= {"wide"}, "a single repeat may hold what Python does now and then"
    for side in sides:
        totals = np.array(pairs[side])[:, :5].sum(axis=1)
        off = np.abs(totals / np.median(totals) - 1) > 1e-3
        assert off.sum() <= 0.1 * len(totals)
        figures = {k: Measurement.model_validate(m) for k, m in value[side].items()}
        parts = sum(m.value for k, m in figures.items() if k.startswith("instructions."))
        assert parts == pytest.approx(figures["instructions"].value, rel=1e-3)
        macs = 9_200_000 / 4  # at least what four lanes need, of some tens of millions
        assert figures["instructions.vector_mac"].value > macs
        assert figures["bytes.loaded"].value > artifact.size_bytes / 2
