"""Every runtime's session does what a session must, in a real agent."""

from __future__ import annotations

import pytest

from edgeopt.testing.sessions import SessionConformance

RUNTIMES = [
    "local/onnxruntime",
    "local/onnxruntime?threads=2",
    pytest.param("local/openvino", marks=pytest.mark.extras),
    pytest.param("local/litert", marks=pytest.mark.extras),
    pytest.param("local/torch", marks=pytest.mark.extras),
    pytest.param("local/torch?mode=compiled", marks=[pytest.mark.extras, pytest.mark.long]),
]


class TestBuiltIn(SessionConformance):
    @pytest.fixture(params=RUNTIMES)
    def target(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)
