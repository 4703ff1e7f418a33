"""Tool environments are made whole or not at all: by real venvs and a real package index."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgeopt.environments import READY, Environment
from edgeopt.environments.making import make, remove
from edgeopt.schema.errors import EnvironmentMissingError

HERE = "{}.{}".format(*sys.version_info)
PATIENCE_S = 120.0
MAKE = """
import sys
from pathlib import Path
from edgeopt.environments import Environment
from edgeopt.environments.making import make
print(make(Environment("tool", Path(sys.argv[1])), lambda *told: print(*told, flush=True)))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def declared(tmp_path: Path, *pins: str, python: str = HERE) -> Environment:
    file = tmp_path / "tool.txt"
    file.write_text("\n".join([f"# python: {python}", "# for: a test", *pins, ""]))
    return Environment("tool", file)


def asked(env: Environment, code: str) -> str:
    done = subprocess.run([env.interpreter, "-I", "-c", code], capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_it_holds_its_pins_tells_how_far_it_is_and_is_made_once(tmp_path: Path) -> None:
    env = declared(tmp_path, "six==1.16.0", "iniconfig==2.0.0")
    told: list[tuple[float, float, str]] = []
    assert make(env, lambda *at: told.append(at))
    assert env.is_made and told[-1] == (2, 2, "ready")
    assert asked(env, "import six, iniconfig; print(six.__version__)") == "1.16.0"
    mark = json.loads((env.folder / READY).read_text())
    assert mark["pins"] == {"six": "1.16.0", "iniconfig": "2.0.0"}
    assert not make(env, lambda *at: None), "it is there"
    beside = env.folder.with_name("tool-of-another-kind")
    beside.mkdir()
    assert remove(env) == 1 and not env.folder.exists() and beside.exists()


def test_packages_of_the_parent_are_not_seen(tmp_path: Path) -> None:
    env = declared(tmp_path, "six==1.16.0")
    make(env, lambda *at: None)
    with pytest.raises(subprocess.CalledProcessError):
        asked(env, "import numpy")


def test_a_package_that_cannot_be_had_leaves_nothing_and_is_named(tmp_path: Path) -> None:
    env = declared(tmp_path, "six==0.0.999")
    with pytest.raises(EnvironmentMissingError, match="pip install") as caught:
        make(env, lambda *at: None)
    assert "six==0.0.999" in caught.value.hint
    assert not env.folder.exists()


def test_no_such_python_is_refused_with_the_command_that_would_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    env = declared(tmp_path, "six==1.16.0", python="3.99")
    with pytest.raises(EnvironmentMissingError, match=r"needs Python 3\.99") as caught:
        make(env, lambda *at: None)
    assert "uv python install 3.99" in caught.value.hint and not env.folder.exists()


def test_no_network_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    env = declared(tmp_path, "six==1.16.0")
    with pytest.raises(EnvironmentMissingError) as caught:
        make(env, lambda *at: None)
    assert "127.0.0.1" in caught.value.hint or "No matching distribution" in caught.value.hint
    assert not env.folder.exists()


def test_a_stop_ends_it_soon_and_leaves_nothing(tmp_path: Path) -> None:
    env, stopped = declared(tmp_path, "six==1.16.0"), threading.Event()
    stopped.set()
    with pytest.raises(EnvironmentMissingError, match="stopped"):
        make(env, lambda *at: None, stopped)
    assert not env.folder.exists()


@pytest.mark.parametrize("after_s", [0.3, 1.5, 3.0])
def test_after_kill_9_the_next_one_makes_it_whole(tmp_path: Path, after_s: float) -> None:
    """What was begun counts for nothing, and what was started has ended with its parent."""
    env = declared(tmp_path, "six==1.16.0", "iniconfig==2.0.0")
    with subprocess.Popen(
        [sys.executable, "-c", MAKE, env.file], stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None and maker.stdout.readline()
        time.sleep(after_s)
        children = _children(maker.pid)
        maker.send_signal(signal.SIGKILL)
        maker.wait()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    make(env, lambda *at: None)
    assert env.is_made
    assert asked(env, "import six, iniconfig; print(six.__version__)") == "1.16.0"


def _children(pid: int) -> list[int]:
    task = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in task.read_text().split()] if task.exists() else []


def test_two_that_make_the_same_one_wait_for_each_other(tmp_path: Path) -> None:
    env = declared(tmp_path, "six==1.16.0")
    makers = [
        subprocess.Popen([sys.executable, "-c", MAKE, env.file], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [maker.communicate(timeout=PATIENCE_S)[0].splitlines()[-1] for maker in makers]
    assert sorted(said) == ["False", "True"], "one made it, the other found it"
    assert env.is_made
