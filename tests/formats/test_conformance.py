"""Every built-in format does what a format must."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgeopt.formats import format_named
from edgeopt.testing.formats import FormatConformance
from edgeopt.testing.models import Model, small_model


class TestOnnx(FormatConformance):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        return small_model("onnx", tmp_path / "root")


class TestOnnxWithExternalData(FormatConformance):
    """The weights lie in a file beside the graph."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        import onnx

        model = small_model("onnx", tmp_path / "root")
        graph = onnx.load(model.file)
        onnx.save(
            graph, model.file, save_as_external_data=True, location="net.bin", size_threshold=0
        )
        return replace(model, file=model.root / "net.bin")


@pytest.mark.extras
class TestTflite(FormatConformance):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        return small_model("tflite", tmp_path / "root")


@pytest.mark.extras
class TestKeras(FormatConformance):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        return small_model("keras", tmp_path / "root")


@pytest.mark.extras
class TestKerasInHdf5(FormatConformance):
    """The older form of file, which holds the configuration as an attribute."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        from edgeopt.agent.tf_network import keras

        model = small_model("keras", tmp_path / "root")
        keras.saving.load_model(model.file, compile=False).save(model.root / "net.h5")
        model.file.unlink()
        return replace(model, spec={"path": "net.h5"}, file=model.root / "net.h5")


@pytest.mark.extras
class TestSavedModel(FormatConformance):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        return small_model("savedmodel", tmp_path / "root")


@pytest.mark.extras
class TestTorchWithSafetensors(FormatConformance):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        return small_model("torch", tmp_path / "root")


@pytest.mark.extras
class TestTorchWithStateDict(FormatConformance):
    """Weights as ``torch.save`` writes them."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        import torch
        from safetensors.torch import load_file

        model = small_model("torch", tmp_path / "root")
        torch.save(load_file(model.file), model.root / "net.pt")
        model.file.unlink()
        spec = {**model.spec, "weights": "net.pt"}
        return replace(model, spec=spec, file=model.root / "net.pt")


@pytest.mark.extras
class TestTorchProgram(FormatConformance):
    """A program that ``torch.export`` made."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        import torch

        model, folder = small_model("torch", tmp_path / "made"), tmp_path / "loaded"
        folder.mkdir()
        format_named("torch").gather(model.spec, model.root, folder, model.said)
        module = format_named("torch").load(folder)
        x = torch.from_numpy(model.samples["x"])
        batch = {0: torch.export.Dim("batch", min=1)}
        program = torch.export.export(module, (), {"x": x}, dynamic_shapes={"x": batch})
        root = tmp_path / "root"
        root.mkdir()
        torch.export.save(program, root / "net.pt2")
        shutil.rmtree(folder)
        return replace(model, root=root, spec={"path": "net.pt2"}, file=root / "net.pt2")


WITHOUT = """\
import sys
sys.modules["h5py"] = None
from edgeopt.formats import format_named
from edgeopt.schema.errors import UsageError
try:
    format_named("keras")
except UsageError as error:
    print(error.what, error.hint, sep="\\n")
"""


@pytest.mark.extras
def test_a_format_whose_library_is_missing_says_what_to_install() -> None:
    """Guards against a ModuleNotFoundError that names a library and no way to get it."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    what, hint = done.stdout.strip().splitlines()[-2:]
    assert what == "models of the format keras need 'h5py', which is not installed"
    assert "pip install 'edgeopt[tensorflow]'" in hint
