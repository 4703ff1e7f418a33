"""What lies in folders: kits compare it before and after."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def files_of(folder: Path) -> dict[str, bytes]:
    """Contents by path below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def changes(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """What became of files, in words; empty where nothing did."""
    told = [f"'{name}' is new" for name in after if name not in before]
    told += [f"'{name}' is gone" for name in before if name not in after]
    told += [
        f"'{name}' changed" for name in before if after.get(name, before[name]) != before[name]
    ]
    return sorted(told)


@contextmanager
def unchanged(what: str, *folders: Path) -> Iterator[None]:
    """Raise AssertionError where the body changes, adds or removes a file of the folders.

    The process stands in an empty folder beside the first one meanwhile, which must stay empty.
    """
    here = folders[0].parent / f"{folders[0].name}-beside"
    here.mkdir()
    home = os.getcwd()
    before = [files_of(folder) for folder in folders]
    os.chdir(here)
    try:
        yield
    finally:
        os.chdir(home)
    for folder, files in zip(folders, before, strict=True):
        differences = changes(files, files_of(folder))
        assert not differences, f"{what} changed {folder.name}/: {'; '.join(differences)}"
    left = sorted(path.name for path in here.iterdir())
    assert not left, f"{what} wrote into the current folder: {left}"
    here.rmdir()
