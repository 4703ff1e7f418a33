"""The recipe of a model that comes without one: what is worth trying, told by its data."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.answers.labels import CLASSES, VALUES
from edgeopt.data.sources.folder import Folder
from edgeopt.data.sources.npz import Npz
from edgeopt.data.splits import ALIASES, PLAIN, by_split, parse_selection
from edgeopt.formats import format_of
from edgeopt.recipe.space import space
from edgeopt.schema.errors import DataError
from edgeopt.schema.model_format import model_formats

ROLES = {  # role -> names of the split that takes it, the first that is there
    "validation": ("validation", *(name for name, role in ALIASES.items() if role == "validation")),
    "calibration": (
        "calibration", *(name for name, role in ALIASES.items() if role == "calibration"), "train",
    ),
    "test": ("test",),
}  # fmt: skip
LABELS = ("label", "labels")
CALIBRATION_SAMPLES = 512
STREAM = "samples"  # the one split of plain arrays


def bare_fields(
    model: Path | Mapping[str, Any], data: Path | None, label: str | None = None
) -> dict[str, Any]:
    """Fields of a recipe for a model file, or for what stands under ``model``, and its samples.

    ``data`` is an archive of arrays, plain or named SPLIT.ARRAY, or a folder of images; ``label``
    its array of labels, where it has no usual name. Constraints and passes are those of ``space``.
    Raises DataError naming the archive, UsageError for a model of no known format.
    """
    spec = dict(model) if isinstance(model, Mapping) else {"path": str(model)}
    section: dict[str, Any] = {}
    if data is not None:
        section = data_fields(data, train="factory" in spec, label=label)
    fmt = "torch" if "factory" in spec else spec.get("format") or _format(Path(spec["path"]))
    classes = label_kind(section) == CLASSES
    filled = {"data": section} if section else {}
    return {"model": spec, **filled, **space(fmt, section, classes=classes)}


def _format(path: Path) -> str:
    """The format of a model; of a file that is not there, which is for whoever opens it to say, by
    its suffix."""
    if path.exists():
        return format_of(path)
    suffix = path.suffix.lower()
    return next((name for name, each in model_formats().items() if suffix in each.suffixes), "")


def label_kind(data: Mapping[str, Any]) -> str | None:
    """What the labels of a recipe's ``data`` are: ``CLASSES``, ``VALUES`` or, where there are none,
    None. Those of a function are taken for classes. Raises DataError naming the archive."""
    label, source = data.get("label"), Path(data.get("source", ""))
    if not label:
        return None
    name = label if isinstance(label, str) else next(iter(label.values()))
    if source.suffix != ".npz":
        return CLASSES
    with Npz(source) as archive:
        members = by_split(archive.members)
        split = parse_selection(str(data["splits"]["validation"])).split
        if name not in members.get(split, {}):
            raise DataError(
                f"no array '{name}' for labels; the split {split} has "
                f"{', '.join(members.get(split, {})) or 'none'}",
                where=str(source),
            )
        return VALUES if archive.kind(members[split][name]) == "f" else CLASSES


def data_fields(path: Path, *, train: bool = False, label: str | None = None) -> dict[str, Any]:
    """``data`` of a recipe, by the names of an archive's arrays or of a folder's folders.

    Plain arrays are cut in two: their first quarter, at most 512 samples, to calibrate with, the
    rest to validate. ``train``: also the split to train on, which a network with a factory can use.
    ``label``: the array of labels, one of the usual names where None. Raises DataError.
    """
    arrays = _folders(path) if path.is_dir() else _arrays(path)
    if STREAM in arrays and set(arrays) == set(PLAIN):
        return _plain_fields(path, arrays[STREAM], label)
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
    label = label or next((name for name in LABELS if name in held), None)
    if train and "train" in arrays and label in {None, *arrays["train"]}:
        splits["train"] = "train"
    return {"source": str(path.absolute()), "label": label, "splits": splits}


def _plain_fields(path: Path, names: set[str], label: str | None) -> dict[str, Any]:
    """``data`` for plain arrays; too few to be cut in two only validate."""
    with Npz(path) as archive:
        n = min(archive.length(name) for name in names)
    cut = min(CALIBRATION_SAMPLES, n // 4)
    splits = {"validation": f"{STREAM}[{cut}:]" if cut else STREAM}
    if cut:
        splits["calibration"] = f"{STREAM}[:{cut}]"
    label = label or next((name for name in LABELS if name in names), None)
    return {"source": str(path.absolute()), "label": label, "splits": splits}


def _folders(path: Path) -> dict[str, set[str]]:
    """Array names by split of a folder of images."""
    return {split: set(held) for split, held in by_split(Folder(path).names).items()}


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
