"""What a decision says of itself: races, ties, proof, and targets on which nothing worked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import selection_parts as parts
from onnx import TensorProto, helper, numpy_helper
from short_races import shortened

import edgeopt
from edgeopt.callbacks import OnTarget
from edgeopt.decide.proof import inverse, lost_to
from edgeopt.report import draw
from edgeopt.schema.errors import EdgeoptError, WorkerError
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import Result
from edgeopt.schema.shown import whole

TORCH_NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc = torch.nn.Linear(9, 3)

    def forward(self, x):
        return self.fc(x.flatten(1)) + torch.linalg.det(x)[:, None]
"""


def selection(
    figures: dict[str, Any], sizes: dict[str, int], *, quick: bool = False, contends: bool = False
) -> parts.Play:
    """A selection on given figures, whose entries have files of given sizes.

    ``contends``: one of the recipe's own chains ends in the reference.
    """
    return parts.Play(figures, parts.terms(quick=quick), sizes=sizes, contends=contends)


# -- the reference


def test_the_reference_is_not_raced_against_itself_and_stands_at_one() -> None:
    """Guards against a reference that shows the noise of a race as if it were a ratio."""
    figures = {"reference": parts.REFERENCE, "slow": parts.candidate(1.4)}
    play = selection(figures, {}, contends=True)
    decision = play.run()
    assert not [done for done in play.given.done if done[0] in ("short", "full", "final")
                and done[1] == "reference"]  # fmt: skip
    ratio = play.ledger["reference"].measured["ratio.latency.p50"]
    assert (ratio.value, ratio.low, ratio.high) == (1.0, None, None)
    assert decision.chosen == "reference", "it contends like any other"


