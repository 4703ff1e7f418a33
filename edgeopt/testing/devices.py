"""What every device must do. ``edgeopt devices check`` runs it on a live one; so does a test::

class TestMyDevice(DeviceConformance):
    @pytest.fixture
    def target(self) -> str:
        return "mykind:name/onnxruntime"
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgeopt.bench.jobs import ROLES, run_bench
from edgeopt.schema.artifact import Artifact
from edgeopt.schema.errors import DeviceError, EdgeoptError
from edgeopt.schema.job import ArrayRef, Arrays, Job, Outcome, Request
from edgeopt.schema.target import Target, parse_target
from edgeopt.store import Store
from edgeopt.transport.kinds import Device, device_named

SAMPLES, WIDTH, HIDDEN = 10, 6, 256
PATIENCE_S = 60.0
RTOL, ATOL = 1e-4, 1e-5


@dataclass(frozen=True)
class Place:
    """A target under test, with a store and an empty folder to work in."""

    target: Target
    store: Store
    folder: Path

    @property
    def device(self) -> Device:
        return device_named(self.target.device)


def says_hello(place: Place) -> str:
    """It says what it is, and has the target's runtime."""
    facts = place.device.facts(place.target)
    assert facts.isa and facts.cores >= 1
    return f"{facts.isa}, {facts.cores} cores, {place.target.runtime} {facts.runtime_version}"


def scores_as_here(place: Place) -> str:
    """A small network answers as it does on this machine."""
    found = [_scored(place, target) for target in (str(place.target), "local/onnxruntime")]
    np.testing.assert_allclose(found[0], found[1], rtol=RTOL, atol=ATOL)
    return f"{len(found[0])} outputs, at most {np.abs(found[0] - found[1]).max():.1e} apart"


def refuses_what_is_corrupt(place: Place) -> str:
    """A file that is not what its digest says never gets to an agent."""
    if place.device.here:
        return "files are linked from a store that is verified"
    wrong = place.folder / "wrong"
    wrong.write_bytes(b"not what the digest says")
    digest = hashlib.sha256(b"what the digest says").hexdigest()
    with _borrowed(place) as lease:
        try:
            lease.put({digest: wrong})
        except DeviceError as error:
            return error.what
    raise AssertionError("a file with a wrong digest was taken")


def ends_when_cancelled(place: Place) -> str:
    """A cancel ends what runs on it."""
    cancelled = threading.Event()
    timer = threading.Timer(0.5, cancelled.set)
    timer.start()
    try:
        while True:
            _scored(place, str(place.target), cancelled)
    except DeviceError as error:
        assert "cancelled" in error.what, error
        return error.what
    finally:
        timer.cancel()


def lends_itself_once(place: Place) -> str:
    """Who comes second waits until the first is done."""
    ours, theirs = threading.Event(), threading.Event()

    def second() -> None:
        with _borrowed(place):
            theirs.set()

    thread = threading.Thread(target=second, daemon=True)
    with _borrowed(place):
        thread.start()
        assert not theirs.wait(2.0), "two held it at once"
        ours.set()
    assert theirs.wait(PATIENCE_S), "the second never got it"
    thread.join(PATIENCE_S)
    return "the second waited for the first"


def leaves_nothing(place: Place) -> str:
    """The host's folder is as it was; what was put on the device went with the lease."""
    _scored(place, str(place.target))
    left = [path.name for path in place.folder.iterdir() if path.name.startswith("device-")]
    assert not left, left
    return "no file stays"


CHECKS: dict[str, Callable[[Place], str]] = {
    check.__name__.replace("_", " "): check
    for check in (
        says_hello, scores_as_here, refuses_what_is_corrupt, ends_when_cancelled,
        lends_itself_once, leaves_nothing,
    )
}  # fmt: skip


SCORING = (scores_as_here, ends_when_cancelled, leaves_nothing)  # they run a network


