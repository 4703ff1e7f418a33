"""Which files a factory is made of: found in its text, and never by an import."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edgeopt.formats.torch.declared import TorchDeclared
from edgeopt.formats.torch.sources import (
    check_defined,
    factory_of,
    program_file,
    source_files,
)
from edgeopt.models.python_files import import_bases
from edgeopt.schema.errors import ModelError, UsageError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Files by name; each would stop the test if it was run."""
    for name, text in {
        "net.py": "import parts\nfrom nets.blocks import block\nimport numpy, absent",
        "parts.py": "from helper import *",
        "helper.py": "if False:\n    import lazily",
        "lazily.py": "",
        "unused.py": "",
        "nets/__init__.py": "",
        "nets/blocks.py": "from . import small\nfrom .deep.er import thing\nfrom ..parts import x",
        "nets/small.py": "",
        "nets/deep/er.py": "",
        "nets/other.py": "",
        "w.safetensors": "weights",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit('imported')\n{text}\n")
    return tmp_path


def found(root: Path, **spec: object) -> set[str]:
    return set(source_files({"factory": "net.py:make", **spec}, root))


def test_all_that_an_import_would_run_is_found_and_nothing_else(project: Path) -> None:
    assert found(project) == {
        "code/net.py", "code/parts.py", "code/helper.py", "code/lazily.py",
        "code/nets/__init__.py", "code/nets/blocks.py", "code/nets/small.py",
        "code/nets/deep/er.py",
    }  # fmt: skip


def test_weights_and_what_is_listed_come_along(project: Path) -> None:
    (project / "classes.txt").write_text("a\nb\n")
    files = source_files(
        {"factory": "parts.py:make", "weights": "w.safetensors",
         "sources": ["classes.txt", "unused.py"]},
        project,
    )  # fmt: skip
    assert set(files) == {"weights", "code/parts.py", "code/helper.py", "code/lazily.py",
                          "code/classes.txt", "code/unused.py"}  # fmt: skip
    assert files["weights"] == project / "w.safetensors"
    declared = TorchDeclared().sources({"factory": "parts.py:make"}, project)
    assert set(declared) == {"code/parts.py", "code/helper.py", "code/lazily.py"}


def test_a_factory_in_a_folder_sees_what_is_beside_it_first(project: Path) -> None:
    (project / "nets" / "parts.py").write_text("")
    (project / "nets" / "own.py").write_text("import parts, unused\n")
    files = source_files({"factory": "nets/own.py:make"}, project)
    assert {"code/nets/parts.py", "code/unused.py"} <= set(files)
    assert "code/parts.py" not in files
    assert import_bases(project, "nets/own.py") == (project / "nets", project)
    assert import_bases(project, "own.py") == (project,)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"factory": "none.py:make"}, "no such source file"),
        ({"factory": "../net.py:make"}, "must be below the recipe's folder"),
        ({"factory": "/net.py:make"}, "must be below the recipe's folder"),
        ({"weights": "none.pt"}, "no such weights file"),
        ({"sources": ["nets"]}, "no such source file"),
        ({"factory": "bad.py:make"}, "not valid Python"),
    ],
)
def test_files_that_cannot_be_taken_are_named(
    project: Path, spec: dict[str, object], said: str
) -> None:
    (project / "bad.py").write_text("x = 1\ndef (:\n")
    with pytest.raises(ModelError, match=said) as caught:
        found(project, **spec)
    if "Python" in said:
        assert caught.value.where == f"{project / 'bad.py'}:2"


@pytest.mark.parametrize("text", ["net.py", "net:make", "net.py:", "net.py:a-b", "", ":make"])
def test_a_factory_is_a_file_and_a_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not FILE\.py:CALLABLE"):
        factory_of({"factory": text})
    assert factory_of({"factory": "a/net.py:make"}) == ("a/net.py", "make")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("def make(): ...", True),
        ("async def make(): ...", True),
        ("class make: ...", True),
        ("from nets import make", True),
        ("from nets import other as make", True),
        ("import make.deep", True),
        ("make = 3", True),
        ("from nets import *", True),  # who knows
        ("globals()['make'] = 1", True),
        ("def other(): ...", False),
        ("import nets.make", False),
        ("'make'", False),
    ],
)
def test_a_name_that_a_text_cannot_bind_is_missed_at_once(
    tmp_path: Path, text: str, bound: bool
) -> None:
    path = tmp_path / "net.py"
    path.write_text(text)
    if bound:
        check_defined(path, "make")
        return
    with pytest.raises(ModelError, match="no callable 'make'") as caught:
        check_defined(path, "make")
    assert caught.value.where == str(path)


def test_only_an_exported_program_is_a_model_by_itself(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        program_file(tmp_path / "none.pt2")
    program, weights, script = (tmp_path / n for n in ("p.PT2", "w.safetensors", "s.pt"))
    program.write_bytes(b"")
    weights.write_bytes(b"x")
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr("s/code/net.py", "")
    assert program_file(program) == program
    assert TorchDeclared().sources({"path": "p.PT2"}, tmp_path) == {"program": program}
    for path, said in ((weights, "holds weights and no network"), (script, "a TorchScript")):
        with pytest.raises(ModelError, match=said) as caught:
            program_file(path)
        assert f"weights: {path.name}" in caught.value.hint