def test_the_reference_wins_or_loses_a_tie_by_size() -> None:
    """Guards against a tie with the reference that noise decides."""
    for smaller, larger in (("reference", "same"), ("same", "reference")):
        figures = {"reference": parts.REFERENCE, "same": parts.candidate(0.995)}
        decision = selection(figures, {smaller: 500, larger: 1000}, contends=True).run()
        assert decision.chosen == smaller
        assert f"{smaller} is tied with {larger}, and smaller" in decision.sentence


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``det.onnx`` and ``Net``, with an operator that OpenVINO and TFLite lack; ``plain.onnx``."""
    place = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    weights = numpy_helper.from_array(rng.normal(size=(9, 3)).astype(np.float32), "w")
    axes = numpy_helper.from_array(np.array([1], np.int64), "axes")
    linear = [
        helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["m"])
    ]  # fmt: skip
    tails = {
        "plain": [helper.make_node("Relu", ["m"], ["r"]), helper.make_node("Relu", ["r"], ["y"])],
        "det": [
            helper.make_node("Det", ["x"], ["d"]),
            helper.make_node("Unsqueeze", ["d", "axes"], ["u"]),
            helper.make_node("Add", ["m", "u"], ["y"]),
        ],
    }
    for name, tail in tails.items():
        graph = helper.make_graph(
            [*linear, *tail],
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
            [weights, axes],
        )
        opset = [helper.make_opsetid("", 17)]
        onnx.save(
            helper.make_model(graph, opset_imports=opset, ir_version=9), place / f"{name}.onnx"
        )
    x = rng.normal(size=(120, 3, 3)).astype(np.float32)
    np.savez(place / "s.npz", **{"validation.x": x[:60], "test.x": x[60:]})
    (place / "net.py").write_text(TORCH_NET)
    return place


def optimized(folder: Path, model: Any, targets: list[str], **fields: Any) -> Result:
    data = {
        "source": str(folder / "s.npz"),
        "splits": {"validation": "validation", "test": "test"},
    }
    with shortened():
        return edgeopt.optimize(
            model, data=data,
            targets=targets, constraints=["fidelity.cosine >= 0.99"], store=folder / "store",
            **{"passes": ["simplify-onnx"], "quick": True, "out": folder / "out", **fields},
        )  # fmt: skip


def test_a_row_s_time_and_ratio_are_of_one_race(folder: Path) -> None:
    """Guards against 1.00x beside a time that belongs to another race."""
    passes = [{"one_of": ["none", "simplify-onnx", "fp16"]}]
    result = optimized(folder, folder / "plain.onnx", ["local/onnxruntime"], passes=passes)
    (target,) = result.targets
    reference = next(c for c in target.candidates if c.reference)
    raced = [c for c in target.candidates if "ratio.latency.p50" in c.measurements]
    assert reference in raced and len(raced) > 1
    for candidate in raced:
        time, ratio = (candidate.measurements[q] for q in ("latency.p50", "ratio.latency.p50"))
        if candidate is reference:
            assert (ratio.value, ratio.low, ratio.high) == (1.0, None, None)
            beside = target.candidate(target.chosen)
            if beside is reference:  # then it is of its race with the nearest
                (beside,) = (
                    c for c in raced
                    if c is not reference and c.measurements["latency.p50"].samples == time.samples
                )  # fmt: skip
            assert time.samples == beside.measurements["latency.p50"].samples
            assert f"from its race against {beside.label}" in time.protocol
        else:
            assert time.samples == ratio.samples


# -- proof


def raced_head_to_head(value: float, low: float, high: float) -> dict[str, Any]:
    return {"head-to-head": {"ratio.latency.p50": (value, low, high)}}


def test_best_measured_is_said_only_where_it_is_proven() -> None:
    """Guards against a winner by noise that is called the best."""
    figures = {
        "reference": parts.REFERENCE,
        "first": parts.candidate(0.50),
        "second": parts.candidate(0.505, **raced_head_to_head(1.0, 0.98, 1.02)),
    }
    play = selection(figures, {"first": 1000, "second": 400})
    decision = play.run()
    assert decision.chosen == "second"
    assert "second is tied with first, and smaller" in decision.sentence
    assert "best measured" not in decision.sentence
    status, reason = play.status("first", decision), play.reason("first", decision)
    assert status == "lost" and "tie" in reason and "smaller" in reason


def test_a_winner_that_is_proven_is_called_the_best_measured() -> None:
    """Guards against doubt where there is none."""
    figures = {
        "reference": parts.REFERENCE,
        "first": parts.candidate(0.50),
        "second": parts.candidate(0.6, **raced_head_to_head(1.2, 1.19, 1.21)),
    }
    decision = selection(figures, {"first": 1000, "second": 400}).run()
    assert decision.chosen == "first"
    assert decision.sentence.startswith("first is the best measured artifact by latency.p50; ")


def test_what_short_races_prove_is_said_to_be_of_short_races() -> None:
    """Guards against a quick run whose winner reads as that of a full one."""
    figures = {"reference": parts.REFERENCE, "first": parts.candidate(0.50)}
    decision = selection(figures, {}, quick=True).run()
    assert "first is the best measured artifact by latency.p50, in short races" in decision.sentence
    assert "short" not in selection(figures, {}).run().sentence


def test_the_reference_that_lost_is_not_compared_with_itself() -> None:
    """Guards against "1.00x the reference's" as the reason of the reference."""
    figures = {"reference": parts.REFERENCE, "first": parts.candidate(0.50)}
    play = selection(figures, {}, quick=True, contends=True)
    decision = play.run()
    status, reason = play.status("reference", decision), play.reason("reference", decision)
    assert status == "lost" and "the reference's" not in reason and "head to head" not in reason
    assert reason.startswith("the chosen takes 0.50x") and "its p50 latency" in reason


def test_a_loser_s_ratio_has_no_more_digits_than_its_interval_supports() -> None:
    """Guards against five digits of a race in a few processes."""
    direct = Measurement(quantity="ratio.latency.p50", value=12.245, unit="x", low=11.9, high=12.6)
    reason = lost_to("latency.p50", {}, {}, direct, "proven")
    assert "took 12.2x as long as the chosen (95% interval 11.9 to 12.6x)" in reason
    assert whole(inverse(direct)) == "0.082x (0.079 to 0.084x)"


def test_short_races_whose_intervals_overlap_prove_nothing() -> None:
    """Guards against a quick run that claims what only direct races can show."""
    figures = {
        "reference": parts.REFERENCE,
        "first": parts.candidate(0.50, short=parts.fast(0.50, 0.02)),
        "second": parts.candidate(0.51, short=parts.fast(0.51, 0.02)),
    }
    decision = selection(figures, {}, quick=True).run()
    assert decision.chosen == "first"
    assert "best measured" not in decision.sentence
    assert "not proven better than second" in decision.sentence
    told = "(0.98x (0.93 to 1.04x, wide) its p50 latency: 0.50x (0.48 to 0.52x) against 0.51x (0.49"
    assert told in decision.sentence, "the figures that decided"


def test_a_difference_below_half_a_percent_goes_to_the_smaller_file() -> None:
    """Guards against a larger file that wins by a hair."""
    figures = {
        "reference": parts.REFERENCE,
        "first": parts.candidate(0.500),
        "second": parts.candidate(0.501),
    }
    decision = selection(figures, {"first": 1000, "second": 400}, quick=True).run()
    assert decision.chosen == "second"
    assert "tied with first in short races, and smaller" in decision.sentence


# -- targets that failed


def words(result: Result) -> dict[str, str]:
    return {target.target: target.verdict for target in result.targets}


@pytest.mark.extras
def test_a_reference_that_cannot_be_scored_fails_its_target_alone(folder: Path) -> None:
    """Guards against a broken target that reads as one that only lacks proof."""
    targets = ["local/onnxruntime", "local/openvino"]
    result = optimized(folder, folder / "det.onnx", targets)
    assert words(result) == {"local/onnxruntime": "chosen", "local/openvino": "failed"}
    assert result.exit_code == 5
    broken = result.target("local/openvino")
    assert "OpenVINO cannot load the model" in broken.sentence
    assert "\n" not in broken.sentence
    for view in ("terminal", "html"):
        assert "failed" in draw(result, view).lower()
    kept = json.loads((folder / "out" / "result.json").read_text())
    assert [t["verdict"] for t in kept["targets"]] == ["chosen", "failed"]


@pytest.mark.extras
def test_where_no_target_is_decided_a_failed_run_exits_1(folder: Path) -> None:
    """Guards against a run without any result that reads as partly done."""
    result = optimized(folder, folder / "det.onnx", ["local/openvino"])
    assert words(result) == {"local/openvino": "failed"} and result.exit_code == 1
    assert (folder / "out" / "result.json").is_file()


@pytest.mark.extras
@pytest.mark.parametrize("bench", [True, False], ids=["measured", "built"])
def test_a_reference_that_cannot_be_made_fails_its_target_alone(folder: Path, bench: bool) -> None:
    """Guards against one target's missing operator that costs the others their result."""
    model = {"format": "torch", "factory": f"{folder}/net.py:Net"}
    result = optimized(
        folder, model, ["local/onnxruntime", "local/litert"], bench=bench,
        passes=[{"one_of": ["export-onnx", "export-tflite"]}],
    )  # fmt: skip
    first = "chosen" if bench else "built"
    assert words(result) == {"local/onnxruntime": first, "local/litert": "failed"}
    assert result.exit_code == 5
    assert "Lowering not found" in result.target("local/litert").sentence


