"""Libraries that a plan's passes need and that are not installed, told before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement

from edgeopt.environments import environments
from edgeopt.schema.job import Job

NOT_OFFERED = ("all", "dev", "test")  # extras of the others, and of who develops edgeopt


def missing_libraries(jobs: Iterable[Job]) -> Iterator[str]:
    """A sentence for each pass whose libraries are not installed, with the command that helps."""
    for job in jobs:
        if job.kind != "pass" or job.worker in environments():
            continue
        absent = [name for name, version in job.key.get("versions", {}).items() if not version]
        if absent:
            extras = list(dict.fromkeys(e for name in absent if (e := extra_with(name))))
            helps = f"edgeopt[{','.join(extras)}]" if extras else " ".join(absent)
            yield (
                f"{job.name} needs {', '.join(absent)}, which "
                f"{'is' if len(absent) == 1 else 'are'} not installed: candidates that go "
                f"through it will fail; pip install '{helps}'"
            )


def extra_with(library: str) -> str:
    """The extra of edgeopt that brings a library; empty where none does.

    Of several it is the one that brings fewest.
    """
    brought = {
        extra: [r.name for r in requirements() if r.marker and holds(r, extra)]
        for extra in listed_extras()
        if extra not in NOT_OFFERED
    }
    found = [extra for extra, names in brought.items() if library in names]
    return min(found, key=lambda extra: len(brought[extra]), default="")


def listed_extras() -> list[str]:
    """The extras of edgeopt as it is installed."""
    try:
        return metadata.metadata("edgeopt").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def requirements() -> list[Requirement]:
    """What edgeopt and its extras need, as it is installed."""
    try:
        return [Requirement(text) for text in metadata.requires("edgeopt") or ()]
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return []


def holds(requirement: Requirement, extra: str) -> bool:
    """Whether an extra needs it; the extra '' is edgeopt alone."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
