"""Settings of all tests: a slow machine is no failure, so hypothesis has no deadline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("edgeopt", deadline=None)
settings.load_profile("edgeopt")


@pytest.fixture(autouse=True, scope="session")
def own_bench_lock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever times something on this machine meanwhile does not hold the tests up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("locks")))
        patch.setattr(tempfile, "tempdir", None)
        yield
