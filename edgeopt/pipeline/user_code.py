"""Code beside the recipe that it names: where it lies, and what its digests are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgeopt.formats.torch.sources import source_files
from edgeopt.recipe import Recipe
from edgeopt.schema.errors import DataError


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def code_digests(recipe: Recipe, function: str) -> dict[str, str]:
    """SHA-256 of ``FILE.py:FUNCTION``'s module and of those beside it that it imports.

    Raises ModelError for a missing file, UsageError for another form.
    """
    base, placed = placed_code(function, recipe.root)
    code = source_files({"factory": placed}, base)
    return {key: digest_or_error(path) for key, path in code.items()}


def placed_code(text: str, root: Path) -> tuple[Path, str]:
    """The folder that ``FILE.py:NAME`` and its imports are looked for in, and its form there.

    That is ``root``, or the file's own folder where it lies elsewhere.
    """
    file, _, name = text.rpartition(":")
    if not (Path(file).is_absolute() or ".." in Path(file).parts):
        return root, text
    return (root / file).parent, f"{Path(file).name}:{name}"


def digest_or_error(path: Path) -> str:
    """SHA-256 of a file that a recipe names. Raises DataError naming it."""
    try:
        return file_digest(path)
    except OSError as error:
        raise DataError(error.strerror or str(error), where=str(path)) from None
