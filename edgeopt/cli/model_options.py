"""Options that several commands have: of a model without a recipe, and of baselines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
OPTIONS = (
    click.option(
        "--data", type=click.Path(path_type=Path),
        help="Samples (.npz, or a folder of images) for a MODEL without a recipe.",
    ),
    click.option("--label", metavar="ARRAY", help="Array of --data with the labels."),
    click.option(
        "--weights", type=click.Path(path_type=Path), help="Weights of a MODEL FILE.py:NAME."
    ),
    click.option(
        "--max-drop", metavar="1pt", help="How much the first metric may lose against the source."
    ),
)  # fmt: skip


def model_options(command: Command) -> Command:
    """``--data``, ``--label``, ``--weights`` and ``--max-drop``."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def baselines_option(command: Command) -> Command:
    """``--dir``: where baselines lie."""
    return click.option(
        "--dir", "folder", type=click.Path(file_okay=False, path_type=Path),
        default=Path("baselines"), show_default=True, help="Folder of the baselines.",
    )(command)  # fmt: skip
