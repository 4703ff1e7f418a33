"""Content by digest and outcomes by key: atomic, verified, collectable."""

from __future__ import annotations

from edgeopt.store.store import Store
from edgeopt.store.upkeep import Collected, Entry, Listing, Verified

__all__ = ["Collected", "Entry", "Listing", "Store", "Verified"]
