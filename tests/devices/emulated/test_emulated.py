"""The emulation itself: made, repaired, interrupted; agents on its cores and what they count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edgeopt.bench.jobs import run_bench
from edgeopt.devices.emulated import building
from edgeopt.devices.emulated.cores import CORES
from edgeopt.devices.emulated.folder import broken, manifest
from edgeopt.schema.errors import DeviceError, UsageError
from edgeopt.schema.job import Arrays, Job, Outcome, Request
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.transport.kinds import device_named

EDGEOPT = Path(sys.executable).with_name("edgeopt")
MODEL = Path(__file__).parents[3] / "models" / "fashion_mnist"


def test_an_unknown_core_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="no emulated core 'cortex-a77'") as caught:
        device_named("emulated:cortex-a77")
    assert "cortex-a76" in caught.value.hint


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


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_no_core_is_the_one_that_answers_wrongly(core: object) -> None:
    assert core.cpu not in ("max", "host")  # type: ignore[attr-defined]


@pytest.mark.long
def test_a_changed_file_is_found_and_made_again(emulation: Path) -> None:
    noted = manifest(emulation)
    assert len(noted["unpacked"]) > 1000 and len(noted["downloads"]) > 40
    name = next(n for n in noted["unpacked"] if n.endswith("numpy/__init__.py"))
    (emulation / name).write_text("raise SystemExit('changed')\n")
    assert broken(emulation, "unpacked") == [name]
    done = subprocess.run([EDGEOPT, "devices", "setup", "emulated", "--json"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    told = json.loads(done.stdout)
    assert (told["state"], told["repaired"]) == ("repaired", [name])
    assert manifest(emulation)["unpacked"] == noted["unpacked"]
    assert building.setup(emulation, tell=lambda _text: None)["state"] == "sound"


@pytest.mark.long
def test_an_interrupted_set_up_leaves_nothing_half_made(tmp_path: Path) -> None:
    place = tmp_path / "emulated"
    process = subprocess.Popen(
        [EDGEOPT, "devices", "setup", "emulated"],
        env={**os.environ, "EDGEOPT_EMULATION": str(place)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert any("downloading" in line for line in process.stderr)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert [path.name for path in tmp_path.iterdir()] == [".emulated.lock"]


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
    assert not ratio.marks
    for side in sides:
        totals = np.array(pairs[side])[:, :5].sum(axis=1)
        assert np.ptp(totals) <= 1e-3 * np.median(totals)
        figures = {k: Measurement.model_validate(m) for k, m in value[side].items()}
        parts = sum(m.value for k, m in figures.items() if k.startswith("instructions."))
        assert parts == pytest.approx(figures["instructions"].value, rel=1e-3)
        macs = 9_200_000 / 4  # at least what four lanes need, of some tens of millions
        assert figures["instructions.vector_mac"].value > macs
        assert figures["bytes.loaded"].value > artifact.size_bytes / 2
