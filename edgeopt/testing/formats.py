"""What every model format must do. A new format's test subclasses ``FormatConformance``::

class TestMyFormat(FormatConformance):
    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        return Model("myformat", root, {"path": "net.mine"}, root / "net.mine", samples)
"""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.formats import Format, format_named, format_of
from edgeopt.pipeline.prepare import installed_version
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError
from edgeopt.schema.model_format import model_format
from edgeopt.testing.folders import changes, files_of, unchanged
from edgeopt.testing.models import Arrays, Model

if TYPE_CHECKING:
    import numpy as np

RTOL, ATOL = 1e-4, 1e-5  # of the largest value: sums in another order, and no more
CUTS = (0.0, 0.3, 0.7, 0.99)  # shares of a file that are left of it
FOREIGN = {
    "nothing but zeros": bytes(512),
    "text": b"this is no model\n" * 20,
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(504),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(504),
    "a TFLite header and no more": b"\x1c\0\0\0TFL3" + bytes(504),
}


@dataclass(frozen=True)
class Place:
    """A model under test and an empty folder to work in."""

    model: Model
    folder: Path

    @property
    def format(self) -> Format:
        return format_named(self.model.format)

    def artifact(self, name: str = "artifact") -> Path:
        """The artifact's folder, gathered of the user's files."""
        into = self.folder / name
        into.mkdir()
        self.format.gather(self.model.spec, self.model.root, into, self.model.said)
        return into


def is_found(place: Place) -> str:
    """By its name, by an artifact's folder and by the user's file."""
    model = place.model
    said = model_format(model.format)
    assert said.worker and said.uses, "it names no worker, or no library that enters the keys"
    unknown = [name for name in (*said.uses, *said.records) if not installed_version(name)]
    assert not unknown, f"uses or records names distributions that are not installed: {unknown}"
    given = model.root / model.spec["path"] if "path" in model.spec else model.file
    for path in (place.artifact(), given):
        found = format_of(path)
        assert found == model.format, f"{path.name} is taken for '{found}'"
    return f"known by {given.name} and by its folder"


