"""What rounding alone does: nothing where numbers are whole, and what its size explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.worker.answers import Answering
from edgeopt.worker.rounding import noise

Feeds = Mapping[str, np.ndarray]


def model(x: np.ndarray, run: Callable[[Feeds], dict[str, np.ndarray]]) -> Answering:
    tensors = [
        Tensor(name=name, dtype=str(dtype), shape=("batch", 4))
        for name, dtype in (("x", x.dtype), ("y", np.float32), ("z", np.float32))
    ]
    signature = Signature(inputs=(tensors[0],), outputs=(*tensors[1:],))
    return Answering(Description(format="onnx", signature=signature), run, {"x": x})


def test_each_output_moves_by_what_one_step_of_the_inputs_does() -> None:
    x = np.full((3, 4), 1.5, np.float32)
    step = float(np.spacing(np.float32(1.5)))
    made = model(x, lambda feeds: {"y": feeds["x"], "z": 1000 * feeds["x"] - 1500})
    found = noise(made, made.outputs())
    assert found[0] == step
    assert 900 * step <= found[1] <= 1100 * step


def test_whole_numbers_do_not_round() -> None:
    x = np.arange(12, dtype=np.int64).reshape(3, 4)

    def run(feeds: Feeds) -> dict[str, np.ndarray]:
        assert feeds["x"].tobytes() == x.tobytes(), "it is asked nothing else"
        return {"y": feeds["x"].astype(np.float32), "z": feeds["x"].astype(np.float32)}

    made = model(x, run)
    assert noise(made, made.outputs()) == [0.0, 0.0]


def test_infinities_are_no_noise_and_the_same_noise_comes_again() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)

    def run(feeds: Feeds) -> dict[str, np.ndarray]:
        masked = np.where(feeds["x"] > 0, feeds["x"], -np.inf).astype(np.float32)
        return {"y": masked, "z": np.full((3, 4), np.inf, np.float32)}

    made = model(x, run)
    first, second = (noise(made, made.outputs()) for _ in range(2))
    assert 0 < first[0] < 1e-5 and first[1] == 0.0
    assert first == second
