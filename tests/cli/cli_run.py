"""The command, run as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EDGEOPT = Path(sys.executable).with_name("edgeopt")


def run(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(EDGEOPT), *args],
        cwd=cwd,
        env={**os.environ, "EDGEOPT_STORE": str(cwd / "store"), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
