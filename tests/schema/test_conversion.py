from __future__ import annotations

from typing import Any

import pytest

from edgeopt.schema.conversion import BY_FILE, Conversion


def sentence(**given: Any) -> str:
    form = {"form": "int8", "weights": 1.0, "by": "onnxruntime 1.32.0", **given}
    return Conversion.model_validate(form).sentence


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"macs": 1.0}, "int8: 100% of weights and MACs"),
        ({"macs": 0.98}, "int8: 100% of weights, 98% of MACs"),
        ({"weights": 0.5}, "int8: 50% of weights"),
        ({"macs": 1.0, "by": BY_FILE}, "int8: 100% of weights and MACs, by the file"),
        ({"form": "float16", "macs": 0.0}, "float16: 100% of weights; all MACs in float32"),
    ],
)
def test_shares_are_told_as_far_as_they_are_known(given: dict[str, Any], told: str) -> None:
    assert sentence(**given) == told


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.9999, "over 99%"), (0.994, "99%"), (0.0001, "under 1%"), (0.007, "1%")],
)
def test_all_and_none_are_said_of_nothing_less(share: float, told: str) -> None:
    """Guards against a 100% of a network that is not wholly converted."""
    assert sentence(weights=share) == f"int8: {told} of weights"


@pytest.mark.parametrize(
    ("as_it_runs", "how"),
    [(False, "float activations"), (True, "activations quantized as it runs")],
)
def test_mixed_products_are_told_by_what_their_activations_are(as_it_runs: bool, how: str) -> None:
    text = sentence(macs=0.0, macs_hybrid=0.75, as_it_runs=as_it_runs)
    assert text == f"int8: 100% of weights; 75% of MACs with int8 weights and {how}"


def test_operators_that_keep_weights_are_named_once_and_tiny_ones_not_at_all() -> None:
    text = sentence(
        weights=0.9, macs=0.5, float_weights={"Gru": 0.0999, "Mul": 0.0001},
        float_operators={"Gru": 1, "Softmax": 2},
    )  # fmt: skip
    assert text == (
        "int8: 90% of weights, 50% of MACs; 10% of weights stay float32: Gru; float: 2 Softmax"
    )


def test_a_long_list_of_operators_is_cut() -> None:
    text = sentence(macs=0.5, float_operators={name: 1 for name in "ABCDEF"})
    assert text.endswith("float: 1 A, 1 B, 1 C, 1 D and 2 more")


def test_islands_are_told_with_their_shares_of_the_time_short_ones_not() -> None:
    islands = [
        {"operators": {"Conv": 2, "Resize": 1}, "time": 0.25},
        {"operators": {"Softmax": 1}, "time": 0.02},
        {"operators": {"Erf": 1}, "time": 0.004},
    ]
    form = {"form": "int8", "weights": 1.0, "islands": islands, "quantizers_time": 0.08}
    told = Conversion.model_validate(form).islands_sentence
    assert told == "float islands: 2 Conv + Resize 25% of the time, Softmax 2%; quantizers 8%"
    assert not Conversion(form="int8", weights=1.0).islands_sentence
    alone = Conversion(form="int8", weights=1.0, quantizers_time=0.5)
    assert alone.islands_sentence == "quantizers 50% of the time"
