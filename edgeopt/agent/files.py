"""Files on the device: blobs named by their SHA-256, and the folders made of them."""

from __future__ import annotations

import os
import re
import shutil
from typing import Any, Dict

import numpy as np

from . import feeds
from .errors import AgentError, one_line

_DIGEST = re.compile(r"[0-9a-f]{64}")


def blob(root: str, digest: Any) -> str:
    """Path of a blob that the host has put. Raises AgentError where it has not."""
    path = os.path.join(root, str(digest))
    if not _DIGEST.fullmatch(str(digest)) or not os.path.isfile(path):
        raise AgentError("DeviceError", "file was never put on the device", str(digest)[:64])
    return path


def folder(root: str, files: Any, into: str) -> None:
    """Lay ``{path: digest}`` out below ``into``: links where the file system has them."""
    if not isinstance(files, dict) or not files:
        raise AgentError("DeviceError", "no files are named", "open")
    for path, digest in files.items():
        parts = path.split("/")
        if os.path.isabs(path) or "\\" in path or not all(p not in ("", ".", "..") for p in parts):
            raise AgentError("DeviceError", "file would be outside its folder", path[:200])
        target = os.path.join(into, *parts)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        source = blob(root, digest)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def arrays(root: str, digests: Any, axes: feeds.Axes) -> Dict[str, np.ndarray]:
    """``{input: digest of a .npy}`` as read-only maps, all of one length. Raises AgentError.

    What ``axes`` calls a constant is repeated to that length.
    """
    if not isinstance(digests, dict) or not digests:
        raise AgentError("DeviceError", "no arrays are named", "feed")
    mapped: Dict[str, np.ndarray] = {}
    for name, digest in digests.items():
        try:
            mapped[name] = np.load(blob(root, digest), mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise AgentError(
                "DataError", "not a .npy array: {}".format(one_line(error)), name
            ) from None
    whole = {name for name in mapped if axes.get(name, 0) is None}
    lengths = {a.shape[0] if a.ndim else 0 for name, a in mapped.items() if name not in whole}
    if len(lengths) != 1 or 0 in lengths:
        raise AgentError("DataError", "arrays hold different numbers of samples", "feed")
    (n,) = lengths
    return {name: feeds.repeated(a, n) if name in whole else a for name, a in mapped.items()}
