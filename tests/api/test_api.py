"""What a program calls."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgeopt
from edgeopt.schema.errors import UsageError


def test_what_is_no_result_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent"):
        edgeopt.load(tmp_path / "absent")
