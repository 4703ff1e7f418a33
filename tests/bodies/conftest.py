"""Runs passes as a worker does; what needs an extra is imported by who asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from passes_bench import RunPass, onnx_runner
from tflite_bench import IMAGES, Held, Make, tflite_runner, torch_sources


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """torch has one thread, as in a worker: two wait for each other where others compute, too."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    yield
    if torch:
        torch.set_num_threads(before)


@pytest.fixture
def run_pass(tmp_path: Path) -> RunPass:
    """``run_pass(step, model, **arrays)``: what a worker does, checks included."""
    return onnx_runner(tmp_path)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], Any]:
    """``opened(NAME)``: an artifact of a network of ``pruned_nets.py`` or a shipped model."""
    from pruning_bench import opened_in

    return partial(opened_in, tmp_path)


@pytest.fixture
def fresh_digest(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """SHA-256 of an artifact's outputs here, and of those in a process of its own."""
    from pruning_bench import digests

    return partial(digests, tmp_path)


@pytest.fixture(scope="session")
def torch_source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Held]:
    """``torch_source(factory, samples)``: an artifact of a network of ``tflite_bench.py``."""
    return torch_sources(tmp_path_factory)


@pytest.fixture(scope="session")
def run_tflite(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """``run_tflite(step, parent, **arrays)``: what a worker does, prediction checked."""
    return tflite_runner(tmp_path_factory)


@pytest.fixture(scope="session")
def torch_net(torch_source: Callable[[str, Any], Held]) -> Held:
    """An artifact of a small network over images."""
    return torch_source("Net", IMAGES)


@pytest.fixture(scope="session")
def exported(torch_net: Held, run_tflite: Make) -> Held:
    """The same as TFLite."""
    from edgeopt.passes.export_tflite_torch import ExportTflite

    return run_tflite(ExportTflite(), torch_net)