def check_device(target: Target, store: Store) -> list[dict[str, Any]]:
    """All checks on a live device: ``{"check", "ok", "told", "seconds"}`` each.

    ``ok`` is None for what could not be checked, as no runtime there reads ONNX.
    """
    records: list[dict[str, Any]] = []
    for name, check in CHECKS.items():
        began = time.monotonic()
        if check in SCORING and target.format != "onnx":
            message = f"not checked: {target.runtime} reads no ONNX"
            records.append({"check": name, "ok": None, "told": message, "seconds": 0.0})
            continue
        try:
            with store.workdir() as folder:
                message, ok = check(Place(target, store, folder)), True
        except (EdgeoptError, AssertionError) as error:
            message, ok = str(error), False
        seconds = round(time.monotonic() - began, 2)
        records.append({"check": name, "ok": ok, "told": message, "seconds": seconds})
        if not ok and check is says_hello:
            break  # nothing else can be found out
    return records


class DeviceConformance:
    """Subclass it and give a fixture ``target``; pytest runs the rest."""

    def place(self, target: str, tmp_path: Path) -> Place:
        """Where a check works."""
        folder = tmp_path / "work"
        folder.mkdir()
        return Place(parse_target(target), Store(tmp_path / "store"), folder)

    def test_it_says_what_it_is(self, target: str, tmp_path: Path) -> None:
        says_hello(self.place(target, tmp_path))

    def test_it_scores_as_this_machine_does(self, target: str, tmp_path: Path) -> None:
        scores_as_here(self.place(target, tmp_path))

    def test_it_refuses_what_is_corrupt(self, target: str, tmp_path: Path) -> None:
        refuses_what_is_corrupt(self.place(target, tmp_path))

    def test_it_ends_when_cancelled(self, target: str, tmp_path: Path) -> None:
        ends_when_cancelled(self.place(target, tmp_path))

    def test_it_lends_itself_once(self, target: str, tmp_path: Path) -> None:
        lends_itself_once(self.place(target, tmp_path))

    def test_it_leaves_nothing(self, target: str, tmp_path: Path) -> None:
        leaves_nothing(self.place(target, tmp_path))


@contextmanager
def _borrowed(place: Place) -> Iterator[Any]:
    with place.device.lease(place.folder, exclusive=True) as lease:
        yield lease


def _scored(place: Place, target: str, cancelled: threading.Event | None = None) -> Any:
    """Outputs of the small network, (n, 3)."""
    value = run_small(place, "score", target, cancelled=cancelled)
    return place.store.get_array(ArrayRef.model_validate(value["outputs"]["y"]))


def run_small(
    place: Place,
    kind: Literal["score", "race"],
    target: str,
    *,
    cancelled: threading.Event | None = None,
    progress: Callable[..., None] = lambda *_, **__: None,
    protocol: str = "short",
    layers: int = 0,
) -> dict[str, Any]:
    """Score a small network, or race it against itself; the value of that job."""
    store = place.store
    x = np.random.default_rng(0).standard_normal((SAMPLES, WIDTH)).astype(np.float32)
    tensors = Arrays(split="check", n=SAMPLES, arrays={"x": store.put_array(x)})
    data = _network(layers)
    artifact = Artifact(
        format="onnx", files={"model.onnx": store.put_bytes(data)}, size_bytes=len(data)
    )
    model = Outcome(job="model", status="ok", value={"artifact": artifact.to_json()})
    samples = Outcome(job="samples", status="ok", value=tensors.to_json())
    inputs = {role: model for role in ROLES[kind]}
    inputs |= {f"samples:{role}": samples for role in ROLES[kind]}
    params = {"targets": dict.fromkeys(ROLES[kind], target), "protocol": protocol}
    job = Job(id="check", kind=kind, name="check", params=params)
    request = Request(job=job, inputs=inputs, store=str(store.root), workdir=str(place.folder))
    return run_bench(request, progress, cancelled or threading.Event())[1]


def _network(layers: int) -> bytes:
    """MatMul and Relu with a free batch, ONNX; each layer more takes some 10 us."""

    def weights(name: str, rows: int, columns: int) -> Any:
        values = np.linspace(-1, 1, rows * columns, dtype=np.float32).reshape(rows, columns)
        return numpy_helper.from_array(values / rows, name)

    sizes = [WIDTH, *[HIDDEN] * layers, 3]
    names = ["x", *(f"h{i}" for i in range(layers)), "m"]
    held = [weights(f"w{i}", *sizes[i : i + 2]) for i in range(layers + 1)]
    nodes = [
        helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(layers + 1)
    ]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Relu", ["m"], ["y"])],
        "check",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())
