"""A folder to install plug-ins in, and what is cached of those that were found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugging import forget


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on this process's path, forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(folder))
        forget()
        yield folder
    forget()
