"""The shipped recipe for many targets: a choice for each, with what it was chosen by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_project import MODEL, Project
from loopback import Board, board

pytestmark = [pytest.mark.long, pytest.mark.slow]

RECIPE = MODEL.parents[1] / "recipes" / "many-targets.yaml"
CORES = ("cortex-a53", "cortex-a76")
FEW = {"validation: validation": 'validation: "validation[:16]"', "test: test": 'test: "test[:16]"'}


@pytest.fixture
def reached() -> Iterator[Board]:
    with board() as made:
        yield made


@pytest.fixture
def everywhere(project: Project, reached: Board, emulation: Path) -> Project:
    """The recipe on few samples."""
    project.short = False
    text = RECIPE.read_text().replace("../models/fashion_mnist", str(MODEL))
    for whole, few in FEW.items():
        assert whole in text
        text = text.replace(whole, few)
    project.write(text)
    project.extra |= {
        "EDGEOPT_DEVICES": str(reached.devices()),
        "EDGEOPT_EMULATION": str(emulation),
    }
    return project


def chosen(target: dict[str, Any]) -> dict[str, Any]:
    (one,) = [c for c in target["candidates"] if c["id"] == target["chosen"]]
    return one


def span(candidate: dict[str, Any], quantity: str) -> tuple[float, float]:
    found = candidate["measurements"][quantity]
    exact = found["value"]  # the reference's own ratio has no interval
    return found["low"] or exact, found["high"] or exact


def test_each_target_gets_its_own_choice_and_its_reason(everywhere: Project) -> None:
    asked = ("optimize", "recipe.yaml", "--quick", "--json", "--out", "out")
    done = everywhere.run(*asked, timeout=1800)
    assert done.returncode == 0, done.stderr
    targets = {t["target"]: t for t in json.loads(done.stdout)["targets"]}
    timed = ("local/onnxruntime", "local/litert", "ssh:board/onnxruntime")
    assert set(targets) == {*timed, *(f"emulated:{core}/*" for core in CORES)}
    for name, target in targets.items():
        assert target["verdict"] == "chosen", target["sentence"]
        assert (everywhere.folder / "out" / target["path"]).is_file()
        ratio = "ratio.latency.p50" if name in timed else "ratio.instructions"
        assert target["objective"] == ratio.removeprefix("ratio.")
        assert ratio in chosen(target)["measurements"]
    for core in CORES:
        counts = chosen(targets[f"emulated:{core}/*"])["measurements"]
        classes = [v["value"] for k, v in counts.items() if k.startswith("instructions.")]
        assert counts["instructions"]["value"] == pytest.approx(sum(classes), rel=0.001)
    for name in timed:  # whichever won, nothing that may be chosen was measured faster
        low, _ = span(chosen(targets[name]), "ratio.latency.p50")
        lost = [c for c in targets[name]["candidates"] if c["status"] == "lost"]
        raced = [c for c in lost if "ratio.latency.p50" in c["measurements"]]
        assert raced and all(low <= span(c, "ratio.latency.p50")[1] for c in raced), name
    shown = everywhere.run("report", "out").stdout
    assert shown.count("where the instructions go") == len(CORES)
