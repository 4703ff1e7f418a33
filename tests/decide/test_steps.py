from __future__ import annotations

from typing import Any

import pytest

from edgeopt.decide.steps import Race


@pytest.mark.parametrize(
    ("protocol", "purpose", "name"),
    [
        ("short", "reference", "short"),
        ("full", "reference", "full"),
        ("full", "final", "final"),
        ("full", "head-to-head", "head-to-head"),
        ("short", "alone", "alone"),
        ("memory", "memory", "memory"),
    ],
)
def test_a_race_is_called_by_its_purpose_or_else_its_protocol(
    protocol: str, purpose: Any, name: str
) -> None:
    assert Race("a", "b", protocol, purpose).name == name
