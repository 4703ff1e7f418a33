"""Settings of all tests: a slow machine is no failure, so hypothesis has no deadline.

``--core`` leaves out what needs an extra: for an environment with requirements/core-test.txt.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

EXTRA = re.compile(r"^(?:import|from) (?:torch|safetensors|PIL|ai_edge_|openvino)", re.MULTILINE)
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
