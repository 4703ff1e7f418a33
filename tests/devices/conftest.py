"""A board for tests that do it no harm, and the devices file that names it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Board, board

from edgeopt.schema.target import parse_target
from edgeopt.store import Store
from edgeopt.testing.devices import Place


@pytest.fixture(scope="session")
def lasting_board() -> Iterator[Board]:
    """One sshd for all tests that leave it as it was."""
    with board() as made:
        yield made


@pytest.fixture
def on_board(lasting_board: Board, monkeypatch: pytest.MonkeyPatch) -> Board:
    """The lasting board, named ``ssh:board``."""
    monkeypatch.setenv("EDGEOPT_DEVICES", str(lasting_board.devices()))
    return lasting_board


@pytest.fixture
def own_board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board that a test may break, named ``ssh:board``."""
    with board() as made:
        monkeypatch.setenv("EDGEOPT_DEVICES", str(made.devices()))
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where small jobs work for ``ssh:board``."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Place(parse_target("ssh:board/onnxruntime"), Store(tmp_path / "store"), folder)
