"""YAML 1.2 to plain values and lines, within bounds: what a file may hold is known beforehand.

Of YAML's own types there are text, numbers, true and false, null, lists and maps, with anchors,
aliases and merge keys (``<<``). Nothing else is made of a file, whatever its tags ask for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

DEEPEST, MOST_VALUES = 50, 20_000  # levels, and values with each alias written out
LONGEST_KEY, LARGEST = 500, 2**63  # characters; integers are below, and above its negative
MERGE = "<<"
CORE = "tag:yaml.org,2002:"
NULL = re.compile(r"(~|null|Null|NULL|)")
BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)")
INT = re.compile(r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
FLOAT = re.compile(
    r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


class FaultError(Exception):
    """What a file holds that cannot be used, and its line, from 1; 0 where it is not known."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.what, self.line = what, line


@dataclass
class Node:
    """A value as it stands in the file. ``items`` are those of a list, or keys and values."""

    line: int
    kind: str  # scalar, list or map
    tag: str = ""
    value: str = ""
    plain: bool = False  # of a scalar: written without quotes
    items: list[Node] = field(default_factory=list)


def values_and_lines(text: str) -> tuple[Any, dict[str, int]]:
    """Plain values, and the line of each key (``a.b``) and item (``a.0``). Raises FaultError."""
    values = _Values()
    return values.plain(_tree(text), "", 1), values.lines


