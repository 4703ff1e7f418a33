"""How long ``edgeopt --help`` and ``import edgeopt`` take beyond importing click alone.

    python benchmarks/startup.py [--rounds 20]

Each is a process of its own; the three take turns.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "import click": [sys.executable, "-c", "import click"],
    "import edgeopt": [sys.executable, "-c", "import edgeopt"],
    "edgeopt --help": [str(Path(sys.executable).with_name("edgeopt")), "--help"],
}
ALLOWED_S = 0.15


def seconds(command: list[str]) -> float:
    """Wall time of a process."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    """Run the rounds and print medians and differences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    rounds = [{n: seconds(c) for n, c in COMMANDS.items()} for _ in range(asked.rounds)]
    base = "import click"
    print(f"{base}: {statistics.median(r[base] for r in rounds):.3f} s")
    for name in COMMANDS:
        if name != base:
            apart = sorted(r[name] - r[base] for r in rounds)
            low, high = apart[0], apart[-1]
            print(f"{name}: {statistics.median(apart):+.3f} s ({low:+.3f} to {high:+.3f}); "
                  f"{ALLOWED_S} s are allowed")  # fmt: skip


if __name__ == "__main__":
    main()
