"""A speed-up by hand: the width that is found was raced, and the caller's module stays whole."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.extras


def network(width: int = 64) -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, width, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(width, width, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(width, width, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(width, 10, 1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )


@pytest.mark.slow
@pytest.mark.long
def test_a_speed_up_by_hand_is_raced_on_this_machine() -> None:
    from edgeopt.passes import PruneStructured
    from edgeopt.search.table import GRID

    module, images = network(), torch.randn(32, 3, 32, 32)
    raced: list[float] = []

    def progress(_done: float, total: float | None = None, **figures: float) -> None:
        if "ratio" in figures:
            raced.append(figures["macs"])

    made = PruneStructured(speedup="1.5x")(module, images, progress=progress)
    assert raced == list(GRID)
    widths = [m.out_channels for m in made if isinstance(m, torch.nn.Conv2d)]
    assert widths[0] < 64 and widths[-1] == 10
    assert [m.out_channels for m in module if isinstance(m, torch.nn.Conv2d)] == [64, 64, 64, 10]


def test_what_needs_a_whole_run_says_so() -> None:
    from edgeopt.passes import PruneStructured
    from edgeopt.schema.errors import PassError

    with pytest.raises(PassError, match="is found by measuring"):
        PruneStructured(macs="smallest")(network(16), torch.randn(8, 3, 8, 8))
