"""Making a tool environment: venv, then pip or uv, with the declared pins and nothing else.

The folder gets its mark last. One that was left half-made, by kill -9 or a full disk, has none:
it counts for nothing and is made anew. Two processes that make the same one wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from edgeopt.environments import READY, Environment, home
from edgeopt.environments.interpreters import how_to_install, interpreter_of
from edgeopt.schema.errors import EnvironmentMissingError

Tell = Callable[[float, float, str], None]  # done, of how many, what it is at
LOOK_S = 0.1
TAIL = 6  # last lines that an error quotes
# Asks the kernel to end it when the thread that started it ends, then becomes the command.
BOUND = (
    "import ctypes, os, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def make(env: Environment, tell: Tell, stopped: threading.Event | None = None) -> bool:
    """Make it unless it is there; whether it was made. It must stay in one thread.

    Raises EnvironmentMissingError, nothing left behind: no such Python, a package that cannot be
    had, or ``stopped`` set meanwhile.
    """
    stopped = stopped or threading.Event()
    with _alone(env, tell, stopped):
        if env.is_made:
            return False
        shutil.rmtree(env.folder, ignore_errors=True)
        base = interpreter_of(env.python)
        if base is None:
            raise EnvironmentMissingError(
                f"the tool environment '{env.name}' needs Python {env.python}, which was found "
                "neither on PATH nor of pyenv or uv",
                hint=how_to_install(env.python),
            )
        try:
            _fill(env, base, tell, stopped)
        except BaseException:
            shutil.rmtree(env.folder, ignore_errors=True)
            raise
    return True


def remove(env: Environment) -> int:
    """Remove it, and what other pins made under its name; how many folders there were."""
    named = re.compile(rf"{re.escape(env.name)}-[0-9a-f]{{12}}")
    folders = [
        path
        for path in home().glob(f"{env.name}-*")
        if named.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
    for folder in folders:
        (folder / READY).unlink(missing_ok=True)  # first: what is half gone is none
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".lock").unlink(missing_ok=True)
    return len(folders)


@contextlib.contextmanager
def _alone(env: Environment, tell: Tell, stopped: threading.Event) -> Iterator[None]:
    """Hold the lock of its folder, which the kernel gives up when this process dies."""
    path = env.folder.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise EnvironmentMissingError(
            f"cannot make the tool environment '{env.name}': {error.strerror}", where=str(path)
        ) from error
    try:
        waits = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waits:
                    tell(0, len(env.pins), "waiting for another process that makes it")
                waits = True
                if stopped.wait(LOOK_S):
                    raise _stopped(env) from None
        yield
    finally:
        os.close(handle)


def _fill(env: Environment, base: Path, tell: Tell, stopped: threading.Event) -> None:
    """The folder from nothing to its mark."""
    total = len(env.pins)
    uv = shutil.which("uv")
    tell(0, total, f"venv of {base}")
    bare = ["--without-pip"] if uv else []
    _run(env, [str(base), "-m", "venv", "--copies", *bare, str(env.folder)], stopped)
    python = str(env.interpreter)
    asked = ["--no-deps", "--only-binary", ":all:", "-r", str(env.file)]
    done = 0

    def count(line: str) -> None:
        nonlocal done
        if line.startswith("Collecting "):
            done += 1
            tell(done - 1, total, line.partition(" ")[2].partition(" ")[0])

    if uv:
        _run(env, [uv, "pip", "install", "--python", python, *asked], stopped)
    else:
        quiet = ["--disable-pip-version-check", "--no-input", "--no-compile"]
        _run(env, [python, "-m", "pip", "install", *quiet, *asked], stopped, count)
    _check(env, stopped)
    tell(total, total, "ready")
    mark = {"name": env.name, "digest": env.digest, "python": str(base), "pins": env.pins}
    path = env.folder / READY
    path.with_suffix(".tmp").write_text(json.dumps(mark, indent=1))
    path.with_suffix(".tmp").replace(path)


def _check(env: Environment, stopped: threading.Event) -> None:
    """Raise EnvironmentMissingError unless it holds just the pinned versions."""
    ask = "import importlib.metadata as m, sys; print(*(m.version(n) for n in sys.argv[1:]))"
    found = _run(env, [str(env.interpreter), "-I", "-c", ask, *env.pins], stopped).split()
    wrong = [f"{name} {has}" for (name, wants), has in zip(env.pins.items(), found, strict=False)
             if has != wants]  # fmt: skip
    if wrong or len(found) != len(env.pins):
        raise EnvironmentMissingError(
            f"the tool environment '{env.name}' did not get its pins: {', '.join(wrong)}"
        )


def _run(
    env: Environment,
    command: list[str],
    stopped: threading.Event,
    line: Callable[[str], None] = lambda _line: None,
) -> str:
    """What a command prints. Raises EnvironmentMissingError with its last lines where it fails."""
    bound = [sys.executable, "-I", "-c", BOUND, *command]
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    with subprocess.Popen(
        bound, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env={**clean, "PYTHONNOUSERSITE": "1"},
    ) as process:  # fmt: skip
        over = threading.Event()
        watch = threading.Thread(target=_end, args=(process, stopped, over), daemon=True)
        watch.start()
        said = []
        try:
            assert process.stdout is not None
            for text in process.stdout:
                said.append(text.rstrip())
                line(text.strip())
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            over.set()
            watch.join()
    if stopped.is_set():
        raise _stopped(env)
    if code:
        last = [text for text in said if text.strip()][-TAIL:]
        raise EnvironmentMissingError(
            f"cannot make the tool environment '{env.name}': {Path(command[0]).name} "
            f"{' '.join(command[1:4])} ended with exit status {code}",
            hint="\n  ".join(last) or "it printed nothing",
        )
    return "\n".join(said)


def _end(process: subprocess.Popen[str], stopped: threading.Event, over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        if stopped.is_set():
            process.kill()
            return


def _stopped(env: Environment) -> EnvironmentMissingError:
    return EnvironmentMissingError(f"the tool environment '{env.name}' was not made: stopped")
