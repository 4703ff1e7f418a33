"""Memory, in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from passes_bench import network, samples

Ask = Callable[..., dict[str, Any]]


def test_memory_is_measured_in_processes_of_their_own(ask: Ask) -> None:
    big = network()
    weight = np.zeros((16, 500_000), np.float32)
    big.graph.initializer.append(numpy_helper.from_array(weight, "big"))
    big.graph.node.append(onnx.helper.make_node("MatMul", ["m", "big"], ["z"]))
    big.graph.output.append(
        onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["batch", 500_000])
    )
    value = ask("race", a=big, b=network(), x=samples(4), protocol="memory")
    small, large = (value[side]["memory.peak"]["value"] for side in ("b", "a"))
    assert 0 < small < large and large > weight.nbytes
