"""What is in one model file, read in a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from passes_bench import network

from edgeopt.commands.inspection import inspect_model
from edgeopt.schema.errors import ModelError
from edgeopt.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


def test_a_file_is_inspected_and_a_broken_one_named(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(network(), path)
    found = inspect_model(path, store=store)
    assert found.operators["Conv"] == 2 and found.conversions == (), "it is a float model"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelError, match=r"net\.onnx"):
        inspect_model(path, store=store)
