"""Settings of all tests: a slow machine is no failure, so hypothesis has no deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("edgeopt", deadline=None)
settings.load_profile("edgeopt")
