"""What has been found out before a plan is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import UnreachableError
from edgeopt.schema.job import Arrays
from edgeopt.schema.target import TargetGroup


class UserCode(NamedTuple):
    """``FILE.py:NAME`` that a pass names: digests by file, its folder, its form there."""

    digests: Mapping[str, str]
    root: str
    function: str


@dataclass(frozen=True)
class Known:
    """What has been found out before a plan is made.

    ``source`` is the source's description and ``source_job`` the job that opened it;
    ``raw`` the arrays of each split and ``raw_jobs`` the jobs that loaded them; ``version``
    gives the version of an installed library, ``code`` what a pass names of the user's;
    ``host_isa`` is where passes run. Targets that could not be reached are in no group.
    ``failed`` tells of those that no chain ends for, once planned. ``notes`` tell how the data was
    read, ``unshared`` which splits were found to share no sample.
    """

    source: Description
    source_job: str
    raw: Mapping[str, Arrays]
    raw_jobs: Mapping[str, str]
    groups: tuple[TargetGroup, ...]
    host_isa: str
    version: Callable[[str], str]
    unreachable: Mapping[str, UnreachableError] = field(default_factory=dict)  # by target
    failed: Mapping[str, str] = field(default_factory=dict)  # by target
    labelled: Mapping[str, str] = field(default_factory=dict)  # output -> array of its labels
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # output -> names
    code: Callable[[str], UserCode] = lambda named: UserCode({}, "", named)
    unshared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # split -> others
    notes: tuple[str, ...] = ()

    @property
    def one_size(self) -> bool:
        """Whether the samples of all splits have the same sizes."""
        sizes = [
            {name: ref.shape[1:] for name, ref in raw.arrays.items()} for raw in self.raw.values()
        ]
        return all(each == sizes[0] for each in sizes)

    def planned(self, failed: Mapping[str, str]) -> Known:
        """The same without the targets that a plan has no chain for."""
        kept = tuple(group for group in self.groups if str(group) not in failed)
        return replace(self, groups=kept, failed={**self.failed, **failed})
