"""Model formats: what each declares, in the file ``format.json`` of its package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator

from edgeopt.schema.base import Noun
from edgeopt.schema.declaration import HOME, Package, packages, read, with_own
from edgeopt.schema.errors import PlanError, UsageError, did_you_mean
from edgeopt.schema.runtime import file_of, runtimes

GROUP = "edgeopt.formats"
FILE = "format.json"
OF_EDGEOPT = ("edgeopt", "numpy")  # whose versions every result records


class ModelFormat(Noun):
    """What a format declares. The package's name, or the entry point's, is its name in a recipe."""

    suffixes: tuple[str, ...] = Field(description="suffixes of its model files, such as `.onnx`")
    marker: str = Field(description="the file that every artifact's folder of it holds")
    worker: str = Field(description="the warm worker that loads it")
    uses: tuple[str, ...] = Field(
        description="distributions whose versions enter the keys of what opens and checks it; "
        "the one that brings the format is among them without saying"
    )
    scored_by: str = Field(description="the runtime that scores a source of it on this machine")
    covers: tuple[str, ...] = Field(
        (), description="other workers, whose formats its own can load as well"
    )
    records: tuple[str, ...] = Field(
        (), description="distributions beside the runtimes' whose versions results record"
    )
    takes_samples: bool = Field(
        False, description="whether its files do not tell their inputs, and the data must"
    )

    version: int = Field(
        1, ge=1, description="raised when the same files open as another artifact than before"
    )

    @field_validator("suffixes")
    @classmethod
    def _with_dots(cls, suffixes: tuple[str, ...]) -> tuple[str, ...]:
        for suffix in suffixes:
            if not suffix.startswith(".") or suffix != suffix.lower():
                raise ValueError(f"'{suffix}' is not a suffix in lower case with its dot")
        return suffixes


@cache
def model_formats() -> dict[str, ModelFormat]:
    """All formats by name: edgeopt's own first, then those plugged in. Raises UsageError."""
    own = {file.parent.name: file for file in sorted((HOME / "formats").glob(f"*/{FILE}"))}
    added = plugged_in()
    files = with_own("format", own, {name: each.folder / FILE for name, each in added.items()})
    formats = read(ModelFormat, files)
    for name, package in added.items():  # a new version of its code makes all of it anew
        uses = dict.fromkeys(filter(None, (*formats[name].uses, package.distribution)))
        formats[name] = formats[name].model_copy(update={"uses": tuple(uses)})
    for name, declared in formats.items():
        if declared.scored_by not in runtimes():
            raise UsageError(
                f"the declaration {files[name]} is wrong: 'scored_by': there is no runtime "
                f"'{declared.scored_by}'",
                hint=did_you_mean(declared.scored_by, runtimes()),
            )
        reads = runtimes()[declared.scored_by].formats
        if name not in reads:
            raise UsageError(
                f"the declaration {files[name]} is wrong: 'scored_by': the runtime "
                f"'{declared.scored_by}' reads {' and '.join(reads)}, not {name}"
            )
    for name in added:
        _check_free(name, formats, files[name])
    for name, runtime in runtimes().items():
        for key, each in zip(("format", *("also" for _ in runtime.also)), runtime.formats,
                             strict=True):  # fmt: skip
            if each not in formats:
                raise UsageError(
                    f"the declaration {file_of(name)} is wrong: '{key}': there is no model "
                    f"format '{each}'",
                    hint=did_you_mean(each, formats),
                )
    return formats


def _check_free(name: str, formats: Mapping[str, ModelFormat], file: Path) -> None:
    """Raise UsageError for a format of another distribution by which others are known, too."""
    mine = formats[name]
    for other, theirs in formats.items():
        taken = sorted(set(mine.suffixes) & set(theirs.suffixes))
        if other != name and (taken or mine.marker == theirs.marker):
            what = f"'suffixes': '{taken[0]}'" if taken else f"'marker': '{mine.marker}'"
            raise UsageError(
                f"the declaration {file} is wrong: {what} is the format {other}'s already"
            )


def plugged_in() -> dict[str, Package]:
    """The packages of the formats that other distributions bring. Raises UsageError."""
    return packages(GROUP)


def model_format(name: str) -> ModelFormat:
    """What a format declares. Raises UsageError for an unknown one."""
    known = model_formats()
    if name not in known:
        raise UsageError(f"unknown model format '{name}'", hint=did_you_mean(name, known))
    return known[name]


def scored_by(name: str) -> str:
    """The runtime that scores a source of a format. Raises UsageError for an unknown format."""
    return model_format(name).scored_by


def worker_for(names: Sequence[str]) -> str:
    """The worker that can load all these formats. Raises PlanError where none can."""
    formats = [model_format(name) for name in names]
    needed = {each.worker for each in formats}
    for each in formats:
        if needed <= {each.worker, *each.covers}:
            return each.worker
    raise PlanError(
        f"no worker can load both {' and '.join(dict.fromkeys(names))}",
        hint=f"the format of one must name the other's worker under 'covers' of its {FILE}; "
        f"the workers are {', '.join(sorted(needed))}",
    )


def recorded() -> list[str]:
    """The distributions whose versions results record, each once."""
    of_formats = [name for each in model_formats().values() for name in each.records]
    of_runtimes = [each.library for each in runtimes().values()]
    return list(dict.fromkeys([*OF_EDGEOPT, *of_formats, *of_runtimes]))
