"""What starting up loads: little, so that the command answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edgeopt

HEAVY = {
    "numpy", "pydantic", "rich", "ruamel", "onnx", "onnxruntime", "onnxsim", "torch", "scipy",
    "jinja2", "psutil", "sympy", "platformdirs",
}  # fmt: skip
ALLOWED = {"click", "edgeopt"}  # beside the standard library


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some code."""
    script = (
        f"import sys\nbefore = set(sys.modules)\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        "print('loaded', *{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
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


def test_public_names_are_sorted_and_there() -> None:
    assert sorted(edgeopt.__all__) == edgeopt.__all__
    for name in edgeopt.__all__:
        assert getattr(edgeopt, name) is not None
    assert set(edgeopt.__all__) <= set(dir(edgeopt))


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = edgeopt.optimise
