"""Settings of all tests: a slow machine is no failure, so hypothesis has no deadline."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(scope="session")
def emulation() -> Iterator[Path]:
    """The emulated ARM cores, made once and kept in the tree's own cache folder."""
    from edgeopt.devices.emulated.building import setup

    default = Path(__file__).parents[1] / ".cache" / "emulated"
    folder = Path(os.environ.get("EDGEOPT_EMULATION", default))
    setup(folder, yes=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEOPT_EMULATION", str(folder))
        yield folder
