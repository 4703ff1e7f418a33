"""Guards that tell what is wrong of a source, and only that: infinities, rare events, rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import edgeopt
from edgeopt.answers.outputs import check_outputs
from edgeopt.bench.jobs import run_bench
from edgeopt.engine import Engine
from edgeopt.evaluation.changed import answers
from edgeopt.pipeline.parity import compared
from edgeopt.pruning.masked import gap
from edgeopt.schema.errors import ModelError
from edgeopt.schema.job import Arrays, Job, Outcome
from edgeopt.step import APPROXIMATE, EXACT, Promise, close
from edgeopt.store import Store

N, FEATURES, CLASSES = 16, 6, 4
INF = np.float32(np.inf)
Array = np.ndarray[Any, Any]
value = helper.make_tensor_value_info
node = helper.make_node


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(store: Store) -> Iterator[Engine]:
    with Engine(store, on_event=lambda event: None, bench=run_bench) as engine:
        yield engine


def network(nodes: list[Any], outputs: list[str], **held: Array) -> onnx.ModelProto:
    """A network of ``x`` (batch, 6) with a weight ``w``, and what else is held."""
    weights = np.random.default_rng(0).standard_normal((FEATURES, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        nodes, "net", [value("x", TensorProto.FLOAT, ["batch", FEATURES])],
        [value(name, TensorProto.FLOAT, ["batch", None]) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), k) for k, a in {"w": weights, **held}.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def masked(shut: float = -np.inf, always: bool = True) -> onnx.ModelProto:
    """Scores whose last class is masked: by ``shut`` for all samples, or where it is below 0."""
    mask = np.array([True, True, True, False])
    nodes = [node("MatMul", ["x", "w"], ["scores"])]
    if always:
        nodes.append(node("Where", ["mask", "scores", "shut"], ["y"]))
    else:
        nodes += [node("Greater", ["scores", "zero"], ["open"]),
                  node("Where", ["open", "scores", "shut"], ["y"])]  # fmt: skip
    return network(nodes, ["y"], mask=mask, shut=np.float32(shut), zero=np.float32(0))


def rows(n: int = N, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((n, FEATURES)).astype(np.float32)


def opened(engine: Engine, folder: Path, name: str, model: onnx.ModelProto) -> Outcome:
    onnx.save(model, folder / f"{name}.onnx")
    job = Job(
        id=name, kind="open", name="onnx", worker="onnx",
        params={"spec": {"format": "onnx", "path": f"{name}.onnx"}, "samples": {}},
        where={"root": str(folder)}, cache=False,
    )  # fmt: skip
    outcome = engine.run([job], {})[name]
    assert outcome.ok, outcome.error
    return outcome


def fed(store: Store, x: Array) -> Outcome:
    arrays = Arrays(split="validation", n=len(x), arrays={"x": store.put_array(x)})
    return Outcome(job="samples", status="ok", digest=arrays.digest, value=arrays.to_json())


def checked(
    engine: Engine, folder: Path, x: Array, source: onnx.ModelProto,
    child: onnx.ModelProto | None = None, promise: Promise = APPROXIMATE,
) -> Outcome:  # fmt: skip
    """The check of a source, or of a pass that made ``child`` of it."""
    known = {"samples": fed(engine.store, x), "source": opened(engine, folder, "source", source)}
    inputs, params = {"model": "source", "samples": "samples"}, {"n": N}
    if child is not None:
        known["child"] = opened(engine, folder, "child", child)
        inputs = {"parent": "source", "child": "child", "samples": "samples",
                  "child_samples": "samples"}  # fmt: skip
        params |= {"promise": promise.to_json()}
    job = Job(id="check", kind="check", name="made", worker="onnx", params=params, inputs=inputs,
              cache=False)  # fmt: skip
    return engine.run([job], known)["check"]


def told(outcome: Outcome) -> str:
    assert outcome.error is not None, outcome.value
    return outcome.error["what"]


@pytest.mark.parametrize("always", [True, False], ids=["all samples", "some samples"])
@pytest.mark.parametrize("promise", [EXACT, close(rtol=1e-3, atol=1e-5), APPROXIMATE], ids=str)
def test_infinities_at_equal_places_are_equal(
    engine: Engine, tmp_path: Path, always: bool, promise: Promise
) -> None:
    """Guards masked scores: -inf where the parent has it too is a right answer."""
    source = checked(engine, tmp_path, rows(), masked(always=always))
    assert source.ok, source.error
    child = checked(engine, tmp_path, rows(), masked(always=always), masked(always=always), promise)
    assert child.ok, child.error


@pytest.mark.parametrize("shut", [-1e4, np.inf], ids=["finite", "of the other sign"])
def test_an_infinity_that_the_parent_lacks_names_output_and_sample(
    engine: Engine, tmp_path: Path, shut: float
) -> None:
    """Guards against letting infinities pass that only one side has."""
    source, other = masked(always=False), masked(shut, always=False)
    scores = rows() @ numpy_helper.to_array(source.graph.initializer[0])
    first = int(np.argmax((scores < 0).any(axis=1)))
    for pair in ((source, other), (other, source)):
        what = told(checked(engine, tmp_path, rows(), *pair))
        assert "'y'" in what and f"sample {first}" in what and "infinit" in what


def test_nan_is_wrong_on_every_side(engine: Engine, tmp_path: Path) -> None:
    """Guards that NaN stays an error, of a source and of what a pass made."""
    nodes = [node("MatMul", ["x", "w"], ["scores"]), node("Sqrt", ["scores"], ["y"])]
    assert "NaN" in told(checked(engine, tmp_path, rows(), network(nodes, ["y"])))
    assert "'y'" in told(checked(engine, tmp_path, rows(), masked(), network(nodes, ["y"])))
    with pytest.raises(ModelError, match=r"'y'.*sample 1"):
        check_outputs({"y": np.array([[0.0, 1.0], [np.nan, 2.0]])})


def test_figures_of_outputs_cope_with_shared_infinities() -> None:
    """Guards the helper for metrics, the answers that changed, parity of devices, and pruning."""
    from edgeopt.answers.outputs import without_shared_infinities

    theirs = np.array([[1.0, -INF, 2.0], [3.0, 4.0, -INF], [INF, 1.0, 0.0]], np.float32)
    mine = theirs.copy()
    mine[0, 0] = 1.5
    assert check_outputs({"y": theirs}) == 3
    a, b = without_shared_infinities(mine, theirs, "y")
    np.testing.assert_array_equal(a, [[1.5, 0.0, 2.0], [3.0, 4.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(b, [[1.0, 0.0, 2.0], [3.0, 4.0, 0.0], [0.0, 1.0, 0.0]])
    assert np.isinf(mine).sum() == 3  # what was given stays as it was
    for other in (np.where(theirs == -INF, INF, theirs), np.where(np.isinf(theirs), 0.0, theirs)):
        with pytest.raises(ModelError, match=r"'y'.*sample 0"):
            without_shared_infinities(other, theirs, "y")
    found = answers({"y": theirs}, {"y": mine}, None)
    assert (found.changed, found.worst) == (0, 0)
    parity = compared({"y": theirs}, {"y": mine}, "a board")
    assert parity.worst == pytest.approx(0.5) and parity.peak == 4.0 and parity.flips == 0
    apart = compared({"y": theirs}, {"y": np.where(np.isinf(theirs), 0.0, theirs)}, "a board")
    assert not apart.holds and np.isfinite(apart.worst) and "'y'" in apart.sentence
    module = nn.Threshold(0.0, -float("inf"))
    assert gap(module, module, (), {}, {"input": torch.randn(3, 4)}).agrees


def test_a_rare_event_is_looked_for_in_more_samples(engine: Engine, tmp_path: Path) -> None:
    """Guards detectors that mostly answer 0: constant is what 256 samples could not move."""
    nodes = [node("MatMul", ["x", "w"], ["scores"]), node("Sub", ["scores", "high"], ["over"]),
             node("Relu", ["over"], ["y"])]  # fmt: skip
    detector, deaf = (network(nodes, ["y"], high=np.float32(h)) for h in (100.0, 1e9))
    x = rows(300)
    x[200] *= 1000
    for pair in ((detector,), (detector, detector)):
        outcome = checked(engine, tmp_path, x, *pair)
        assert outcome.ok, outcome.error
    assert "for all 256 samples" in told(checked(engine, tmp_path, x, deaf))
    what = told(checked(engine, tmp_path, x, detector, deaf))
    assert "'y' for all 256 samples" in what


CANCELS = """
import torch
from torch import nn

