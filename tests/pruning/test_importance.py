from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgeopt.pruning.groups import Group, Slice
from edgeopt.pruning.importance import scores
from edgeopt.schema.errors import PassError

ROWS = tuple((index,) for index in range(3))
NORMED = (
    Slice("0", "weight", 0, ROWS, "out"),
    Slice("0", "bias", 0, ROWS, "shift"),
    Slice("1", "weight", 0, ROWS, "scale"),
    Slice("1", "bias", 0, ROWS, "shift"),
    Slice("2", "weight", 1, ROWS, "in"),
)
GROUP = Group("0", "channel", 3, 1, NORMED)
PLAIN = Group("0", "channel", 3, 1, (NORMED[0], NORMED[4]))
X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))


def network(
    made: Any = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)), scale: Any = (1.0, 1.0, 1.0), read: Any = None
) -> nn.Sequential:
    """Linear, batch norm, linear: 2 to 3 to 2."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).eval()
    first, norm, last = net
    with torch.no_grad():
        first.weight.copy_(torch.tensor(made))
        norm.weight.copy_(torch.tensor(scale))
        last.weight.copy_(torch.tensor(read or ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))))
    return net


def of(kind: Any, module: nn.Module, group: Group = GROUP, **more: Any) -> list[float]:
    (found,) = scores(module, [group], kind, **more).values()
    return [float(value) for value in found]


@pytest.mark.parametrize("kind", ["group_l2", "l1", "l2", "bn_scale", "fpgm", "random", "taylor"])
def test_scores_of_a_group_have_a_mean_of_one_and_leave_the_module_alone(kind: Any) -> None:
    module = network(scale=(0.5, 1.0, 2.0))
    before = {name: values.clone() for name, values in module.state_dict().items()}
    found = of(kind, module, batches=[({"input": X}, {})])
    assert sum(found) / 3 == pytest.approx(1.0) and min(found) >= 0
    assert all(torch.equal(values, before[name]) for name, values in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())


def test_norms_of_each_tensor_count_alike() -> None:
    module = network(made=((3.0, 4.0), (0.0, 5.0), (5.0, 0.0)), read=((1e3, 0, 0), (0, 0, 2e3)))
    # made: 7, 5, 5 by l1 and 25 each by l2; read: 1e3, 0, 2e3
    assert of("l1", module) == pytest.approx([(21 / 17 + 1) / 2, 15 / 34, (15 / 17 + 2) / 2])
    assert of("l2", module) == pytest.approx([(1 + 0.6) / 2, 0.5, (1 + 2.4) / 2])


def test_a_large_tensor_outweighs_the_others_in_the_norm_of_all() -> None:
    module = network(made=((3.0, 4.0), (0.0, 5.0), (5.0, 0.0)), read=((1e3, 0, 0), (0, 0, 2e3)))
    assert of("group_l2", module) == pytest.approx([0.6, 0.0, 2.4], abs=1e-3)
    assert of("group_l2", network(scale=(1e3, 0.0, 1e3))) == pytest.approx(
        [1.5, 0.0, 1.5], abs=1e-3
    )


def test_the_scale_of_a_norm_is_a_score_of_its_own() -> None:
    assert of("bn_scale", network(scale=(-2.0, 1.0, 0.0))) == pytest.approx([2.0, 1.0, 0.0])
    with pytest.raises(PassError, match="no batch norm follows '0'") as caught:
        of("bn_scale", network(), PLAIN)
    assert caught.value.hint == "Take another importance, or keep that layer."


def test_a_prelu_is_no_norm() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.PReLU(3), nn.Linear(3, 2))
    with pytest.raises(PassError, match="bn_scale has nothing to look at"):
        of("bn_scale", module)


def test_a_unit_between_the_others_can_be_replaced_by_them() -> None:
    found = of("fpgm", network(made=((0.0, 0.0), (1.0, 0.0), (5.0, 0.0))))
    assert found == pytest.approx([6 * 3 / 20, 5 * 3 / 20, 9 * 3 / 20])
    equal = of("fpgm", network(made=((1.0, 1.0),) * 3))
    assert equal == [0.0, 0.0, 0.0], "none is worth more, and nothing is divided by zero"


def test_units_of_unlike_many_rows_are_compared_too() -> None:
    group = Group("0", "channel", 2, 1, (Slice("0", "weight", 0, ((0, 1), (2,)), "out"),))
    assert len(of("fpgm", network(), group)) == 2


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_the_control_depends_on_seed_and_name_alone(seed: int) -> None:
    other = Group("1", "channel", 3, 1, NORMED)
    found = scores(network(), [GROUP, other], "random", seed=seed)
    again = scores(network(scale=(9.0, 1.0, 1.0)), [other], "random", seed=seed)
    assert torch.equal(found["1"], again["1"])
    assert not torch.equal(found["0"], found["1"])
    assert not torch.equal(found["0"], scores(network(), [GROUP], "random", seed=seed + 1)["0"])


def test_a_unit_that_nothing_reads_changes_no_loss() -> None:
    module = network(read=((1.0, 0.0, 2.0), (1.0, 0.0, 2.0)))
    found = of("taylor", module, PLAIN, batches=[({"input": X}, {})])
    assert found[1] == pytest.approx(0.0, abs=1e-9) and found[0] > 0.1


def test_taylor_is_the_square_of_the_loss_s_first_order_change() -> None:
    module, group = network(), Group("0", "channel", 3, 1, NORMED[:1])
    labels = torch.tensor([0, 1, 0, 1, 1, 0], dtype=torch.int32)
    expected = torch.zeros(3)
    for part in (slice(0, 3), slice(3, 6)):
        loss = nn.functional.cross_entropy(module(X[part]), labels[part].long())
        (gradient,) = torch.autograd.grad(loss, [module[0].weight])
        expected += (module[0].weight * gradient).sum(1).detach() ** 2
    batches = [({"input": X[part]}, {0: labels[part]}) for part in (slice(0, 3), slice(3, 6))]
    found = of("taylor", module, group, batches=batches)
    assert found == pytest.approx((expected / expected.mean()).tolist(), rel=1e-4)


def test_taylor_looks_at_frozen_weights_and_leaves_them_frozen() -> None:
    module = network()
    thawed = of("taylor", module, batches=[({"input": X}, {})])
    module.requires_grad_(False)
    with torch.no_grad():
        assert of("taylor", module, batches=[({"input": X}, {})]) == thawed
    assert not any(p.requires_grad for p in module.parameters())


def test_taylor_needs_samples() -> None:
    with pytest.raises(PassError, match="taylor needs samples to take gradients on"):
        of("taylor", network())
