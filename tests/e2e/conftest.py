"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from e2e_project import Project, from_onnx, make_project


@pytest.fixture(scope="session")
def warm_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store after one run of the recipe: what most tests would build again."""
    made = make_project(tmp_path_factory.mktemp("warm"))
    made.short = True
    made.optimize()
    return made.store


@pytest.fixture
def project(tmp_path: Path, warm_store: Path) -> Project:
    """A user's project with a store of its own, in which the recipe ran before.

    Its races are short ones: set ``short`` to False where a time matters.
    """
    made = make_project(tmp_path)
    made.short = True
    shutil.copytree(warm_store, made.store)
    return made


@pytest.fixture
def cold_project(tmp_path: Path) -> Project:
    """The same with no store: for tests of what runs, and when."""
    return make_project(tmp_path)


@pytest.fixture(scope="session")
def onnx_before(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that starts from ONNX after one run of its recipe, to copy from."""
    made = from_onnx(tmp_path_factory.mktemp("onnx"))
    made.optimize()
    return made


@pytest.fixture
def onnx_project(tmp_path: Path, onnx_before: Project) -> Project:
    """The same with a folder and a store of its own, and no result."""
    made = from_onnx(tmp_path)
    shutil.copytree(onnx_before.store, made.store)
    return made
