"""Settings of all tests: a slow machine is no failure, so hypothesis has no deadline.

``--core`` leaves out what needs an extra: for an environment with requirements/core-test.txt.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

EXTRA = re.compile(
    r"^(?:import|from) (?:torch|safetensors|PIL|ai_edge_|openvino|h5py|edgeopt\.agent\.tf_network)",
    re.MULTILINE,
)
FOLDERS = ("e2e", "live")  # their projects start from PyTorch

settings.register_profile("edgeopt", deadline=None)
settings.load_profile("edgeopt")


@pytest.fixture(autouse=True, scope="session")
def own_bench_lock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever times something on this machine meanwhile does not hold the tests up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("locks")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture
def tflite_model(tmp_path: Path) -> Path:
    """One fully connected layer, 4 to 3."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    from edgeopt.formats.tflite import files

    model = schema.ModelT()
    model.version, model.description = 3, b"test"
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(weights.tobytes(), np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.name, graph.tensors = b"main", []
    for name, shape, buffer in ((b"x", [1, 4], 0), (b"w", [3, 4], 1), (b"y", [1, 3], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
        tensor.type = schema.TensorType.FLOAT32
        graph.tensors.append(tensor)
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1, -1], [2]
    op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    op.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [op], [0], [2]
    model.subgraphs = [graph]
    path = tmp_path / "layer.tflite"
    path.write_bytes(files.pack(model))
    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--core", action="store_true", help="only tests that need no extra")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("--core") or collection_path.suffix != ".py":
        return None
    needs = EXTRA.search(collection_path.read_text()) is not None
    return True if needs or collection_path.parent.name in FOLDERS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--core"):
        left_out = [item for item in items if item.get_closest_marker("extras")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.path.parent.name != "e2e")  # the slowest files start first


@pytest.fixture(scope="session")
def emulation() -> Iterator[Path]:
    """The emulated ARM cores, made once and kept in the tree's own cache folder."""
    from edgeopt.devices.emulated.building import setup

    default = Path(__file__).parents[1] / ".cache" / "emulated"
    folder = Path(os.environ.get("EDGEOPT_EMULATION", default))
    setup(folder, yes=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEOPT_EMULATION", str(folder))
        yield folder