def _tree(text: str) -> Node:
    """The nodes of the only document; aliases lead to the nodes that they name."""
    root = Node(1, "list")
    open_, starts = [root], set[int]()
    anchors: dict[str, Node] = {}
    for event in _events(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            if event.anchor not in anchors:
                raise FaultError(f"undefined alias '{_cut(event.anchor)}'", line)
            if id(anchors[event.anchor]) in starts:
                raise FaultError(f"the alias '{_cut(event.anchor)}' is inside what it names", line)
            open_[-1].items.append(_seen_at(anchors[event.anchor], line))
            continue
        if isinstance(event, ScalarEvent):
            tag = event.tag or ("" if event.implicit[0] else "!")
            node = Node(line, "scalar", tag, event.value, plain=event.style in (None, ""))
        elif isinstance(event, CollectionStartEvent):
            kind = "map" if isinstance(event, MappingStartEvent) else "list"
            node = Node(line, kind, event.tag or "")
        else:
            if isinstance(event, MappingEndEvent | SequenceEndEvent):
                starts.discard(id(open_.pop()))
            continue
        open_[-1].items.append(node)
        if event.anchor:
            anchors[event.anchor] = node
        if node.kind != "scalar":
            open_.append(node)
            starts.add(id(node))
        if len(open_) > DEEPEST:
            raise FaultError(f"nested deeper than {DEEPEST} levels", line)
    if len(root.items) > 1:
        raise FaultError("another document starts here", root.items[1].line)
    return root.items[0] if root.items else Node(1, "scalar", plain=True)


def _seen_at(node: Node, line: int) -> Node:
    """A node where an alias stands for it; what is in it keeps its lines."""
    return Node(line, node.kind, node.tag, node.value, node.plain, node.items)


def _events(text: str) -> Iterator[Any]:
    """What the parser finds, one after the other, as far as it is asked for."""
    line = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise FaultError(
            _first_line(error.problem or error), mark.line + 1 if mark else 0
        ) from None
    except YAMLError as error:
        raise FaultError(_first_line(error)) from None
    except (ValueError, OverflowError, RecursionError, AttributeError, TypeError) as error:
        raise FaultError(f"this is no YAML: {_first_line(error)}", line) from None


class _Values:
    """Makes plain values of nodes, and counts them."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self._count = 0

    def plain(self, node: Node, place: str, depth: int) -> Any:
        """The value of a node at a place."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise FaultError(f"more than {MOST_VALUES:,} values, aliases included", node.line)
        if depth > DEEPEST:
            raise FaultError(f"nested deeper than {DEEPEST} levels", node.line)
        if node.kind == "scalar":
            return _scalar(node)
        _check_tag(node, {"map": "map", "list": "seq"}[node.kind])
        if node.kind == "map":
            return self._map(node, place, depth)
        for index, item in enumerate(node.items):
            self.lines[f"{place}.{index}"] = item.line
        return [
            self.plain(item, f"{place}.{index}", depth + 1) for index, item in enumerate(node.items)
        ]

    def _map(self, node: Node, place: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: list[Node] = []
        for key, value in zip(node.items[::2], node.items[1::2], strict=True):
            if _is_merge(key):
                merged += _maps_to_merge(value)
                continue
            name = _key(key)
            if name in made:
                raise FaultError(f"duplicate key '{name}'", key.line)
            at = f"{place}.{name}" if place else name
            self.lines[at] = key.line
            made[name] = self.plain(value, at, depth + 1)
        for other in merged:  # what stands in the map itself comes first, then the first of these
            lines = dict(self.lines)
            for name, value in self.plain(other, place, depth + 1).items():
                made.setdefault(name, value)
            self.lines |= lines
        return made


def _is_merge(key: Node) -> bool:
    return key.kind == "scalar" and key.plain and key.value == MERGE and not key.tag


def _maps_to_merge(value: Node) -> list[Node]:
    maps = value.items if value.kind == "list" else [value]
    for each in maps:
        if each.kind != "map":
            raise FaultError(f"'{MERGE}' merges a map or a list of maps", each.line)
    return maps


def _key(node: Node) -> str:
    if node.kind != "scalar":
        raise FaultError(f"keys are words, not a {node.kind}", node.line)
    name = _scalar(node)
    if not isinstance(name, str):
        raise FaultError(f"keys are words, not {_cut(node.value)!r}", node.line)
    if len(name) > LONGEST_KEY:
        raise FaultError(f"a key of more than {LONGEST_KEY} characters", node.line)
    return name


def _scalar(node: Node) -> Any:
    """Text, a number, true or false, or nothing."""
    if not node.tag and node.plain:
        for form, made in FORMS.values():
            if form.fullmatch(node.value):
                return made(node)
    elif node.tag not in ("", "!", f"{CORE}str"):
        name = node.tag.removeprefix(CORE)
        if name not in FORMS or name == node.tag:
            raise _refused(node)
        form, made = FORMS[name]
        if not form.fullmatch(node.value):
            raise FaultError(f"'{_cut(node.value)}' is no {name}", node.line)
        return made(node)
    try:
        node.value.encode()
    except UnicodeEncodeError:
        raise FaultError("text with half of a surrogate pair", node.line) from None
    return node.value


def _check_tag(node: Node, own: str) -> None:
    """Refuse a tag that is not the value's own."""
    if node.tag not in ("", "!", f"{CORE}{own}"):
        raise _refused(node)


def _refused(node: Node) -> FaultError:
    shown = node.tag.replace(CORE, "!!")
    return FaultError(f"the tag '{_cut(shown)}' cannot be used here", node.line)


def _integer(node: Node) -> int:
    digits = node.value.replace("_", "").lower()
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits.lstrip("+-")[:2], 10)
    if len(digits) <= 70 and -LARGEST < (number := int(digits, base)) < LARGEST:
        return number
    raise FaultError(f"an integer of more than 64 bits: {_cut(node.value)}", node.line)


def _number(node: Node) -> float:
    text = node.value.replace("_", "")
    number = float(text.replace(".", "", 1) if text.lstrip("+-.")[:1].isalpha() else text)
    if not math.isfinite(number):
        raise FaultError(f"a number that is not finite: {_cut(node.value)}", node.line)
    return number


FORMS: dict[str, tuple[re.Pattern[str], Callable[[Node], Any]]] = {
    "null": (NULL, lambda node: None),
    "bool": (BOOL, lambda node: node.value.lower() == "true"),
    "int": (INT, _integer),
    "float": (FLOAT, _number),
}


def _first_line(error: object) -> str:
    return _cut((str(error).splitlines() or [""])[0], 200)


def _cut(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
