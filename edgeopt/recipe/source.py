"""Model and data that a user gives, as nouns. Field descriptions are the recipe's reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from edgeopt.data.splits import ALIASES
from edgeopt.schema.base import Noun
from edgeopt.schema.constraint import SCALES
from edgeopt.schema.model_format import model_formats

ROLES = ("calibration", "validation", "test", "train")
Steps = list[dict[str, Any]]
Names = tuple[StrictStr, ...] | StrictStr  # themselves, or a file with one per line


def _known_formats(schema: dict[str, Any]) -> None:
    schema["anyOf"][0] = {"enum": list(model_formats()), "type": "string"}


class ModelSpec(Noun):
    """The source model: ``path`` of a file, or ``factory`` and ``weights`` (torch)."""

    format: StrictStr | None = Field(
        None,
        description="format of the source; by default taken from the file's name",
        json_schema_extra=_known_formats,
    )
    path: StrictStr | None = Field(None, description="model file")
    factory: StrictStr | None = Field(
        None, description="FILE.py:CALLABLE or MODULE:CALLABLE that builds the network"
    )
    weights: StrictStr | None = Field(
        None, description="safetensors file, or a state dict that torch reads with weights_only"
    )
    sources: tuple[StrictStr, ...] = Field(
        (), description="further files that the factory's module loads while it is imported"
    )
    signature: StrictStr | None = Field(
        None, description="signature of a SavedModel, where it has several"
    )
    custom_objects: tuple[StrictStr, ...] = Field(
        (),
        description="classes and functions of your own that a Keras model has, FILE.py:NAME each",
    )
    trained_on: StrictStr | None = Field(
        None, description=".npy file of the training samples' hashes, to detect overlap"
    )

    @field_validator("format")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        *others, last = map(repr, model_formats())
        if name is not None and name not in model_formats():
            raise ValueError(f"Input should be {', '.join(others)} or {last}")
        return name

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.path is None) == (self.factory is None):
            raise ValueError("give either 'path' (a model file) or 'factory' (and 'weights')")
        if self.factory is not None and self.format not in (None, "torch"):
            raise ValueError(f"a factory makes a torch model, not '{self.format}'")
        if self.factory is not None and ":" not in self.factory:
            raise ValueError("'factory' is FILE.py:CALLABLE")
        if self.path is not None and (self.weights or self.sources):
            raise ValueError("'weights' and 'sources' go with 'factory', not with 'path'")
        return self


class DataSpec(Noun):
    """Where samples come from and what each split is for."""

    source: StrictStr = Field(
        description=".npz file of arrays, plain or named SPLIT.ARRAY, folder of images in "
        "SPLIT/CLASS/, or FILE.py:FUNCTION that yields samples"
    )
    inputs: dict[str, StrictStr | StrictBool | StrictInt | StrictFloat] | None = Field(
        None,
        description="model input: array, or a number or boolean that is the same for all samples; "
        "arrays are matched by name by default",
    )
    label: StrictStr | dict[StrictStr, StrictStr] | None = Field(
        None,
        description="array of labels: classes (whole numbers), values to predict (floats), or what "
        "a metric of your own reads; or a map of model output to array",
    )
    classes: Names | dict[StrictStr, Names] | None = Field(
        None,
        description="names of the classes, in the order of labels and scores, or a text file with "
        "one per line; or a map of model output to either. For views: no figure depends on them",
    )
    slices: tuple[StrictStr, ...] = Field(
        (),
        description="arrays of metadata; the first metric is also reported for each value",
    )
    resize: tuple[StrictInt, StrictInt] | None = Field(
        None, description="height and width to which images of a folder are resized (bilinear)"
    )
    timeout: StrictStr = Field("10 min", description="time limit of FILE.py:FUNCTION")
    layout: Literal["NHW", "NCHW", "NHWC"] | None = Field(
        None, description="layout of image arrays; by default an array is fed unchanged if it fits"
    )
    splits: dict[Literal["calibration", "validation", "test", "train"], StrictStr | StrictInt] = (
        Field(
            description="role: selection, such as 'train[:512]'; of a function without splits, "
            "how many of its samples, taken in turn"
        )
    )
    preprocess: Steps | dict[str, Steps] = Field(
        default=[], description="steps for all inputs, or a map of input to steps"
    )

    @field_validator("splits", mode="before")
    @classmethod
    def _by_role(cls, splits: Any) -> Any:
        """Roles by their usual names, too: ``val`` and ``valid``, ``calib``."""
        if not isinstance(splits, Mapping):
            return splits
        by_role: dict[Any, Any] = {}
        for name, selection in splits.items():
            role = ALIASES.get(name, name)
            if role in by_role:
                raise ValueError(f"two of its names are of one role, '{role}'")
            by_role[role] = selection
        return by_role

    @field_validator("splits")
    @classmethod
    def _validation_given(cls, splits: dict[str, str | int]) -> dict[str, str | int]:
        if "validation" not in splits:
            raise ValueError("a 'validation' split is needed: candidates are chosen on it")
        for count in splits.values():
            if isinstance(count, int) and count < 1:
                raise ValueError(f"a count of samples is at least 1, not {count}")
        return splits

    @field_validator("inputs")
    @classmethod
    def _finite(cls, inputs: dict[str, Any] | None) -> dict[str, Any] | None:
        for name, value in (inputs or {}).items():
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"the constant of input '{name}' is {value}, not a finite number")
        return inputs

    @field_validator("label")
    @classmethod
    def _some_label(cls, label: str | dict[str, str] | None) -> str | dict[str, str] | None:
        if label == {}:
            raise ValueError("'label' is an empty map: name an output and its array, or leave out")
        return label

    @field_validator("classes", mode="before")
    @classmethod
    def _named(cls, classes: Any) -> Any:
        if classes is None:
            return None
        for names in classes.values() if isinstance(classes, Mapping) else [classes]:
            listed = [names] if isinstance(names, str) else names
            if not isinstance(listed, list | tuple) or not listed:
                raise ValueError("names of classes are a list, or a text file with one per line")
            for name in listed:
                if not isinstance(name, str) or not name.strip():
                    raise ValueError(f"the name of a class is text, not {name!r}; put it in quotes")
                if listed.count(name) > 1:
                    raise ValueError(f"two classes are called '{name}'")
        return classes

    @field_validator("timeout")
    @classmethod
    def _readable(cls, text: str) -> str:
        seconds_of(text)
        return text

    @property
    def label_arrays(self) -> tuple[str, ...]:
        """The arrays of labels, each once."""
        if self.label is None:
            return ()
        named = [self.label] if isinstance(self.label, str) else self.label.values()
        return tuple(dict.fromkeys(named))

    @property
    def timeout_s(self) -> float:
        """The time limit of a function in seconds."""
        return seconds_of(self.timeout)

    @property
    def selections(self) -> dict[str, str]:
        """Role -> selection; counts are taken one after the other."""
        selections, start = {}, 0
        for role in ROLES:
            given = self.splits.get(role)  # type: ignore[call-overload]
            if isinstance(given, int):
                selections[role] = f"samples[{start}:{start + given}]"
                start += given
            elif given is not None:
                selections[role] = given
        return selections


_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """A time such as ``90 s`` or ``30 min``. Raises ValueError for anything else."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h)", text.strip())
    if not match or float(match[1]) <= 0:
        raise ValueError(f"cannot read the time '{text}'; write '90 s', '30 min' or '2 h'")
    return float(match[1]) * _UNITS[match[2]]


def bytes_of(text: str) -> int:
    """A size such as ``500 MB`` or ``4 GB``. Raises ValueError for anything else."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kMG]i?B)", text.strip())
    if not match or float(match[1]) <= 0:
        raise ValueError(f"cannot read the size '{text}'; write '800 MB', '4 GB' or '4 GiB'")
    return int(float(match[1]) * SCALES["bytes"].get(match[2], 0))
