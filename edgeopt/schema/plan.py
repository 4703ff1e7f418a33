"""The Plan: a DAG of Jobs and the Candidates whose chains run through it."""

from __future__ import annotations

from edgeopt.schema.artifact import Description
from edgeopt.schema.base import Noun
from edgeopt.schema.job import Job


class Candidate(Noun):
    """One chain of passes that ends in an artifact for one target.

    ``chain`` holds a label a pass (``quantize-int8(scheme=u8s8)``), ``job`` the id of the
    job that makes the leaf, ``check`` the id of its last check. The reference is no
    choice (``eligible``) unless one of the recipe's own chains ends in it.
    """

    id: str
    target: str
    group: str = ""  # the target as it was asked for, such as local/*
    chain: tuple[str, ...]
    steps: tuple[str, ...]  # ids of the pass jobs, first to last
    stages: tuple[str, ...] = ()  # labels of those passes in it that change the network itself
    cut: bool = False  # a stage that the recipe asks for is left out, to measure what it does
    job: str
    check: str = ""
    description: Description
    reference: bool = False
    eligible: bool = True

    @property
    def rest(self) -> tuple[str, ...]:
        """The chain without its stages."""
        return tuple(label for label in self.chain if label not in self.stages)

    @property
    def label(self) -> str:
        """The chain as people read it."""
        return " > ".join(self.chain) or "source"


class Plan(Noun):
    """Jobs in an order in which they can run, and the candidates per target.

    ``failed`` tells of each target that no chain ends for, where others have one.
    """

    jobs: tuple[Job, ...]
    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()
    failed: dict[str, str] = {}

    def job(self, id: str) -> Job:
        """The job of that id. Raises KeyError."""
        for job in self.jobs:
            if job.id == id:
                return job
        raise KeyError(id)
