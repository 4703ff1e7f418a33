"""What every runtime's session must do. A new runtime's test subclasses ``SessionConformance``::

class TestMyRuntime(SessionConformance):
    @pytest.fixture
    def target(self) -> str:
        return "local/myruntime"

It runs in a real agent, on a small network in the format that the runtime reads where that is a
built-in one; a fixture ``model`` brings another.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from edgeopt.bench.agent_session import Empty, Fed, Opened, Placed, RuntimeReply
from edgeopt.formats import format_named
from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.errors import DeviceError, EdgeoptError, ModelError
from edgeopt.schema.job import ArrayRef
from edgeopt.schema.target import Target, parse_target
from edgeopt.store import Store
from edgeopt.testing.folders import files_of
from edgeopt.testing.formats import in_batches, near
from edgeopt.testing.models import Arrays, Model, small_model
from edgeopt.transport.channel import Channel, Reply
from edgeopt.transport.kinds import device_named

BATCHES = (1, 3, 32)  # where the model leaves it free
STRANGE = "no_such_thing"
SIDE, FEED = "model", "samples"


class Found(Reply):
    """What a runtime can run on: accelerator -> the device behind it."""

    found: dict[str, str]


@dataclass(frozen=True)
class Place:
    """A target and a model under test, opened into a store, and an empty folder to work in."""

    target: Target
    model: Model
    folder: Path
    store: Store
    artifact: Artifact
    description: Description
    samples: dict[str, ArrayRef] = field(default_factory=dict)

    @property
    def artifact_folder(self) -> Path:
        """Where the artifact was made."""
        return self.folder / "artifact"

    @contextmanager
    def agent(self) -> Iterator[Agent]:
        """An agent on the device, its runtime loaded and the samples taken."""
        device = device_named(self.target.device)
        with device.lease(self.folder, exclusive=False) as lease:
            blobs = [*self.artifact.files.values(), *(ref.blob for ref in self.samples.values())]
            lease.put({digest: self.store.path(digest) for digest in blobs})
            with lease.start_agent() as channel:
                yield Agent(self, channel)


@dataclass(frozen=True)
class Agent:
    """A running agent that is asked about one model."""

    place: Place
    channel: Channel

    def load(self) -> str:
        """Load the runtime; its version."""
        target = self.place.target
        fields: dict[str, Any] = {"name": target.runtime, "threads": target.threads}
        return self.channel.ask("runtime", RuntimeReply, **fields)[0].version

    def feed(self) -> None:
        """Give it the samples."""
        blobs = {name: ref.blob for name, ref in self.place.samples.items()}
        n = self.place.model.n
        fields: dict[str, Any] = {
            "feed": FEED,
            "blobs": blobs,
            "take": n,
            "batch": self.batch(min(n, 8)),
        }
        self.channel.ask("feed", Fed, **fields)

    def open(self, files: dict[str, str] | None = None, **fields: Any) -> Opened:
        """Open the model, or other files."""
        target = self.place.target
        asked: dict[str, Any] = {"session": SIDE, "runtime": target.runtime}
        asked |= {"accelerator": target.accelerator, "settings": target.choices}
        asked |= {"files": files or self.place.artifact.files}
        return self.channel.ask("open", Opened, **{**asked, **fields})[0]

    def run(self, size: int, stop: int) -> Arrays:
        """Outputs of the first samples, in the order in which they came."""
        fields: dict[str, Any] = {
            "session": SIDE,
            "feed": FEED,
            "start": 0,
            "stop": stop,
            "batch": size,
        }
        pad = self.place.description.signature.batch is not None
        return self.channel.ask("run", Empty, **fields, pad=pad)[1]

    def placement(self) -> dict[str, int]:
        """Nodes by where they ran."""
        return self.channel.ask("placement", Placed, session=SIDE, feed=FEED)[0].nodes

    def close(self) -> None:
        """Close the session."""
        self.channel.ask("close", Empty, session=SIDE)

    def batch(self, size: int) -> int:
        """The model's own batch, or that size where it is free."""
        return self.place.description.signature.batch or size

    def ready(self) -> Opened:
        """Runtime, samples and session."""
        self.load()
        self.feed()
        return self.open()


