"""Runs Jobs: keyed, cached, isolated, within their limits. It knows Jobs, not passes."""

from __future__ import annotations

from edgeopt.engine.engine import Engine

__all__ = ["Engine"]
