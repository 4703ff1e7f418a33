"""Grids and layers as they train: what they observe, follow and freeze."""

from __future__ import annotations

import pytest
import torch

from edgeopt.quantization.trained import SMALLEST, TrainedGrid, observe, quantized, set_phase


def grid(learned: bool = False, momentum: float = 0.5) -> TrainedGrid:
    return TrainedGrid(learned, momentum).train()


def test_a_grid_lets_values_pass_while_it_observes_their_extremes() -> None:
    made, x = grid(), torch.tensor([-1.0, 4.1])
    assert torch.equal(made(x), x)
    made(torch.tensor([0.0, 2.0]))
    assert (float(made.low), float(made.high)) == (-1.0, pytest.approx(4.1))
    assert float(made.scale) == pytest.approx(5.1 / 255) and int(made.zero_point) == 50
    made.eval()
    made(torch.tensor([-99.0]))
    assert float(made.low) == -1.0, "only training observes"


def test_a_range_holds_zero_and_is_never_empty() -> None:
    made = grid()
    made(torch.tensor([3.0, 5.0]))
    assert (float(made.low), int(made.zero_point)) == (0.0, 0)
    dead = grid()
    dead(torch.zeros(3))
    assert float(dead.scale) == pytest.approx(1 / 255)


def test_a_range_follows_each_batch_and_then_stays() -> None:
    made = grid(momentum=0.5)
    made(torch.tensor([0.0, 8.0]))
    set_phase(made, "follow", batch_stats=False)
    made(torch.tensor([0.0, 4.0]))
    assert float(made.high) == 6.0
    set_phase(made, "fixed", batch_stats=False)
    made(torch.tensor([0.0, 100.0]))
    assert float(made.high) == 6.0


@pytest.mark.parametrize("learned", [False, True])
def test_values_come_to_lie_on_the_grid_and_within_it(learned: bool) -> None:
    made = grid(learned)
    made(torch.tensor([-1.0, 1.0]))
    set_phase(made, "fixed", batch_stats=False)
    x = torch.linspace(-3, 3, 41)
    y = made(x).detach()
    steps = y / made.step().detach()
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert float(y.abs().max()) < 1.02
    inside = x.abs() < 0.9
    assert float((y - x)[inside].abs().max()) <= 0.51 * float(made.step())


def test_a_learned_scale_moves_by_its_gradient_alone_and_stays_positive() -> None:
    made = grid(learned=True)
    made(torch.tensor([-1.0, 1.0]))
    set_phase(made, "follow", batch_stats=False)
    made(torch.tensor([-50.0, 50.0])).sum().backward()
    before = float(made.step())
    assert made.growth is not None and made.growth.grad is not None
    assert float(made.scale) == pytest.approx(2 / 255), "the data no longer shows it"
    with torch.no_grad():
        made.growth.fill_(-1e3)
    assert float(made.step()) == pytest.approx(SMALLEST) and before > SMALLEST
    set_phase(made, "fixed", batch_stats=False)
    assert not made.growth.requires_grad


def test_gradients_pass_rounding_and_stop_outside_the_range() -> None:
    x = torch.tensor([-9.0, 0.3, 9.0], requires_grad=True)
    y = quantized(x, torch.tensor(0.1), None, -8, 8)
    y.sum().backward()
    assert y.detach().tolist() == pytest.approx([-0.8, 0.3, 0.8])
    assert x.grad is not None and x.grad.tolist() == [0.0, 1.0, 0.0]


def test_observing_leaves_gradients_and_modes_as_they_should_be() -> None:
    made = torch.nn.Sequential(grid(), torch.nn.BatchNorm1d(2))
    made[1].eval()
    observe(made[0], [{"x": torch.tensor([0.0, 2.0])}, {"x": torch.tensor([-2.0])}])
    assert not made[0].training and made[0].phase == "observe"
    assert (float(made[0].low), float(made[0].high)) == (-2.0, 2.0)
