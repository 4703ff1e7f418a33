"""The store does what a store must."""

from __future__ import annotations

from edgeopt.testing.stores import StoreConformance


class TestStore(StoreConformance):
    pass