class Cancels(nn.Module):  # weights of 1e4 whose common part is taken away again
    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(512, 64, bias=False)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            self.wide.weight.normal_(1e4, 1e-2, generator=generator)

    def forward(self, x):
        wide = self.wide(x)
        return wide - wide.mean(dim=1, keepdim=True)

class Touches(Cancels):  # and samples of a batch touch each other
    def forward(self, x):
        return super().forward(x) + x.mean()
"""


def test_digits_lost_to_cancellation_are_told_as_that(tmp_path: Path) -> None:
    """Guards a network whose float32 sums cancel: steady, but other in a batch by rounding."""
    (tmp_path / "nets.py").write_text(CANCELS)
    x = np.random.default_rng(0).standard_normal((40, 512)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", **{"validation.x": x})
    fields: dict[str, Any] = {
        "data": {"source": str(tmp_path / "samples.npz"), "splits": {"validation": "validation"}},
        "passes": ["export-onnx"], "store": tmp_path / "store", "bench": False,
    }  # fmt: skip
    result = edgeopt.optimize({"factory": f"{tmp_path}/nets.py:Cancels"}, **fields)
    (note,) = [note for note in result.notes if "float32" in note]
    assert "'output'" in note and "cancel" in note and "of its largest value" in note
    (candidate,) = result.targets[0].candidates
    assert candidate.status == "unmeasured", candidate
    with pytest.raises(ModelError, match=r"(?s)in a batch of 16 and alone.*touch each other"):
        edgeopt.optimize({"factory": f"{tmp_path}/nets.py:Touches"}, **fields)


def test_a_batch_that_matters_by_its_size_alone_is_no_rounding(
    engine: Engine, tmp_path: Path
) -> None:
    """Guards that a fault which rounding cannot explain stays an error."""
    nodes = [node("MatMul", ["x", "w"], ["scores"]), node("Shape", ["x"], ["shape"], end=1),
             node("Cast", ["shape"], ["n"], to=TensorProto.FLOAT),
             node("Mul", ["scores", "n"], ["y"])]  # fmt: skip
    assert "batch of 16 and alone" in told(checked(engine, tmp_path, rows(), network(nodes, ["y"])))


def coarse_then_fine(fine: float) -> onnx.ModelProto:
    """Two pairs of quantizers, the first of steps of 0.5: ONNX Runtime makes one of them."""
    nodes = [
        node("MatMul", ["x", "w"], ["scores"]),
        node("QuantizeLinear", ["scores", "coarse", "zero"], ["a"]),
        node("DequantizeLinear", ["a", "coarse", "zero"], ["b"]),
        node("QuantizeLinear", ["b", "fine", "zero"], ["c"]),
        node("DequantizeLinear", ["c", "fine", "zero"], ["y"]),
    ]
    scales = {"coarse": np.float32(0.5), "fine": np.float32(fine)}
    return network(nodes, ["y"], **scales, zero=np.uint8(128))


def rebiased() -> onnx.ModelProto:
    """A convolution whose bias an Add takes away: fused, no digit is lost; node by node, most."""
    nodes = [
        node("Reshape", ["x", "image"], ["seen"]),
        node("Conv", ["seen", "kernel", "up"], ["raised"]),
        node("Add", ["raised", "down"], ["lowered"]),
        node("Flatten", ["lowered"], ["y"]),
    ]
    held: Mapping[str, Array] = {
        "image": np.array([0, 1, 2, 3], np.int64), "up": np.full(2, 1e7, np.float32),
        "kernel": np.random.default_rng(0).standard_normal((2, 1, 2, 2)).astype(np.float32),
        "down": np.full((1, 2, 1, 1), -1e7, np.float32),
    }  # fmt: skip
    return network(nodes, ["y"], **held)


@pytest.mark.parametrize(
    ("source", "said"), [(coarse_then_fine(0.05), "steps"), (rebiased(), "of its largest value")],
    ids=["qdq", "float32"],
)  # fmt: skip
def test_a_source_whose_fused_session_leaves_its_graph_is_noted(
    tmp_path: Path, source: onnx.ModelProto, said: str
) -> None:
    """Guards the yardstick itself: fused kernels that answer otherwise than the graph says."""
    onnx.save(source, tmp_path / "source.onnx")
    np.savez(tmp_path / "samples.npz", **{"validation.x": rows(40)})
    data = {"source": str(tmp_path / "samples.npz"), "splits": {"validation": "validation"}}
    result = edgeopt.optimize(
        {"path": str(tmp_path / "source.onnx")}, data=data, bench=False, store=tmp_path / "store"
    )
    (note,) = [note for note in result.notes if "node by node" in note]
    assert "'y'" in note and said in note and "fused" in note


def test_a_source_that_keeps_to_its_graph_gets_no_note(engine: Engine, tmp_path: Path) -> None:
    """Guards against a note for a step of rounding, of float32 and of QDQ files."""
    fine = coarse_then_fine(0.5)
    for source in (masked(0.0), fine):
        outcome = checked(engine, tmp_path, rows(), source)
        assert outcome.ok, outcome.error
        assert not outcome.value.get("notes")