def opened(target: str, model: Model, folder: Path) -> Place:
    """The model as an artifact in a store below ``folder``. Raises ModelError."""
    store, kind = Store(folder / "store"), format_named(model.format)
    artifact_folder = folder / "artifact"
    artifact_folder.mkdir()
    kind.gather(model.spec, model.root, artifact_folder, model.said)
    return Place(
        parse_target(target),
        model,
        folder,
        store,
        store.put_artifact(artifact_folder, model.format),
        kind.describe(artifact_folder),
        {name: store.put_array(array) for name, array in model.samples.items()},
    )


def tells_what_it_runs_on(place: Place) -> str:
    """Its version, and the accelerators that it finds, of which the target's is one."""
    with place.agent() as agent:
        version = agent.load()
        told = agent.channel.ask("accelerators", Found, runtime=place.target.runtime)[0].found
    assert version, "it tells no version"
    assert place.target.accelerator in told, f"it finds {sorted(told)}"
    return f"{version}: {', '.join(sorted(told))}"


def keeps_the_signature(place: Place) -> str:
    """Names, order, types and sizes are those that the format describes."""
    said = place.description.signature
    with place.agent() as agent:
        opened = agent.ready()
        outputs = agent.run(agent.batch(4), 4)
    inputs = {tensor.name: tensor for tensor in opened.inputs}
    assert set(inputs) == {tensor.name for tensor in said.inputs}, f"inputs {sorted(inputs)}"
    for tensor in said.inputs:
        given = inputs[tensor.name]
        assert given.dtype == tensor.dtype, f"input '{tensor.name}' is {given.dtype}"
        pairs = list(zip(given.shape, tensor.shape, strict=False))
        fits = len(given.shape) == len(tensor.shape)
        fits &= all(a == b or (isinstance(a, str) and isinstance(b, str)) for a, b in pairs)
        assert fits, f"input '{tensor.name}' is {given.shape}, described {tensor.shape}"
    names = [tensor.name for tensor in said.outputs]
    assert opened.outputs == names, f"outputs {opened.outputs}, described {names}"
    assert list(outputs) == names, f"outputs come as {list(outputs)}, described {names}"
    for tensor in said.outputs:
        dtype = outputs[tensor.name].dtype
        assert dtype == tensor.dtype, f"'{tensor.name}' comes as {dtype}, not {tensor.dtype}"
    return ", ".join(names)


def answers_as_the_format_does(place: Place) -> str:
    """Every sample, in any batch, as the format's own run answers it on this machine."""
    model, batch = place.model, place.description.signature.batch
    run = format_named(model.format).runner(place.artifact_folder)
    wanted = in_batches(run, model.samples, batch or model.n)
    with place.agent() as agent:
        agent.ready()
        for size in (batch,) if batch else BATCHES:
            outputs = agent.run(size, model.n)
            near(outputs, wanted, f"the format's own answers, {size} at a time")
            near(outputs, model.expected, "the known answers")
            again = agent.run(size, model.n)
            for name, values in outputs.items():
                same = values.tobytes() == again[name].tobytes()
                assert same, f"'{name}' differs from run to run, {size} at a time"
    return f"{model.n} samples"


def tells_where_nodes_ran(place: Place) -> str:
    """At least one node somewhere, and the same each time."""
    with place.agent() as agent:
        agent.ready()
        before = agent.run(agent.batch(8), 8)
        placement = agent.placement()
        assert placement and all(n > 0 for n in placement.values()), (
            f"it places nothing: {placement}"
        )
        assert agent.placement() == placement, "asked again, it places nodes elsewhere"
        after = agent.run(agent.batch(8), 8)
    for name, values in before.items():
        assert values.tobytes() == after[name].tobytes(), "asking for it changed the answers"
    return ", ".join(f"{n} on {where}" for where, n in placement.items())


