"""What a pass says of itself, asked at this one place: another's code may raise or say anything.

Each function calls the method of its name and gives its answer, if it is of the right kind. Raises
PluginError, which names the method and the pass's class, else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from edgeopt.schema import plugged
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import PluginError
from edgeopt.schema.target import TargetFacts
from edgeopt.step import Open, Pass, Promise, place_of

T = TypeVar("T")
Kind = type[Pass]


def read(kind: Kind, fields: Mapping[str, Any]) -> Pass:
    """The pass with these fields. Raises ValidationError for fields that it does not take."""
    text = json.dumps(fields)
    with plugged.calling(f"reading the fields of {_named(kind)}"):
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            wrong = error
    raise wrong


def open_of(kind: Kind, fields: Mapping[str, Any]) -> Open | None:
    """What a recipe's fields leave open, if anything."""
    said = _said(kind, "open_of()", lambda: kind.open_of(fields))
    return None if said is None else _one(said, Open, kind, "open_of()")


def requires(step: Pass, d: Description) -> None:
    """Refuse an input that the pass cannot take. Raises PassError with its reason."""
    said = _said(type(step), "requires()", lambda: step.requires(d))
    if said is not None:
        raise PluginError(
            f"requires() of {_named(type(step))} gives a {type(said).__name__}, not None",
            hint="it refuses an input by raising PassError",
        )


def effect(step: Pass, d: Description) -> Description:
    """The predicted description of the output, in the format that the pass gives."""
    said = _said(type(step), "effect()", lambda: step.effect(d))
    predicted = _one(said, Description, type(step), "effect()")
    if predicted.format != step.gives:
        raise PluginError(
            f"effect() of {_named(type(step))} predicts a model in {predicted.format}, but the "
            f"pass gives {step.gives}"
        )
    return predicted


def variants(step: Pass, d: Description, t: TargetFacts) -> tuple[Pass, ...]:
    """The concrete passes that it stands for."""
    said = _said(type(step), "variants()", lambda: step.variants(d, t))
    return _several(said, type(step), type(step), "variants()")


def fallbacks(step: Pass) -> tuple[Pass, ...]:
    """What to try beside it where its artifact answers otherwise on another CPU."""
    said = _said(type(step), "fallbacks()", step.fallbacks)
    return _several(said, type(step), type(step), "fallbacks()")


def promised(step: Pass, d: Description) -> Promise:
    """What it promises for an input so described."""
    said = _said(type(step), "promised()", lambda: step.promised(d))
    return _one(said, Promise, type(step), "promised()")


def sees(step: Pass) -> tuple[str, ...]:
    """The splits that it needs, of those that its class declares."""
    said = _several(_said(type(step), "sees", lambda: step.sees), str, type(step), "sees")
    if undeclared := [split for split in said if split not in step.splits]:
        raise PluginError(
            f"sees of {_named(type(step))} names {undeclared[0]!r}, which its splits leave out"
        )
    return said


def needs(step: Pass) -> dict[str, int]:
    """What a runtime must read for its output."""
    said = _said(type(step), "needs", lambda: dict(step.needs))
    return _one(said, dict, type(step), "needs")


def code(step: Pass) -> tuple[str, ...]:
    """The user's code that it runs."""
    return _several(_said(type(step), "code", lambda: step.code), str, type(step), "code")


def label(step: Pass) -> str:
    """Its name and the fields that are not at their default."""
    return _one(_said(type(step), "label", lambda: step.label), str, type(step), "label")


def uses(step: Pass) -> tuple[str, ...]:
    """The distributions whose versions its key holds: those it names, and what brings it."""
    named = _said(type(step), "libraries", lambda: step.libraries)
    own = _several(named, str, type(step), "libraries")
    return tuple(dict.fromkeys((*own, *_brought_by(type(step)))))


@cache
def _brought_by(kind: Kind) -> tuple[str, ...]:
    top = kind.__module__.partition(".")[0]
    points = plugged.points("edgeopt.passes").values()
    named = [each for each in points if each.module.partition(".")[0] == top]
    return tuple(filter(None, map(plugged.brought_by, named)))


def _said(kind: Kind, what: str, ask: Callable[[], Any]) -> Any:
    with plugged.calling(f"{what} of {_named(kind)}"):
        return ask()


def _one(said: Any, wanted: type[T], kind: Kind, what: str) -> T:
    if not isinstance(said, wanted):
        raise PluginError(
            f"{what} of {_named(kind)} gives a {type(said).__name__}, not a {wanted.__name__}"
        )
    return said


def _several(said: Any, wanted: type[T], kind: Kind, what: str) -> tuple[T, ...]:
    """A tuple, or a list for one. An answer that holds anything else is refused."""
    strange = [each for each in said if not isinstance(each, wanted)] if _listed(said) else [said]
    if strange:
        held = f"a {type(said).__name__}" + (f" with {strange[0]!r:.80}" if _listed(said) else "")
        raise PluginError(
            f"{what} of {_named(kind)} gives {held}, not a tuple of {wanted.__name__}"
        )
    return tuple(said)


def _listed(said: Any) -> bool:
    return isinstance(said, tuple | list)


def _named(kind: Kind) -> str:
    return f"the pass {kind.name} ({place_of(kind)})"
