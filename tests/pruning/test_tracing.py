from __future__ import annotations

from pathlib import Path

import pruned_nets
import pytest
import torch
from torch import nn

from edgeopt.pruning.tracing import check_traceable, whole_attention
from edgeopt.schema.errors import PassError

IMAGE = {"image": torch.zeros(1, 1, 28, 28)}


def line_of(text: str) -> str:
    lines = Path(pruned_nets.__file__).read_text().splitlines()
    return f"pruned_nets.py:{next(n for n, line in enumerate(lines, 1) if text in line)}"


def test_a_detached_layer_is_named_with_its_line() -> None:
    with pytest.raises(PassError, match="cannot trace 'b'") as caught:
        check_traceable(pruned_nets.detached(), IMAGE)
    assert caught.value.where == line_of("return self.b(x)")
    assert "gradients do not pass it or what comes next to it" in caught.value.what
    assert "write that step with torch's operators" in caught.value.hint


def test_of_several_layers_behind_a_cut_the_first_is_named() -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(2, 2) for _ in "abc")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return self.c(self.b(self.a(x)))

    with pytest.raises(PassError, match="cannot trace 'b'"):
        check_traceable(Three(), {"x": torch.zeros(1, 2)})


def test_a_forward_that_fails_with_gradients_is_named() -> None:
    with pytest.raises(PassError, match=r"cannot trace 'Fails': RuntimeError: .*numpy") as caught:
        check_traceable(pruned_nets.fails(), IMAGE)
    assert caught.value.where == line_of("return self.a(image).numpy()")


def test_the_innermost_layer_that_ran_is_named() -> None:
    class Breaks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no\nmore")

    outer = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Breaks()))
    with pytest.raises(PassError, match=r"cannot trace '1\.0'") as caught:
        check_traceable(outer, {"input": torch.zeros(1, 2)})
    assert caught.value.what == "cannot trace '1.0': ValueError: no", "its first line alone"
    assert caught.value.where.startswith("test_tracing.py:")


def test_an_output_that_is_cut_behind_the_last_layer_names_that() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.only = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.only(x).detach()

    with pytest.raises(PassError, match="cannot trace 'only': gradients do not pass it"):
        check_traceable(Cut(), {"x": torch.zeros(1, 2)})


def test_networks_that_pass_gradients_are_taken_whatever_they_are_fed() -> None:
    check_traceable(pruned_nets.mobile(), IMAGE)
    words = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 2))
    ids = torch.zeros(1, 5, dtype=torch.long)
    with torch.no_grad():
        check_traceable(words, {"input": ids})
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in words.modules())


def test_samples_are_not_asked_for_gradients_themselves() -> None:
    x = torch.zeros(1, 2)
    check_traceable(nn.Sequential(nn.Linear(2, 2)), {"input": x})
    assert not x.requires_grad


@pytest.mark.parametrize("was", [True, False])
def test_fused_attention_is_off_meanwhile(was: bool) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(was)
    try:
        with pytest.raises(KeyError), whole_attention():
            assert not torch.backends.mha.get_fastpath_enabled()
            raise KeyError
        assert torch.backends.mha.get_fastpath_enabled() is was
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
