"""A factory is called from its own copy, and leaves nothing behind in the process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from edgeopt.formats.torch.code import build, function_of, importing
from edgeopt.schema.errors import ModelError


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    return folder


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)


def test_two_copies_of_one_name_do_not_meet(tmp_path: Path) -> None:
    made = []
    for value in (1, 2):
        folder = tmp_path / str(value)
        folder.mkdir()
        write(folder, net="from parts import x\ndef make(): return x", parts=f"x = {value}")
        before, path = set(sys.modules), list(sys.path)
        made.append(build(folder, "net.py", "make"))
        assert {
            n for n in set(sys.modules) - before if not n.startswith("_edgeopt_model_")
        } == set()
        assert sys.path == path and not list(folder.rglob("__pycache__"))
    assert made == [1, 2]


def test_a_module_of_the_callers_own_is_left_as_it_was(code: Path) -> None:
    write(code, net="import edgeopt_test_parts as p\ndef make(): return p.x",
          edgeopt_test_parts="x = 5")  # fmt: skip
    own = type(sys)("edgeopt_test_parts")
    sys.modules["edgeopt_test_parts"] = own
    try:
        assert build(code, "net.py", "make") == 5
        assert sys.modules["edgeopt_test_parts"] is own
    finally:
        del sys.modules["edgeopt_test_parts"]


def test_relative_imports_resolve(code: Path) -> None:
    write(code, net="from .parts import x\ndef make(): return x", parts="x = 7")
    assert build(code, "net.py", "make") == 7


def test_a_factorys_own_weights_are_the_same_each_time_and_no_state_moves(code: Path) -> None:
    write(code, net="import torch\ndef make(): return torch.rand(3)")
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (build(code, "net.py", "make", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("text", "said", "where"),
    [
        ("x = 1", "the module has no callable 'make'", "net.py"),
        ("make = 3", "the module has no callable 'make'", "net.py"),
        ("def make():\n    return 1 / 0", "the factory failed: ZeroDivisionError", "net.py:2"),
        ("def make(x): ...", "the factory failed: TypeError", "net.py"),
        ("import parts", "the factory failed: ValueError: odd", "parts.py:2"),
        ("import broken", "the factory failed: SyntaxError", "broken.py:1"),
        ("import no_such_library", "the factory failed: ModuleNotFoundError", "net.py:1"),
    ],
)
def test_what_a_factory_does_wrong_is_told_with_its_line(
    code: Path, text: str, said: str, where: str
) -> None:
    write(code, net=text, parts="\nraise ValueError('odd')", broken="def (:")
    with pytest.raises(ModelError) as caught:
        build(code, "net.py", "make")
    assert caught.value.what.startswith(said) and caught.value.where == where
    if "no_such" in text:
        assert caught.value.hint == "Install 'no_such_library' where edgeopt runs."


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nx = importlib.import_module('hid' + 'den')",
        "x = open('hidden.py').read()",
    ],
)
def test_files_that_the_scan_missed_are_named(code: Path, tmp_path: Path, text: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    write(root, hidden="", net=text)
    write(code, net=f"{text}\ndef make(): ...")
    with pytest.raises(ModelError, match=r"loads 'hidden\.py', which the scan") as caught:
        build(code, "net.py", "make", root)
    assert caught.value.hint == "List it under model.sources."


def test_modules_of_the_users_folder_are_no_part_of_the_artifact(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    write(root, edgeopt_stranger="x = 1")
    write(code, net="import edgeopt_stranger\ndef make(): ...")
    monkeypatch.syspath_prepend(str(root))
    with pytest.raises(ModelError, match=r"loads 'edgeopt_stranger\.py'"):
        build(code, "net.py", "make", root)
    sys.modules.pop("edgeopt_stranger", None)


def test_a_function_is_imported_where_it_lies(code: Path) -> None:
    write(code, score="import parts\ndef mine(): return parts.x", parts="x = 9")
    assert function_of(code, "score.py", "mine")() == 9
    with pytest.raises(ModelError, match="no callable 'none'"):
        function_of(code, "score.py", "none")
    with pytest.raises(ModelError, match="no such file") as caught:
        function_of(code, "none.py", "mine")
    assert caught.value.where == str(code / "none.py")


def test_the_path_is_as_before_after_an_error(code: Path) -> None:
    path, writes = list(sys.path), sys.dont_write_bytecode
    with pytest.raises(KeyError), importing((code,)):
        assert sys.path[0] == str(code)
        raise KeyError
    assert sys.path == path and sys.dont_write_bytecode is writes
