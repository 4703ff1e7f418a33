"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_project import Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A user's project with a store of its own."""
    return make_project(tmp_path)
