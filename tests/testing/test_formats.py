"""The kit of formats finds each fault by the check that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from edgeopt.formats import format_named
from edgeopt.schema.artifact import Inspection
from edgeopt.schema.errors import ModelError
from edgeopt.testing import formats
from edgeopt.testing.models import small_model

ONNX = format_named("onnx")


Format = type(ONNX)


def changed(model: Any, by: float) -> Any:
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor) + np.float32(by)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


class Faulty(formats.Place):
    """A place whose format is one of the faulty ones below."""

    kind: Any = None

    @property
    def format(self) -> Any:
        return type(self).kind()


class Beside(Format):  # type: ignore[valid-type,misc]
    def gather(self, spec: Mapping[str, Any], root: Path, into: Path, samples: Any) -> Any:
        (root / "cache").write_text("mine")
        return super().gather(spec, root, into, samples)


class Swapped(Format):  # type: ignore[valid-type,misc]
    def runner(self, folder: Path, threads: int = 1) -> Any:
        run = super().runner(folder, threads)
        return lambda feeds: {name: value[::-1] for name, value in run(feeds).items()}


class Rounded(Format):  # type: ignore[valid-type,misc]
    def save(self, model: Any, folder: Path) -> None:
        super().save(changed(model, 1e-3), folder)


class Trusting(Format):  # type: ignore[valid-type,misc]
    def gather(self, spec: Mapping[str, Any], root: Path, into: Path, samples: Any) -> Any:
        import pickle

        try:
            pickle.loads((root / spec["path"]).read_bytes())
        except Exception:
            return super().gather(spec, root, into, samples)
        raise ModelError("a pickle", where=str(root / spec["path"]))


class Nameless(Format):  # type: ignore[valid-type,misc]
    def gather(self, spec: Mapping[str, Any], root: Path, into: Path, samples: Any) -> Any:
        try:
            return super().gather(spec, root, into, samples)
        except ModelError:
            raise ModelError("it cannot be read") from None


class Miscounts(Format):  # type: ignore[valid-type,misc]
    def inspect(self, folder: Path) -> Inspection:
        return super().inspect(folder).model_copy(update={"size_bytes": 1})


@pytest.mark.parametrize(
    ("faulty", "check", "said"),
    [
        (Beside, formats.leaves_no_trace, "'cache' is new"),
        (Swapped, formats.answers, "off the known answers"),
        (Rounded, formats.saves_what_it_loads, "saved, it gives another"),
        (Trusting, formats.never_unpickles, "its code ran"),
        (Nameless, formats.refuses_truncated_files, "names none of"),
        (Miscounts, formats.inspects, "it tells 1 bytes"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_a_faulty_format_is_found(
    tmp_path: Path, faulty: Any, check: Callable[[formats.Place], str], said: str
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    place_of = type("FaultyPlace", (Faulty,), {"kind": faulty})
    with pytest.raises(AssertionError, match=said):
        check(place_of(small_model("onnx", tmp_path / "root"), folder))
