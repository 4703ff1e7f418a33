from __future__ import annotations

from torch import nn

from edgeopt.pruning.groups import Group, Layer, LeftAlone, Slice, records

NET = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 1), nn.Linear(4, 4))


def slice_of(path: str, role: str) -> Slice:
    return Slice(path, "weight", 0, ((0,), (1,)), role)  # type: ignore[arg-type]


def test_the_layers_of_a_group_are_those_that_lose_outputs() -> None:
    slices = (slice_of("a", "out"), slice_of("n", "scale"), slice_of("b", "in"))
    twice = (*slices, slice_of("c", "out"), slice_of("a", "out"))
    assert Group("a", "channel", 2, 1, twice).layers == ("a", "c")
    heads = Group("m", "head", 2, 4, (slice_of("m", "out"),), attentions=("m", "other"))
    assert heads.layers == ("m", "other")


def test_records_stand_in_the_module_s_order_with_group_or_reason() -> None:
    group = Group("2", "channel", 2, 2, (slice_of("2", "out"), slice_of("0", "out")))
    told = records(NET, [group], [LeftAlone(("3",), "its channels are the network's output")])
    assert told == (
        Layer("0", "Conv2d", 2, "channel", "2"),
        Layer("2", "Conv2d", 2, "channel", "2"),
        Layer("3", "Linear", 0, "", "", "its channels are the network's output"),
    )
    assert [layer.prunable for layer in told] == [True, True, False]


def test_a_layer_that_a_group_takes_is_not_left_alone() -> None:
    group = Group("0", "channel", 2, 1, (slice_of("0", "out"),))
    (told,) = records(NET, [group], [LeftAlone(("0",), "it was tried another way")])
    assert told.prunable and told.units == 2


def test_what_is_left_alone_is_named_by_its_first_layer() -> None:
    assert LeftAlone(("b", "a"), "").name == "b"