def refuses_what_it_does_not_know(place: Place) -> str:
    """A setting, an accelerator, a damaged file: typed errors, after which it goes on."""
    files = place.artifact.files
    largest = max(files, key=lambda name: len(place.store.get_bytes(files[name])))
    whole = place.store.get_bytes(files[largest])
    half = place.store.put_bytes(whole[: len(whole) // 2])
    damaged = place.artifact.model_copy(update={"files": {**files, "half": half}})
    with replace(place, artifact=damaged).agent() as agent:
        agent.load()
        agent.feed()
        _refused(lambda: agent.open(files, settings={STRANGE: "1"}), STRANGE)
        _refused(lambda: agent.open(files, accelerator=STRANGE), STRANGE)
        _refused(lambda: agent.open({**files, largest: half}), "", ModelError)
        agent.open(files)
        assert agent.run(agent.batch(4), 4), "it does not answer any more"
    return "settings, accelerators, damaged files"


def closes_without_leftovers(place: Place) -> str:
    """A closed session leaves no file; what a runtime caches is made once and goes with the lease.

    The files that were put there are as they were.
    """
    rough = Path(tempfile.gettempdir())
    with place.agent() as agent:
        agent.load()
        agent.feed()
        (root,) = _leases(place)
        seen: list[set[str]] = []
        others = set(rough.iterdir())
        for _ in range(3):
            agent.open()
            agent.run(agent.batch(8), 8)
            agent.placement()
            agent.close()
            seen.append({name for name in files_of(root) if not name.endswith(".log")})
        left = sorted((seen[1] | seen[2]) - seen[0])
        assert not left, f"each closed session leaves files: {left}"
        strangers = sorted(path.name for path in set(rough.iterdir()) - others)
        assert not strangers, f"a closed session leaves {strangers} in {rough}"
        _refused(lambda: agent.run(agent.batch(8), 8), SIDE, DeviceError)
    assert not _leases(place), "the lease's folder is still there"
    assert place.store.verify().ok, "a file of the model was changed"
    return "no file stays"


class SessionConformance:
    """Subclass it and give a fixture ``target``; pytest runs the rest."""

    @pytest.fixture
    def model(self, target: str, tmp_path: Path) -> Model:
        """What the session runs."""
        return small_model(parse_target(target).format, tmp_path / "root")

    @pytest.fixture
    def place(self, target: str, model: Model, tmp_path: Path) -> Iterator[Place]:
        """Where a check works."""
        folder = tmp_path / "work"
        folder.mkdir()
        place = opened(target, model, folder)
        yield place
        place.store.close()

    def test_it_tells_what_it_runs_on(self, place: Place) -> None:
        tells_what_it_runs_on(place)

    def test_it_keeps_the_signature(self, place: Place) -> None:
        keeps_the_signature(place)

    def test_it_answers_as_the_format_does(self, place: Place) -> None:
        answers_as_the_format_does(place)

    def test_it_tells_where_nodes_ran(self, place: Place) -> None:
        tells_where_nodes_ran(place)

    def test_it_refuses_what_it_does_not_know(self, place: Place) -> None:
        refuses_what_it_does_not_know(place)

    def test_it_closes_without_leftovers(self, place: Place) -> None:
        closes_without_leftovers(place)


def _leases(place: Place) -> list[Path]:
    """Folders of leases on this machine."""
    return [path for path in place.folder.iterdir() if path.name.startswith("device-")]


def _refused(action: Any, named: str, kind: type[EdgeoptError] = EdgeoptError) -> None:
    """Raise AssertionError unless it is an error of that kind that names what was wrong."""
    try:
        action()
    except (ModelError, DeviceError) as error:
        assert isinstance(error, kind), f"a {type(error).__name__}: {error}"
        assert named in str(error), f"the error does not name '{named}': {error}"
        return
    raise AssertionError(f"what is wrong ({named or 'half a file'}) was taken")
