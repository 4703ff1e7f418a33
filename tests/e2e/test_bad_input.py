"""Bad input through the real command: one clear error, nothing half-written, no child left."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from e2e_project import EDGEOPT, MODEL, Project, save_samples
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgeopt.store import Store


@pytest.fixture
def project(cold_project: Project) -> Project:
    """A store that holds nothing yet."""
    return cold_project


Breaks = Callable[[Project], None]
IMAGES = np.zeros((200, 28, 28), np.uint8)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def onnx_source(project: Project, name: str = "m.onnx") -> None:
    """Make the recipe start from an ONNX file."""
    text = project.recipe.read_text()
    start, end = text.index("model:"), text.index("data:")
    text = f"model: {name}\n{text[end:]}".replace("  - export-onnx: {}\n", "")
    assert start == 0
    project.write(text.replace("{image: images}", "{x: images}"))


def small_onnx(path: Path, *, shape: tuple[object, ...] = ("batch", 1, 28, 28)) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.normal(size=(784, 10)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return model


def missing_weights(project: Project) -> None:
    (project.folder / "source.safetensors").unlink()


def missing_data(project: Project) -> None:
    (project.folder / "samples.npz").unlink()


def wrong_format(project: Project) -> None:
    (project.folder / "m.onnx").write_text("this is no model\n" * 50)
    onnx_source(project)


def truncated_onnx(project: Project) -> None:
    small_onnx(project.folder / "m.onnx")
    truncate(project.folder / "m.onnx")
    onnx_source(project)


def truncated_safetensors(project: Project) -> None:
    truncate(project.folder / "source.safetensors")


def truncated_npz(project: Project) -> None:
    truncate(project.folder / "samples.npz")


def unknown_key(project: Project) -> None:
    project.edit("recipe.yaml", "objective:", "surprise: 1\nobjective:")


def misspelt_key(project: Project) -> None:
    project.edit("recipe.yaml", "constraints:", "constrains:")


def duplicate_key(project: Project) -> None:
    project.edit("recipe.yaml", "objective: size", "objective: size\nobjective: size")


def misspelt_field(project: Project) -> None:
    project.edit("recipe.yaml", "scheme: s8s8", "schema: s8s8")


def wrong_shape(project: Project) -> None:
    save_samples(
        project.folder / "samples.npz", validation__images=np.zeros((200, 28, 28, 2), np.uint8)
    )
    small_onnx(project.folder / "m.onnx")
    onnx_source(project)


def shapes_that_do_not_fit_the_model(project: Project) -> None:
    small_onnx(project.folder / "m.onnx", shape=("batch", 1, 32, 32))
    onnx_source(project)


def label_out_of_range(project: Project) -> None:
    labels = np.zeros(200, np.uint8)
    labels[5] = 10
    save_samples(project.folder / "samples.npz", validation__label=labels)
    small_onnx(project.folder / "m.onnx")
    onnx_source(project)


def nan_in_inputs(project: Project) -> None:
    images = np.zeros((200, 28, 28), np.float32)
    images[11, 3, 3] = np.nan
    save_samples(project.folder / "samples.npz", validation__images=images)


def nan_in_outputs(project: Project) -> None:
    model = small_onnx(project.folder / "m.onnx")
    weight = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    onnx.save(model, project.folder / "m.onnx")
    onnx_source(project)


def empty_split(project: Project) -> None:
    project.edit("recipe.yaml", "validation: validation", 'validation: "validation[500:600]"')


def overlapping_splits(project: Project) -> None:
    project.edit("recipe.yaml", "test: test", 'test: "validation[150:]"')


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.proof),))


def pickled_weights(project: Project) -> None:
    with (project.folder / "source.pt").open("wb") as stream:
        pickle.dump({"weight": Bomb(project.folder / "proof")}, stream)
    project.edit("recipe.yaml", "source.safetensors", "source.pt")


def external_data_outside(project: Project) -> None:
    model = small_onnx(project.folder / "m.onnx")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    (project.folder.parent / "secret.bin").write_bytes(bytes(784 * 10 * 4))
    (project.folder / "m.onnx").write_bytes(model.SerializeToString())
    onnx_source(project)


def source(project: Project, name: str, data: bytes) -> None:
    """Make the recipe start from a file of these bytes."""
    (project.folder / name).write_bytes(data)
    onnx_source(project, name)
    project.edit("recipe.yaml", "[local/onnxruntime]", "[local/*]")


def truncated_tflite(project: Project) -> None:
    source(project, "m.tflite", b"\x1c\0\0\0TFL3" + bytes(40))


def torchscript(project: Project) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Flatten(), torch.zeros(1, 2)), project.folder / "s.pt")
    source(project, "m.pt", (project.folder / "s.pt").read_bytes())
    (project.folder / "s.pt").unlink()


LOADER = """\
import time

def hangs():
    time.sleep(600)

def raises():
    yield {"image": 1}
    raise OSError("the disk is gone")
