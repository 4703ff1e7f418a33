"""Graphs of functional operators answer as their modules do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgeopt.agent.traced import traced

INPUTS = {"x": {"shape": ["batch", 4, 6], "dtype": "float32"}}
X = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))


class Does(nn.Module):
    """A module of one function."""

    def __init__(self, do: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.do = do

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.do(x)


def in_place(x: torch.Tensor) -> torch.Tensor:
    y = x + 1
    y.mul_(2)
    return torch.relu_(y) + y


def of_a_view(x: torch.Tensor) -> torch.Tensor:
    y = x * 1.0
    part = y[:, 0]
    part.add_(5)
    return y


@pytest.mark.parametrize(
    "do",
    [
        in_place,
        lambda x: nn.functional.adaptive_avg_pool1d(x, 1).flatten(1),
        lambda x: nn.functional.dropout(x, 0.5, training=False).contiguous().view(x.shape[0], 24),
        lambda x: x.clone().transpose(1, 2).reshape(x.shape[0], 24),
    ],
    ids=["writes", "pool", "nothing", "view"],
)
def test_a_graph_answers_as_its_module_and_writes_nowhere(
    do: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    graph = traced(Does(do), INPUTS)
    given = X.clone()
    torch.testing.assert_close(graph(x=given), do(X.clone()))
    assert torch.equal(given, X)
    names = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert not [name for name in names if "_." in name or "dropout" in name or "clone" in name]
    assert not [node for node in graph.graph.nodes if node.op == "call_module"], "no guards"


def test_a_write_into_a_part_that_is_read_again_is_refused_with_its_line() -> None:
    with pytest.raises(NotImplementedError, match="a write in place into a part") as caught:
        traced(Does(of_a_view), INPUTS)
    assert __file__ in str(caught.value)


def test_parameters_keep_their_names_and_the_batch_is_free() -> None:
    graph = traced(nn.Sequential(nn.Linear(6, 2)), {"input": INPUTS["x"]})
    held = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    assert held == {"0.weight", "0.bias"}
    for n in (1, 7):
        assert graph(input=torch.zeros(n, 4, 6)).shape == (n, 4, 2)
