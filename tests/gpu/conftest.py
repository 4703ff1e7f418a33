"""Tests that need an NVIDIA GPU: left out of every run but ``make test-gpu``, which fails without.

What they measure is written to ``gpu-table.md`` at the end.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "gpu-table.md"
HEADERS = ("target", "version", "p50", "p50 / eager fp32", "peak memory", "error", "nodes", "note")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out unless ``-m gpu`` asks for them; then there must be a GPU."""
    ours = [item for item in items if HERE in item.path.parents]
    if config.getoption("markexpr") != "gpu":
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]
        return
    import torch

    if not torch.cuda.is_available():
        told = f"PyTorch {torch.__version__} finds no CUDA device"
        pytest.exit(f"no GPU here: {told}; these tests run nothing without one", returncode=1)


@dataclass
class Table:
    """Rows of what was measured, as Markdown."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def put(self, *cells: str) -> None:
        assert len(cells) == len(HEADERS)
        self.rows.append(cells)

    def text(self, facts: dict[str, str]) -> str:
        lines = ["# On a GPU", "", *(f"- {name}: {told}" for name, told in facts.items()), ""]
        lines += [_row(HEADERS), _row(["---"] * len(HEADERS)), *map(_row, self.rows)]
        return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    """Collects rows; written with what the device is when all is done."""
    made = Table()
    yield made
    import onnxruntime
    import torch

    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    facts = {
        "device (name, driver, memory)": told.strip().splitlines()[0],
        "PyTorch": f"{torch.__version__}, CUDA {torch.version.cuda}, "
        f"cuDNN {torch.backends.cudnn.version()}",
        "ONNX Runtime": f"{onnxruntime.__version__}, "
        f"{', '.join(onnxruntime.get_available_providers())}",
    }
    TABLE.write_text(made.text(facts), encoding="utf-8")
