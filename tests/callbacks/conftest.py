"""What every trainer's figures must be."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def checked() -> Callable[[dict[str, float]], None]:
    """Asserts that figures are those of a network that was raced, in float and in INT8."""

    def check(found: dict[str, float]) -> None:
        assert found["edgeopt/latency_p50_ms"] > 0 and found["edgeopt/x_reference"] > 0
        assert 0 <= found["edgeopt/int8_accuracy"] <= 1
        assert found["edgeopt/int8_size_bytes"] < found["edgeopt/size_bytes"] * 4

    return check
