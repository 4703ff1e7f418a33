"""Archives of strangers are never a way to run code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from program_files import TORCH, gathered, saved

from edgeopt.schema.errors import ModelError

MARK = "written-by-the-model"


Change = Callable[[dict[str, bytes]], None]


def changed(path: Path, change: Change) -> Path:
    """The archive with its members changed in place, names without the top folder."""
    with zipfile.ZipFile(path) as archive:
        top = archive.namelist()[0].partition("/")[0]
        members = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(f"{top}/{name}", content)
    return path


def test_equal_programs_are_equal_artifacts_without_paths(tmp_path: Path) -> None:
    held = [gathered(saved(tmp_path / f"{i}.pt2"), tmp_path / f"held-{i}") for i in range(2)]
    first, again = ((folder / "program.pt2").read_bytes() for folder in held)
    assert first == again
    assert __file__.encode() not in first and b"site-packages" not in first


class Write:
    """What unpickling it does is seen in the file system."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def pickled(path: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"x": Write(path)}, buffer)
    return buffer.getvalue()


def edited(members: dict[str, bytes], name: str, change: Callable[[Any], None]) -> None:
    document = json.loads(members[name])
    change(document)
    members[name] = json.dumps(document).encode()


def first_size(document: Any) -> dict[str, Any]:
    """The first symbolic size in the program."""
    for meta in document["graph_module"]["graph"]["tensor_values"].values():
        for size in meta["sizes"]:
            if "as_expr" in size:
                return size["as_expr"]
    raise AssertionError("no symbolic size")


def first_node(document: Any) -> dict[str, Any]:
    node: dict[str, Any] = document["graph_module"]["graph"]["nodes"][0]
    return node


CALLED = {"function": "torch.hub.os.mkdir", "file operator": "torch.ops.aten.from_file"}


def crafted(kind: str, mark: Path) -> Change:
    """A change that writes ``mark`` when the archive is loaded or run in the usual way."""
    model, weights = "models/model.json", "data/weights/model_weights_config.json"
    code = f"__import__('os').mkdir({str(mark)!r})"

    def change(members: dict[str, bytes]) -> None:
        if kind == "sample inputs":
            members["data/sample_inputs/model.pt"] = pickled(mark)
        elif kind == "pickled weight":
            edited(
                members, weights, lambda d: next(iter(d["config"].values())).update(use_pickle=True)
            )
            name = next(iter(json.loads(members[weights])["config"].values()))["path_name"]
            members[f"data/weights/{name}"] = pickled(mark)
        elif kind == "legacy weights":
            members["data/weights/model.pt"] = pickled(mark)
        elif kind == "object":
            members["data/constants/opaque_obj_0"] = pickle.dumps(Write(mark))
        elif kind == "size":
            edited(members, model, lambda d: first_size(d).update(expr_str=code))
        elif kind == "size in text":
            edited(members, model, lambda d: first_size(d).update(expr_str=f'Max("{code}", 1)'))
        elif kind == "name":
            text = members[model].decode()
            members[model] = text.replace('"p_line_bias"', json.dumps(f"p=[{code}]")).encode()
        elif kind in CALLED:
            edited(members, model, lambda d: first_node(d).update(target=CALLED[kind]))
        else:
            assert kind == "native code"
            members["data/aotinductor/model/x.so"] = b"\x7fELF"

    return change  # fmt: skip


KINDS = (
    "sample inputs", "pickled weight", "legacy weights", "object", "size", "size in text", "name",
    "function", "file operator", "native code",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_crafted_program_is_refused_and_runs_nothing(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / MARK
    path = changed(saved(tmp_path / "crafted.pt2"), crafted(kind, mark))
    with pytest.raises(ModelError) as caught:
        gathered(path, tmp_path / "held")
    assert "crafted.pt2" in caught.value.where
    assert not mark.exists()


def test_such_a_change_does_run_code_where_nobody_looks(tmp_path: Path) -> None:
    mark = tmp_path / MARK
    path = changed(saved(tmp_path / "crafted.pt2"), crafted("sample inputs", mark))
    with contextlib.suppress(Exception):
        torch.export.load(str(path))
    assert mark.is_dir(), "else the test above proves nothing"


def test_guards_of_a_program_are_left_out(tmp_path: Path) -> None:
    mark = tmp_path / MARK
    guard = f"__import__('os').mkdir({str(mark)!r}) is None"
    path = changed(
        saved(tmp_path / "net.pt2"),
        lambda members: edited(
            members, "models/model.json", lambda d: d.update(guards_code=[guard])
        ),
    )
    folder = gathered(path, tmp_path / "held")
    TORCH.runner(folder)({"x": np.zeros((1, 4), "f"), "gain": np.zeros((1, 1), "f")})
    assert not mark.exists()


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.99])
def test_truncated_programs_are_refused_by_name(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path / "short.pt2")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="short") as caught:
        gathered(path, tmp_path / "held")
    assert "short.pt2" in str(caught.value)


def test_mutated_programs_are_refused_or_load(tmp_path: Path) -> None:
    content = saved(tmp_path / "net.pt2").read_bytes()
    refused = 0
    for seed in range(40):
        rng = random.Random(seed)
        mutated = bytearray(content)
        for _ in range(rng.choice([1, 4, 16])):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        path = tmp_path / "mutated.pt2"
        path.write_bytes(mutated)
        try:
            gathered(path, tmp_path / f"held-{seed}")
        except ModelError:
            refused += 1
    assert refused > 5
