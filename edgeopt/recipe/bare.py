"""The recipe of a model that comes without one: what is worth trying, told by its data."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from edgeopt.data.sources.npz import Npz
from edgeopt.data.splits import ALIASES, PLAIN, by_split
from edgeopt.schema.errors import DataError

ROLES = {  # role -> names of the split that takes it, the first that is there
    "validation": ("validation", *(name for name, role in ALIASES.items() if role == "validation")),
    "calibration": (
        "calibration", *(name for name, role in ALIASES.items() if role == "calibration"), "train",
    ),
    "test": ("test",),
}  # fmt: skip
LABELS = ("label", "labels")
CALIBRATION_SAMPLES = 512
NEAR = "fidelity.sqnr >= 9 dB"  # where nothing is labelled; found by measuring: docs/measuring.md
STREAM = "samples"  # the one split of plain arrays


def bare_fields(model: Path, data: Path | None) -> dict[str, Any]:
    """Fields of a recipe for a model file and an archive of arrays, plain or named SPLIT.ARRAY.

    Constraints: ``accuracy >= source - 1.0pt`` with labels, else ``NEAR``.
    Passes: simplify or not; INT8 where there are samples to calibrate with; FP16; none of these.
    Raises DataError naming the archive.
    """
    fields: dict[str, Any] = {"model": {"path": str(model)}}
    section = data_fields(data) if data is not None else {}
    if section:
        fields["data"] = section
    labelled = section.get("label") is not None
    fields["constraints"] = ["accuracy >= source - 1.0pt" if labelled else NEAR]
    choices: list[Any] = ["none", "fp16"]
    if "calibration" in section.get("splits", {}):
        choices.insert(1, {"quantize-int8": {"scheme": "auto"}})
    fields["passes"] = [{"one_of": ["none", "simplify-onnx"]}, {"one_of": choices}]
    return fields


def data_fields(path: Path, *, train: bool = False) -> dict[str, Any]:
    """``data`` of a recipe, by the names of an archive's arrays. Raises DataError.

    Plain arrays are cut in two: their first quarter, at most 512 samples, to calibrate with, the
    rest to validate. ``train``: also the split to train on, which a network with a factory can use.
    """
    arrays = _arrays(path)
    if STREAM in arrays and set(arrays) == set(PLAIN):
        return _plain_fields(path, arrays[STREAM])
    splits: dict[str, str] = {}
    for role, names in ROLES.items():
        name = next((name for name in names if name in arrays), None)
        if name is not None:
            splits[role] = f"train[:{CALIBRATION_SAMPLES}]" if name == "train" else name
    if "validation" not in splits:
        raise DataError(
            "no validation split: candidates are chosen on it",
            where=str(path),
            hint=f"name its arrays validation.ARRAY; the archive has the splits: "
            f"{', '.join(sorted(arrays)) or 'none'}",
        )
    held = arrays[splits["validation"]]
    label = next((name for name in LABELS if name in held), None)
    if train and "train" in arrays and label in {None, *arrays["train"]}:
        splits["train"] = "train"
    return {"source": str(path.absolute()), "label": label, "splits": splits}


def _plain_fields(path: Path, names: set[str]) -> dict[str, Any]:
    """``data`` for plain arrays; too few to be cut in two only validate."""
    with Npz(path) as archive:
        n = min(archive.length(name) for name in names)
    cut = min(CALIBRATION_SAMPLES, n // 4)
    splits = {"validation": f"{STREAM}[{cut}:]" if cut else STREAM}
    if cut:
        splits["calibration"] = f"{STREAM}[:{cut}]"
    label = next((name for name in LABELS if name in names), None)
    return {"source": str(path.absolute()), "label": label, "splits": splits}


def _arrays(path: Path) -> dict[str, set[str]]:
    """Array names by split; nothing but the archive's table of contents is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
    except OSError as error:
        raise DataError(error.strerror or str(error), where=str(path)) from None
    except zipfile.BadZipFile:
        raise DataError("not an .npz archive, or a truncated one", where=str(path)) from None
    splits = by_split(name.removesuffix(".npy") for name in names)
    return {split: set(held) for split, held in splits.items()}
