"""What starting up and planning load, and how modules import each other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from pkgutil import iter_modules

import pytest
import structure

import edgeopt
from edgeopt import bodies
from edgeopt.module_pass import ModulePass
from edgeopt.step import registry

ROOT = Path(__file__).parents[1]
HEAVY = {
    "numpy", "pydantic", "rich", "ruamel", "onnx", "onnxruntime", "onnxsim", "torch", "scipy",
    "jinja2", "psutil", "sympy", "platformdirs",
}  # fmt: skip
ALLOWED = {"click", "edgeopt"}  # beside the standard library
MODELS = {  # what opens, changes or runs models
    "torch", "onnx", "onnxruntime", "onnxsim", "onnxscript", "openvino", "ai_edge_litert",
    "ai_edge_quantizer", "litert_torch", "tflite_runtime", "torch_pruning", "safetensors",
    "flatbuffers",
}  # fmt: skip
MOST = re.compile(r"[Aa]t most (\d+) imports\s+inside functions")  # in docs/architecture.md


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some code."""
    script = (
        f"import sys\nbefore = set(sys.modules)\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        "print('loaded', *{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "code",
    [
        "import edgeopt",
        "import edgeopt.cli; edgeopt.cli.main(['--help'])",
        "import edgeopt.cli; edgeopt.cli.main(['optimize', '--help'])",
    ],
)
def test_starting_up_loads_nothing_heavy(code: str) -> None:
    strangers = {name for name in loaded_by(code) if name not in sys.stdlib_module_names}
    assert strangers & HEAVY == set()
    ours = {name for name in strangers if not name.startswith("_")}
    assert ours <= ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "from edgeopt import api, step; step.registry()",
        "import edgeopt.cli; edgeopt.cli.main(['passes', 'distill'])",
        "import edgeopt.worker.kinds",
        "import edgeopt.agent.serve",
    ],
)
def test_declarations_workers_and_agents_load_no_library_for_models(code: str) -> None:
    assert loaded_by(code) & (MODELS | {"scipy"}) == set()


@pytest.mark.extras
def test_planning_loads_no_library_for_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEOPT_STORE", str(tmp_path / "store"))
    command = "import edgeopt.cli; edgeopt.cli.main(['plan', 'recipes/fashion-mnist.yaml'])"
    loaded = loaded_by(command)
    assert "edgeopt" in loaded and loaded & MODELS == set()


def test_what_a_pass_does_is_in_the_module_that_it_names() -> None:
    kinds = {kind for kind in registry().values() if kind.__module__.startswith("edgeopt.")}
    named = {kind.body for kind in kinds}
    assert {f"edgeopt.bodies.{info.name}" for info in iter_modules(bodies.__path__)} == named
    for kind in kinds:
        assert kind.body.rpartition(".")[2] == kind.__module__.rpartition(".")[2]
        functions = {
            n.name for n in structure.tree(kind.body).body if isinstance(n, ast.FunctionDef)
        }
        assert ("change" if issubclass(kind, ModulePass) else "run") in functions


def test_only_passes_on_modules_can_be_called_by_hand() -> None:
    for kind in registry().values():
        assert callable(kind.model_construct()) == issubclass(kind, ModulePass)


def test_no_module_imports_itself_by_way_of_others() -> None:
    names = set(structure.modules())
    graph = {name: set(structure.imported(name)) & names - {name} for name in names}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_inside_functions_are_as_few_as_the_map_says() -> None:
    said = MOST.search((ROOT / "docs" / "architecture.md").read_text())
    assert said is not None
    inside = [
        f"{name}:{node.lineno}"
        for name in structure.modules()
        for node in structure.imports_inside(structure.tree(name))
    ]
    assert len(inside) <= int(said[1]), "\n".join(inside)


def test_public_names_are_sorted_and_there() -> None:
    assert sorted(edgeopt.__all__) == edgeopt.__all__
    for name in edgeopt.__all__:
        assert getattr(edgeopt, name) is not None
    assert set(edgeopt.__all__) <= set(dir(edgeopt))


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = edgeopt.optimise