"""


def loader(project: Project, name: str) -> None:
    (project.folder / "loader.py").write_text(LOADER)
    text = project.recipe.read_text()
    start, end = text.index("data:"), text.index("targets:")
    data = f"data: {{source: 'loader.py:{name}', splits: {{validation: 9}}, timeout: 2 s}}\n"
    project.write(text[:start] + data + text[end:])
    project.edit("recipe.yaml", "accuracy >= source - 10pt", "fidelity.cosine >= 0.9")


def hanging_loader(project: Project) -> None:
    loader(project, "hangs")


def raising_loader(project: Project) -> None:
    loader(project, "raises")


def truncated_image(project: Project) -> None:
    for split in ("validation", "train"):
        (project.folder / "images" / split / "a").mkdir(parents=True)
        for number in range(3):
            shade = np.full((28, 28), 40 * number + len(split), np.uint8)
            Image.fromarray(shade).save(project.folder / "images" / split / "a" / f"{number}.png")
    truncate(project.folder / "images" / "validation" / "a" / "1.png")
    text = project.recipe.read_text()
    start, end = text.index("data:"), text.index("targets:")
    splits = "{calibration: train, validation: validation}"
    data = f"data: {{source: images, inputs: {{image: image}}, splits: {splits}}}\n"
    project.write(text[:start] + data + text[end:])
    project.edit("recipe.yaml", "accuracy >= source - 10pt", "fidelity.cosine >= 0.9")


CASES: list[tuple[Breaks, int, tuple[str, ...]]] = [
    (missing_weights, 1, ("source.safetensors",)),
    (missing_data, 1, ("samples.npz",)),
    (wrong_format, 1, ("m.onnx",)),
    (truncated_onnx, 1, ("m.onnx",)),
    (truncated_safetensors, 1, ("source.safetensors",)),
    (truncated_npz, 1, ("samples.npz",)),
    (unknown_key, 2, ("recipe.yaml:15", "surprise")),
    (misspelt_key, 2, ("recipe.yaml:16", "constrains", "constraints")),
    (duplicate_key, 2, ("recipe.yaml:16", "objective")),
    (misspelt_field, 2, ("recipe.yaml:20", "schema", "scheme")),
    (wrong_shape, 1, ("images",)),
    (shapes_that_do_not_fit_the_model, 1, ("images", "'x'", "32")),
    (label_out_of_range, 1, ("label", "10", "5")),
    (nan_in_inputs, 1, ("images", "11")),
    (nan_in_outputs, 1, ("'y'",)),
    (empty_split, 1, ("validation",)),
    (overlapping_splits, 1, ("validation", "test", "50")),
    (pickled_weights, 1, ("source.pt",)),
    (truncated_tflite, 1, ("m.tflite",)),
    (torchscript, 1, ("m.pt", "TorchScript")),
    (hanging_loader, 1, ("data:validation", "longer than its limit of 2 s")),
    (raising_loader, 1, ("loader.py:raises", "the disk is gone", "loader.py:8")),
    (truncated_image, 1, ("1.png", "not a readable image")),
    (external_data_outside, 1, ("m.onnx", "'w'", "../secret.bin")),
]


def tree(folder: Path) -> dict[str, int]:
    """Every file below a folder, with its size."""
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("breaks", "code", "named"), CASES, ids=lambda v: getattr(v, "__name__", "")
)
def test_bad_input_is_one_clear_error(
    project: Project, breaks: Breaks, code: int, named: tuple[str, ...]
) -> None:
    breaks(project)
    before = tree(project.folder)
    done = project.run("optimize", "recipe.yaml", "--quick", "--out", "out")
    assert done.returncode == code, done.stderr
    for name in named:
        assert name in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert tree(project.folder) == before, "the working tree changed"
    assert project.left_behind() == []
    with Store(project.store) as store:
        assert store.verify().ok
    assert not [p for p in (project.store / "tmp").glob("*") if p.is_dir()]


def test_missing_recipe_names_it(project: Project) -> None:
    done = project.run("optimize", "absent.yaml")
    assert done.returncode in (1, 2)
    assert "absent.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_an_error_that_names_the_store(project: Project) -> None:
    project.store.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(project.store)], check=False
    )
    if mounted.returncode != 0:  # no right to mount: a file size limit stops the writes instead
        command = ["bash", "-c", 'ulimit -f 400; exec "$0" "$@"', str(EDGEOPT)]
    else:
        command = [str(EDGEOPT)]
    try:
        done = subprocess.run(
            [*command, "optimize", "recipe.yaml", "--quick", "--out", "out"],
            cwd=project.folder,
            env=project.env(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert str(project.store) in done.stderr
        assert "Traceback" not in done.stderr
        assert not (project.folder / "out").exists()
        assert project.left_behind() == []
        assert project.run("cache", "verify").returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(project.store)], check=True)


def test_the_shipped_archive_is_what_the_tests_think() -> None:
    with np.load(MODEL / "fashion_mnist.npz") as archive:
        assert archive["validation.images"].shape == (5000, 28, 28)
        assert archive["test.images"].shape == (10000, 28, 28)