def reads_what_it_lists(place: Place) -> str:
    """``sources`` names every file that ``gather`` reads: cache keys are made of them."""
    model, kind = place.model, place.format
    sources = kind.sources(model.spec, model.root)
    assert model.file in sources.values(), f"sources() leaves out {model.file.name}"
    alone, into = place.folder / "alone", place.folder / "of-these-alone"
    into.mkdir()
    for path in sources.values():
        copied = alone / path.relative_to(model.root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
    kind.gather(model.spec, alone, into, model.said)
    differences = changes(files_of(place.artifact()), files_of(into))
    assert not differences, (
        f"gathered of the listed files alone, the artifact is another: {differences}"
    )
    return ", ".join(sorted(sources))


def describes_the_file(place: Place) -> str:
    """Names, shapes and dtypes are those of the samples; nothing changes from call to call."""
    kind, model, folder = place.format, place.model, place.artifact()
    said = kind.describe(folder)
    assert said.format == model.format, f"it describes a '{said.format}'"
    assert Description.model_validate(said.to_json()) == said, "it does not survive JSON"
    assert kind.describe(folder) == said, "it says another thing when it is asked again"
    taken = {tensor.name: tensor for tensor in said.signature.inputs}
    assert set(taken) == set(model.samples), f"inputs {sorted(taken)}, not {sorted(model.samples)}"
    for name, array in model.samples.items():
        tensor = taken[name]
        assert tensor.dtype == array.dtype, f"input '{name}' is {tensor.dtype}, not {array.dtype}"
        fits = _fits(tensor.shape[1:], array.shape[1:])
        assert fits, f"input '{name}' is {tensor.shape}, samples are {array.shape[1:]}"
    names = [tensor.name for tensor in said.signature.outputs]
    assert names and len(set(names)) == len(names), f"outputs are called {names}"
    if model.expected:
        assert names == list(model.expected), f"outputs {names}, not {list(model.expected)}"
    return f"{', '.join(sorted(said.facts))}; {', '.join(names)}"


def answers(place: Place) -> str:
    """By the names, dtypes and shapes that it describes, the same each time and in any batch."""
    import numpy as np

    kind, model, folder = place.format, place.model, place.artifact()
    said = kind.describe(folder)
    feeds = {name: array.copy() for name, array in model.samples.items()}
    runner = kind.runner(folder)
    first = in_batches(runner, feeds, said.signature.batch or model.n)
    again = in_batches(runner, feeds, said.signature.batch or model.n)
    for tensor in said.signature.outputs:
        assert tensor.name in first, f"no output '{tensor.name}' among {list(first)}"
        values = first[tensor.name]
        assert values.dtype == tensor.dtype, f"'{tensor.name}' comes as {values.dtype}"
        fits = _fits(tensor.shape[1:], values.shape[1:])
        assert fits, f"'{tensor.name}' comes as {values.shape}, described {tensor.shape}"
        assert np.isfinite(values).all(), f"'{tensor.name}' is not finite"
        same = values.tobytes() == again[tensor.name].tobytes()
        assert same, f"'{tensor.name}' differs from run to run"
    for name, array in model.samples.items():
        assert np.array_equal(feeds[name], array), f"running changed the samples of '{name}'"
    near(first, model.expected, "the known answers")
    if said.signature.batch is None:
        near(in_batches(runner, feeds, 1), first, "the answers in one batch")
    return f"{model.n} samples"


def saves_what_it_loads(place: Place) -> str:
    """What is loaded and saved describes itself as before, and gives equal answers."""
    kind, folder = place.format, place.artifact()
    before = kind.describe(folder)
    saved = [_saved(kind, folder, place.folder / f"saved-{index}") for index in (1, 2)]
    differences = changes(*map(files_of, saved))
    assert not differences, f"saving twice gives other bytes: {differences}"
    after = kind.describe(saved[0])
    assert not after.differs(before), f"saved, it is another: {after.differs(before)}"
    size = before.signature.batch or place.model.n
    mine, theirs = (
        in_batches(kind.runner(f), place.model.samples, size) for f in (folder, saved[0])
    )
    for name, values in mine.items():
        assert values.tobytes() == theirs[name].tobytes(), f"saved, it gives another '{name}'"
    return f"{sum(map(len, files_of(saved[0]).values())):,} bytes"


def inspects(place: Place) -> str:
    """Figures belong to the file, and the description is the one that ``describe`` gives."""
    kind, folder = place.format, place.artifact()
    inspection = kind.inspect(folder)
    assert inspection.description == kind.describe(folder), "inspect() and describe() disagree"
    assert Inspection.model_validate(inspection.to_json()) == inspection, "it does not survive JSON"
    size = sum(map(len, files_of(folder).values()))
    assert inspection.size_bytes == size, (
        f"it tells {inspection.size_bytes} bytes, the files have {size}"
    )
    assert inspection.parameters > 0 and inspection.operators, (
        "it finds no parameters or no operators"
    )
    assert inspection.macs is None or inspection.macs > 0, (
        f"it counts {inspection.macs} multiply-accumulates"
    )
    converted = kind.conversion(folder)
    assert converted is None or isinstance(converted, Conversion)
    narrow = inspection.description.facts & {"int8", "float16"}
    assert narrow or converted is None, "it tells of a conversion in a model that has none"
    return f"{inspection.parameters:,} parameters, {inspection.macs} MACs"


def refuses_truncated_files(place: Place) -> str:
    """A ModelError that names the file, from the user's files and from an artifact's."""
    whole = place.model.file.read_bytes()
    for share in CUTS:
        _refused(place, whole[: int(len(whole) * share)], f"cut to {share:.0%}")
    folder = place.artifact()
    held = files_of(folder)
    largest = max(held, key=lambda name: len(held[name]))
    (folder / largest).write_bytes(held[largest][: len(held[largest]) // 2])
    _blames(lambda: place.format.describe(folder), held, "describe() of half an artifact")
    _blames(lambda: place.format.runner(folder), held, "runner() of half an artifact")
    return f"{len(CUTS)} cuts of {len(whole):,} bytes"


def refuses_what_is_foreign(place: Place) -> str:
    """Files of other formats under this one's name."""
    for what, content in FOREIGN.items():
        _refused(place, content, what)
    return ", ".join(FOREIGN)


def never_unpickles(place: Place) -> str:
    """A pickle in place of the model, plain or in a zip, is refused and runs nothing."""
    marker = place.folder / "ran"
    content = pickle.dumps(_Touches(str(marker)), protocol=2)
    archive = place.folder / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/version", "3\n")
    for what, given in (("a pickle", content), ("a zip of a pickle", archive.read_bytes())):
        _refused(place, given, what)
        assert not marker.exists(), f"{what} was unpickled: its code ran"
    return "no code ran"


def leaves_no_trace(place: Place) -> str:
    """Neither beside the user's files, nor in an artifact that is only read, nor where it runs."""
    kind, model = place.format, place.model
    with unchanged("gather()", model.root):
        folder = place.artifact()
    samples = {name: array[:1] for name, array in model.samples.items()}
    size = kind.describe(folder).signature.batch or 1
    with unchanged("reading an artifact", folder, model.root):
        kind.describe(folder)
        kind.load(folder)
        kind.inspect(folder)
        kind.conversion(folder)
        in_batches(kind.runner(folder), samples, size)
    return "nothing is written beside"


class FormatConformance:
    """Subclass it and give a fixture ``model``; pytest runs the rest."""

    def place(self, model: Model, tmp_path: Path) -> Place:
        """Where a check works."""
        folder = tmp_path / "work"
        folder.mkdir()
        return Place(model, folder)

    def test_it_is_found(self, model: Model, tmp_path: Path) -> None:
        is_found(self.place(model, tmp_path))

    def test_it_reads_what_it_lists(self, model: Model, tmp_path: Path) -> None:
        reads_what_it_lists(self.place(model, tmp_path))

    def test_it_describes_the_file(self, model: Model, tmp_path: Path) -> None:
        describes_the_file(self.place(model, tmp_path))

    def test_it_answers(self, model: Model, tmp_path: Path) -> None:
        answers(self.place(model, tmp_path))

    def test_it_saves_what_it_loads(self, model: Model, tmp_path: Path) -> None:
        saves_what_it_loads(self.place(model, tmp_path))

    def test_it_inspects(self, model: Model, tmp_path: Path) -> None:
        inspects(self.place(model, tmp_path))

    def test_it_refuses_truncated_files(self, model: Model, tmp_path: Path) -> None:
        refuses_truncated_files(self.place(model, tmp_path))

    def test_it_refuses_what_is_foreign(self, model: Model, tmp_path: Path) -> None:
        refuses_what_is_foreign(self.place(model, tmp_path))

    def test_it_never_unpickles(self, model: Model, tmp_path: Path) -> None:
        never_unpickles(self.place(model, tmp_path))

    def test_it_leaves_no_trace(self, model: Model, tmp_path: Path) -> None:
        leaves_no_trace(self.place(model, tmp_path))


def in_batches(run: Any, feeds: Arrays, size: int) -> dict[str, np.ndarray[Any, Any]]:
    """Answers to all samples, ``size`` at a time; the last sample fills up the last batch."""
    import numpy as np

    n = min(map(len, feeds.values()))
    parts: dict[str, list[Any]] = {}
    for start in range(0, n, size):
        rows = np.minimum(np.arange(start, start + size), n - 1)
        outputs: Mapping[str, Any] = run({name: array[rows] for name, array in feeds.items()})
        for name, values in outputs.items():
            parts.setdefault(name, []).append(np.asarray(values)[: n - start])
    return {name: np.concatenate(part) for name, part in parts.items()}


def near(actual: Arrays, wanted: Arrays, what: str) -> None:
    """Raise AssertionError where answers differ by more than the order of sums explains."""
    import numpy as np

    for name, values in wanted.items():
        given = actual[name]
        assert given.shape == values.shape, f"'{name}' is {given.shape}, {what} {values.shape}"
        wide = values.astype(np.float64)
        apart = float(np.abs(given.astype(np.float64) - wide).max())
        most = ATOL + RTOL * float(np.abs(wide).max())
        assert apart <= most, f"'{name}' is {apart:.3g} off {what}, at most {most:.3g} are allowed"


@dataclass(frozen=True)
class _Touches:
    """What makes a file when it is unpickled."""

    path: str

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(self.path),))


def _fits(described: tuple[int | str, ...], shape: tuple[int, ...]) -> bool:
    """Whether sizes are as described, the free ones aside."""
    pairs = zip(described, shape, strict=False)
    return len(described) == len(shape) and all(isinstance(a, str) or a == b for a, b in pairs)


def _saved(kind: Format, folder: Path, out: Path) -> Path:
    """A live model saved; a copy of the folder where the format refuses live ones, by name."""
    try:
        kind.save(kind.load(folder), out)
    except ModelError as error:
        assert error.where, f"a live model was refused without saying where: {error}"
        left = files_of(out) if out.exists() else {}
        assert not left, f"a live model was refused, and {sorted(left)} left behind"
        kind.save(folder, out)
    return out


def _refused(place: Place, content: bytes, what: str) -> None:
    """Raise AssertionError unless the user's file with that content is a ModelError naming it."""
    model = place.model
    root = place.folder / f"root-{len(list(place.folder.iterdir()))}"
    shutil.copytree(model.root, root)
    file = root / model.file.relative_to(model.root)
    file.write_bytes(content)
    into = place.folder / f"{root.name}-artifact"
    into.mkdir()

    def opened() -> None:
        place.format.gather(model.spec, root, into, model.said)
        place.format.describe(into)

    with unchanged(f"refusing {what}", root):
        _blames(opened, [file.name], what)


def _blames(action: Callable[[], Any], files: Iterable[str], what: str) -> None:
    """Raise AssertionError unless it ends in a ModelError that names one of the files."""
    try:
        action()
    except ModelError as error:
        named = any(Path(file).name in str(error) for file in files)
        assert named, f"{what}: the error names none of {sorted(files)}: {error}"
        return
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__} in place of a ModelError") from error
    raise AssertionError(f"{what} was taken for a model")
