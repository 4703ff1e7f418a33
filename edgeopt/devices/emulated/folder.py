"""Where the emulation lies, what is in it, and whether it is as it was made."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from edgeopt.schema.errors import DeviceError

VERSION = 1  # of the layout; another one is made anew
MANIFEST = "manifest.json"
DOWNLOADS = "downloads"  # .deb files and wheels
ROOT, SITE, CORES_FOLDER, PLUGIN = "root", "site", "cores", "count.so"
SET_UP = "edgeopt devices setup emulated"


def emulation_folder() -> Path:
    """``$EDGEOPT_EMULATION``, or ``emulated`` in the user's cache folder."""
    if given := os.environ.get("EDGEOPT_EMULATION"):
        return Path(given).absolute()
    return Path(platformdirs.user_cache_dir("edgeopt")) / "emulated"


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's content, of a link's target. Raises OSError."""
    if path.is_symlink():
        return hashlib.sha256(b"link " + os.fsencode(os.readlink(path))).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digests_below(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Digest of every file and link below some parts of a folder, by relative path."""
    found: dict[str, str] = {}
    for name in names:
        place = folder / name
        walked = [place] if place.is_file() else sorted(place.rglob("*"))
        for path in walked:
            if path.is_symlink() or path.is_file():
                found[path.relative_to(folder).as_posix()] = digest_of_file(path)
    return found


def manifest(folder: Path) -> dict[str, dict[str, str]]:
    """``{"downloads": {path: sha256}, "unpacked": {...}, "versions": {...}}``; empty for none."""
    try:
        read = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(read, dict) or read.get("version") != VERSION:
        return {}
    return {part: dict(read.get(part, {})) for part in ("downloads", "unpacked", "versions")}


def broken(folder: Path, part: str) -> list[str]:
    """Files of a part of the manifest that are missing or changed."""
    damaged = []
    for name, digest in manifest(folder).get(part, {}).items():
        try:
            sound = digest_of_file(folder / name) == digest
        except OSError:
            sound = False
        if not sound:
            damaged.append(name)
    return damaged


def emulation(device: str) -> Path:
    """The folder, made before. Raises DeviceError that says how to make it."""
    folder = emulation_folder()
    if not manifest(folder):
        raise DeviceError(
            f"the emulation is not set up in {folder}", where=device, hint=f"run '{SET_UP}'"
        )
    return folder