def test_candidates_that_all_failed_are_a_failed_target_which_names_the_first_error() -> None:
    """Guards against a verdict of doubt where nothing could be measured."""
    figures = {"reference": parts.REFERENCE, "one": {}, "two": {}}
    decision = selection(figures, {}).run()
    assert decision.verdict == "failed"
    assert "one: it broke" in decision.sentence


@pytest.mark.extras
def test_a_callback_raises_where_nothing_could_be_measured(folder: Path) -> None:
    """Guards against a training loop that logs nothing and does not say why."""
    scope: dict[str, Any] = {}
    exec(TORCH_NET, scope)
    x = np.random.default_rng(0).normal(size=(40, 3, 3)).astype(np.float32)
    on_target = OnTarget((x, np.arange(40) % 3), target="local/litert", store=folder / "store")
    with pytest.raises(EdgeoptError, match="Lowering not found"):
        on_target.measured(scope["Net"]())


def test_a_winner_whose_worker_was_lost_on_test_is_not_tested() -> None:
    """Guards against a crash that reads as a refusal of the model."""
    lost = WorkerError("the worker died of signal 9").record()
    figures = {"reference": parts.REFERENCE, "good": parts.candidate(0.5, test=lost)}
    decision = selection(figures, {}).run()
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 4)
    assert "not tested: worker lost: the worker died of signal 9" in decision.sentence


# -- devices without time


def counted(ratio: float) -> dict[str, Any]:
    figures = {"instructions": (1e6 * ratio,) * 3, "ratio.instructions": (ratio,) * 3}
    return {"validation": parts.accurate(0), "count": figures}


def test_counts_that_tie_go_to_the_smaller_file_and_the_reference_is_not_counted_twice() -> None:
    """Guards against counted selections that speak otherwise than timed ones."""
    figures = {"reference": counted(1.0), "first": counted(0.500), "second": counted(0.501)}
    asked = parts.terms(objective="instructions", counted=True)
    sizes = {"reference": 1000, "first": 1000, "second": 400}
    play = parts.Play(figures, asked, sizes=sizes, contends=True)
    decision = play.run()
    assert ("count", "reference") not in play.given.done
    assert play.ledger["reference"].measured["ratio.instructions"].interval == (1.0, 1.0)
    assert decision.chosen == "second"
    assert decision.sentence.startswith("second is tied with first, and smaller")
    assert "a tie with the chosen, which is smaller" in play.reason("first", decision)
