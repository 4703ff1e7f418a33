"""The cores that can be emulated."""

from __future__ import annotations

import pytest

from edgeopt.devices.emulated.cores import CORES
from edgeopt.schema.errors import UsageError
from edgeopt.transport.kinds import device_named


def test_an_unknown_core_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="no emulated core 'cortex-a77'") as caught:
        device_named("emulated:cortex-a77")
    assert "cortex-a76" in caught.value.hint


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_no_core_is_the_one_that_answers_wrongly(core: object) -> None:
    assert core.cpu not in ("max", "host")  # type: ignore[attr-defined]
