"""The command line. Commands are found by file name and loaded when they are called."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

INTERRUPTED = "Interrupted. Finished work is kept; run the same command again to continue."

GARBAGE = 100_000  # objects made before garbage is looked for: modules make many, and keep them


def main(args: Sequence[str] | None = None) -> None:
    """The console script. Exits with the codes of the documentation, 130 when interrupted."""
    gc.set_threshold(GARBAGE)
    try:
        from edgeopt.cli.commands import run

        code = run(sys.argv[1:] if args is None else list(args))
    except KeyboardInterrupt:
        print(f"\n{INTERRUPTED}", file=sys.stderr)
        code = 130
    sys.exit(code)
