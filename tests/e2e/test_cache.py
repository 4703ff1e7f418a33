"""What reruns and what does not: exactly the jobs that depend on what changed."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from e2e_project import Project, save_samples


@pytest.fixture
def project(cold_project: Project) -> Project:
    """A store that holds nothing yet."""
    return cold_project


LOADS = {"data:calibration", "data:validation", "data:test"}
EXPORT = "export-onnx"
SIMPLE = "export-onnx/simplify-onnx"
INT8 = {f"{base}/quantize-int8(scheme=s8s8)" for base in (EXPORT, SIMPLE)}
TARGET = "local/onnxruntime"


def ran(result: dict[str, Any]) -> set[str]:
    """Jobs that were computed, without races, as a latency is never reused, and without what only
    tells which numbers a file holds."""
    jobs = result["jobs"]
    assert not jobs["failed"]
    assert not set(jobs["ran"]) & set(jobs["cached"])
    return {id for id in jobs["ran"] if not id.startswith(("race:", "conversion:"))}


def tensors(result: dict[str, Any], split: str) -> set[str]:
    jobs = result["jobs"]
    return {id for id in (*jobs["ran"], *jobs["cached"]) if id.startswith(f"tensors:{split}:")}


def scores(*models: str) -> set[str]:
    return {f"score:validation:{TARGET}:{model}" for model in models}


@pytest.mark.slow
@pytest.mark.long
def test_exactly_the_dependent_jobs_rerun(project: Project) -> None:
    first = project.optimize()
    assert first["jobs"]["cached"] == []
    assert any(id.startswith("race:") for id in first["jobs"]["ran"])

    again = project.optimize()
    assert ran(again) == set()
    assert again["targets"][0]["chosen"] == first["targets"][0]["chosen"]

    _library_version(project)
    _comment_in_the_factory(project)
    _line_in_the_factory(project)
    _parameter(project)
    _label(project)
    _calibration_image(project)


def _library_version(project: Project) -> None:
    newer = project.folder.parent / "newer" / "onnxsim-99.0.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxsim\nVersion: 99.0\n")
    project.extra["PYTHONPATH"] = str(newer.parent)
    try:
        assert ran(project.optimize()) == {SIMPLE}
    finally:
        project.extra.clear()
        shutil.rmtree(newer.parent)


def _comment_in_the_factory(project: Project) -> None:
    project.edit("net.py", "def resnet()", "# the network\ndef resnet()")
    result = project.optimize()
    scored = (id for id in result["jobs"]["ran"] if id.startswith("score:"))
    source = {id for id in scored if id.endswith(":source")}
    assert len(source) == 2
    assert ran(result) == {"source", "check:source", EXPORT, f"check:{EXPORT}", *source}


def _line_in_the_factory(project: Project) -> None:
    project.edit(
        "net.py", "return self.head(y.mean(dim=(2, 3)))", "return self.head(y.mean(dim=(2, 3))) * 2"
    )
    result = project.optimize()
    done = ran(result)
    passes = {EXPORT, SIMPLE, *INT8}
    assert {"source", *passes, *(f"check:{id}" for id in passes), *scores(*passes)} <= done
    assert not done & (LOADS | {"data:overlap"})
    assert not any(id.startswith("tensors:") for id in done)


def _parameter(project: Project) -> None:
    project.edit("recipe.yaml", "{scheme: s8s8}", "{scheme: s8s8, per_channel: false}")
    label = "quantize-int8(scheme=s8s8, per_channel=False)"
    changed = {f"{base}/{label}" for base in (EXPORT, SIMPLE)}
    result = project.optimize()
    done = ran(result)
    assert {id for id in done if not id.startswith("score:test:")} == {
        *changed,
        *(f"check:{id}" for id in changed),
        *scores(*changed),
    }
    project.edit("recipe.yaml", ", per_channel: false}", "}")
    assert ran(project.optimize()) == set()


def _label(project: Project) -> None:
    with np.load(project.folder / "samples.npz") as archive:
        labels = archive["validation.label"].copy()
    labels[7] = (labels[7] + 1) % 10
    save_samples(project.folder / "samples.npz", validation__label=labels)
    assert ran(project.optimize()) == {"data:validation"}


def _calibration_image(project: Project) -> None:
    with np.load(project.folder / "samples.npz") as archive:
        labels = archive["validation.label"]
        images = archive["train.images"].copy()
    images[3] = np.random.default_rng(0).choice([0, 255], images[3].shape)
    save_samples(project.folder / "samples.npz", validation__label=labels, train__images=images)
    result = project.optimize()
    done = ran(result)
    assert {id for id in done if not id.startswith("score:test:")} == {
        "data:calibration",
        "data:overlap",
        *tensors(result, "calibration"),
        *INT8,
        *(f"check:{id}" for id in INT8),
        *scores(*INT8),
    }
