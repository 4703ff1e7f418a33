"""Recipes for cores that are not here: chosen by instructions, and never by a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from e2e_project import RECIPE, Project, save_samples

from edgeopt.agent import machine
from edgeopt.pipeline.saturation import PLAIN

INT8 = "{quantize-int8: {scheme: s8s8}}, {quantize-int8: {scheme: static}}"  # ONNX, TFLite
OWN = (
    RECIPE.replace("objective: size\n", "")
    .replace("accuracy >= source - 10pt", "fidelity.cosine >= 0.9")
    .replace("  - export-onnx: {}\n", "  - one_of: [{export-onnx: {}}, {export-tflite: {}}]\n")
    .replace("  - one_of: [none, {simplify-onnx: {}}]\n", "")
    .replace("[none, {quantize-int8: {scheme: s8s8}}]", f"[{INT8}]")
)
SAMPLES = 16  # a floating-point inference takes a good part of a second


@pytest.fixture
def on_cores(project: Project, emulation: Path) -> Project:
    """The project with few samples, for the emulated cores."""
    project.short = False
    save_samples(project.folder / "samples.npz", few=SAMPLES)
    project.extra["EDGEOPT_EMULATION"] = str(emulation)
    return project


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a76"])
def test_both_runtimes_are_counted_and_one_artifact_chosen(on_cores: Project, core: str) -> None:
    on_cores.write(OWN.replace("local/onnxruntime", f'"emulated:{core}/*"'))
    done = on_cores.run("optimize", "recipe.yaml", "--json", "--out", "out", timeout=1200)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (target,) = result["targets"]
    assert (target["objective"], target["verdict"]) == ("instructions", "chosen")
    assert target["machine"]["isa"] == "aarch64-" + ("asimddp" if core == "cortex-a76" else "asimd")
    counted = [c for c in target["candidates"] if "ratio.instructions" in c["measurements"]]
    assert {c["target"].rpartition("/")[2] for c in counted} == {"onnxruntime", "litert"}
    for candidate in target["candidates"]:
        families = {name.split(".")[0] for name in candidate["measurements"]}
        assert not families & {"latency", "load_time", "memory"}
        assert "ratio.latency.p50" not in candidate["measurements"]
        told = candidate["measurements"]["fidelity.cosine"]["protocol"]
        where = "the host" if candidate["status"] == "reference" else f"emulated:{core}"
        assert f"on {where}" in told
    best = min(c["measurements"]["ratio.instructions"]["value"] for c in counted)
    (chosen,) = [c for c in counted if c["id"] == target["chosen"]]
    assert chosen["measurements"]["ratio.instructions"]["value"] <= best * 1.005
    assert chosen["measurements"]["instructions.vector_mac"]["value"] > 0
    assert (on_cores.folder / "out" / target["path"]).is_file()
    shown = on_cores.run("report", "out").stdout
    assert "where the instructions go" in shown and "p50" not in shown
    page = on_cores.run("report", "out", "--format", "html").stdout
    assert "Where the instructions go" in page and "Instructions, x reference" in page


@pytest.mark.long
def test_a_time_is_refused_on_an_emulated_core(on_cores: Project) -> None:
    text = OWN.replace("local/onnxruntime", '"emulated:cortex-a53/onnxruntime"')
    on_cores.write(text.replace("fidelity.cosine >= 0.9", "latency.p50 <= 8 ms"))
    done = on_cores.run("optimize", "recipe.yaml", "--out", "out")
    assert done.returncode == 2
    assert "emulated:cortex-a53 does not measure latency.p50" in done.stderr
    assert "recipe.yaml:15" in done.stderr
    assert not (on_cores.folder / "out").exists()


FALLBACKS = {"u8s8": False, "u8s8-reduced": True, "u8s8-safe": True}  # agree without VNNI, too
RANGE = ", ".join(f"{{quantize-int8: {{scheme: {name}, float_stem: false}}}}" for name in FALLBACKS)


@pytest.mark.long
@pytest.mark.slow
def test_saturation_without_vnni_is_found_named_and_given_fallbacks(on_cores: Project) -> None:
    """One accumulator of u8s8 overflows on AVX2 and not with VNNI; its fallbacks race beside it."""
    on_cores.write(
        OWN.replace("local/onnxruntime", '"emulated:haswell/onnxruntime"')
        .replace("  - one_of: [{export-onnx: {}}, {export-tflite: {}}]\n", "  - export-onnx: {}\n")
        .replace(f"[{INT8}]", f"[{RANGE}]")
    )
    done = on_cores.run("optimize", "recipe.yaml", "--json", "--out", "out", timeout=1200)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (target,) = result["targets"]
    assert target["machine"]["isa"] == "x86_64-avx2"
    told = {
        name: next(
            c["measurements"]["fidelity.cosine"]["protocol"]
            for c in target["candidates"]
            if f"scheme={name}," in c["label"]
        )
        for name in FALLBACKS
    }
    for name, agrees in FALLBACKS.items():
        if agrees or "vnni" not in machine.facts()["isa"]:
            assert "agree to the bit" in told[name]
        else:
            assert f"{SAMPLES} samples on emulated:haswell" in told[name]
            found = [note for note in result["notes"] if f"scheme={name}," in note]
            assert "answers differently on emulated:haswell than on the host" in found[0]
            assert "'output' is off by" in found[0] and "arg maxes flip" in found[0]
    raced = [c for c in target["candidates"] if "ratio.instructions" in c["measurements"]]
    assert len(raced) >= len(FALLBACKS)


@pytest.mark.slow
@pytest.mark.long
def test_an_artifact_for_this_cpu_is_compared_with_one_without_vnni(on_cores: Project) -> None:
    """The only candidate overflows somewhere: that is found, and its fallbacks race beside it."""
    on_cores.write(
        OWN.replace(
            "  - one_of: [{export-onnx: {}}, {export-tflite: {}}]\n", "  - export-onnx: {}\n"
        )
        .replace(f"[{INT8}]", "[{quantize-int8: {scheme: u8s8, float_stem: false}}]")
        .replace("fidelity.cosine >= 0.9", "size <= 1 GB")
    )
    done = on_cores.run("optimize", "recipe.yaml", "--json", "--out", "out", timeout=1200)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (target,) = result["targets"]
    vnni = "vnni" in machine.facts()["isa"]
    other, yardstick = ("emulated:haswell", "the host") if vnni else (
        f"local ({machine.facts()['isa']})", PLAIN
    )  # fmt: skip
    (found,) = [note for note in result["notes"] if "saturate sums" in note]
    assert (
        f"float_stem=False) answers differently on {other} than on {yardstick}: 'output'" in found
    )
    raced = {c["label"].rpartition("(")[2].rstrip(")"): c for c in target["candidates"]}
    for scheme in ("scheme=u8s8-reduced, float_stem=False", "scheme=u8s8-safe, float_stem=False"):
        assert f"quantize-int8({scheme}) (agrees)" in found
        (parity,) = raced[scheme]["parity"]
        assert parity["flips"] == 0 and parity["n"] == SAMPLES
        assert "ratio.latency.p50" in raced[scheme]["measurements"]
    (parity,) = raced["scheme=u8s8, float_stem=False"]["parity"]
    assert (parity["device"], parity["tensor"]) == (other, "output")
    assert parity["worst"] > 0.01 * parity["peak"] or parity["flips"]
    assert len(target["candidates"]) == 5  # the reference, what was asked for, three fallbacks
    assert "answers differently on" in on_cores.run("report", "out").stdout
    assert result["recipe"]["passes"][-1]["quantize-int8"]["scheme"] == "u8s8"


@pytest.mark.slow
@pytest.mark.long
def test_a_board_that_answers_otherwise_than_the_host_is_named(on_cores: Project) -> None:
    """A lab's board that has no VNNI; here its process runs under QEMU."""
    lab = Path(__file__).parents[1] / "devices" / "lab_board.py"
    prefix = Path(on_cores.extra["EDGEOPT_EMULATION"]) / "cores" / "haswell"
    command = ["qemu-x86_64", "-cpu", "Haswell", "-L", str(prefix), sys.executable, str(lab)]
    devices = on_cores.folder / "devices.yaml"
    devices.write_text(f"exec: {{old: {{command: {json.dumps(command)}}}}}\n")
    on_cores.extra["EDGEOPT_DEVICES"] = str(devices)
    both = (
        "{quantize-int8: {scheme: u8s8, float_stem: false}}, {quantize-int8: {scheme: u8s8-safe}}"
    )
    on_cores.write(
        OWN.replace("local/onnxruntime", '"exec:old/onnxruntime"')
        .replace("  - one_of: [{export-onnx: {}}, {export-tflite: {}}]\n", "  - export-onnx: {}\n")
        .replace(f"[{INT8}]", f"[{both}]")
        .replace("fidelity.cosine >= 0.9", "size <= 1 GB")
    )
    done = on_cores.run("optimize", "recipe.yaml", "--quick", "--json", "--out", "o", timeout=1200)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (target,) = result["targets"]
    found = {c["label"].rpartition("scheme=")[2]: c["parity"][0] for c in target["candidates"]}
    assert {(p["device"], p["yardstick"], p["n"]) for p in found.values()} == {
        ("exec:old", "the host", SAMPLES)
    }
    assert found["u8s8-safe)"]["flips"] == 0
    notes = [note for note in result["notes"] if "answers differently on exec:old" in note]
    if "vnni" in machine.facts()["isa"]:
        (note,) = notes
        assert "float_stem=False) answers differently" in note and "'output' is off by" in note
    else:
        assert not notes
