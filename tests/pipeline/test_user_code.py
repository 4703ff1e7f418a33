"""Code that a recipe names: every file that it imports enters the digests, and no path does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgeopt.pipeline.user_code import code_digests, digest_or_error, file_digest, placed_code
from edgeopt.recipe import Recipe, make_recipe
from edgeopt.schema.errors import DataError, ModelError


def recipe_in(folder: Path) -> Recipe:
    folder.mkdir(exist_ok=True)
    return make_recipe({"model": "m.onnx"}, root=folder)


def test_digests_are_those_of_the_module_and_of_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("import helper\ndef mine(o, l): return helper.one()\n")
    (tmp_path / "helper.py").write_text("def one(): return 1\n")
    (tmp_path / "other.py").write_text("never imported\n")
    before = code_digests(recipe_in(tmp_path), "score.py:mine")
    expected = {
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("score.py", "helper.py")
    }
    assert set(before.values()) == expected
    (tmp_path / "helper.py").write_text("def one(): return 2\n")
    assert code_digests(recipe_in(tmp_path), "score.py:mine") != before
    (tmp_path / "other.py").write_text("changed\n")
    (tmp_path / "helper.py").write_text("def one(): return 1\n")
    assert code_digests(recipe_in(tmp_path), "score.py:mine") == before


def test_the_same_code_elsewhere_has_the_same_digests(tmp_path: Path) -> None:
    for name in ("here", "there"):
        recipe_in(tmp_path / name)
        (tmp_path / name / "score.py").write_text("import helper\n")
        (tmp_path / name / "helper.py").write_text("")
    here, there = (code_digests(recipe_in(tmp_path / n), "score.py:f") for n in ("here", "there"))
    outside = code_digests(recipe_in(tmp_path / "here"), "../there/score.py:f")
    absolute = code_digests(recipe_in(tmp_path / "here"), f"{tmp_path}/there/score.py:f")
    assert here == there == outside == absolute


def test_code_lies_below_the_recipe_or_in_its_own_folder(tmp_path: Path) -> None:
    assert placed_code("a/b.py:f", tmp_path) == (tmp_path, "a/b.py:f")
    assert placed_code("../b.py:f", tmp_path / "x") == (tmp_path / "x" / "..", "b.py:f")
    assert placed_code("/code/b.py:f", tmp_path) == (Path("/code"), "b.py:f")


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.py"):
        code_digests(recipe_in(tmp_path), "missing.py:f")
    path = tmp_path / "none"
    with pytest.raises(DataError, match="No such file") as caught:
        digest_or_error(path)
    assert caught.value.where == str(path)
    path.write_bytes(b"x")
    assert digest_or_error(path) == file_digest(path) == hashlib.sha256(b"x").hexdigest()
