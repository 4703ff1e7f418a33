"""Jobs as people read them: candidates in the notation of a result's tables, never ids."""

from __future__ import annotations

import re

from edgeopt.schema.job import NODE_BY_NODE

_SCORE = re.compile(r"score:([^:]+):(.+?):([^:(]*(?:\(.*)?)")  # split, target, chain
_RACE = re.compile(r"race:([^:]+):(.+)#(.+) against (.+)#(.+)")  # name, twice a target and chain
_OF = {  # what stands before the first colon of an id -> in words
    "data": "samples of {}",
    "tensors": "samples of {}, preprocessed",
    "check": "check of {}",
    "conversion": "number formats in {}",
    "metric": "metric {}",
    NODE_BY_NODE: "run node by node in float32: {}",
}
_RACES = {
    "short": "short race: {} against {}",
    "full": "full race: {} against {}",
    "final": "race afresh: {} against {}",
    "count": "instructions: {} against {}",
    "memory": "peak memory: {} and {}",
    "alone": "times of the reference: {}",
    "head-to-head": "head to head: {} against {}",
    "settings": "under other settings: {} against {}",
}


def chain_in_words(steps: str) -> str:
    """``a/b(c=d/e)`` as ``a > b(c=d/e)``."""
    return re.sub(r"/(?![^(]*\))", " > ", steps)


def job_in_words(id: str) -> str:
    """What a job does, in words: ``check of export-onnx > simplify-onnx``."""
    if id == "data:overlap":
        return "check for samples in two splits"
    if score := _SCORE.fullmatch(id):
        split, target, chain = score.groups()
        return f"score on {split}: {_placed(target, chain)}"
    if race := _RACE.fullmatch(id):
        name, *sides = race.groups()
        return _RACES.get(name, "race: {} against {}").format(_placed(*sides[:2]),
                                                              _placed(*sides[2:]))  # fmt: skip
    kind, colon, rest = id.partition(":")
    if not colon or kind not in _OF:
        return chain_in_words(id)
    return _OF[kind].format(_subject(kind, rest))


def place_in_words(where: str) -> str:
    """Where an error was raised: a job in words, and as it is what may be a path or a tensor."""
    plain = re.sub(r"\([^)]*\)", "", where)
    is_chain = plain != where and "." not in plain and not plain.startswith("/")
    return job_in_words(where) if is_chain or where.partition(":")[0] in _OF else where


def _subject(kind: str, rest: str) -> str:
    """What a job is about: a split, a chain, or a chain in a runtime."""
    if kind == "tensors":
        return rest.partition(":")[0]
    if kind == "conversion":
        runtime, _, chain = rest.partition(":")
        return f"{runtime}: {chain_in_words(chain)}"
    if kind == "metric":
        name, _, scored = rest.partition(":")
        return f"{name}, {job_in_words(scored)}"
    return chain_in_words(rest)


def _placed(target: str, chain: str) -> str:
    """``runtime: a > b``, and the device where it is another than this machine."""
    device, _, runtime = target.rpartition("/")
    there = "" if device == "local" else f" on {device}"
    return f"{runtime}: {chain_in_words(chain)}{there}"
