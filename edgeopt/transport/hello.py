"""What every kind of device makes of an agent's hello."""

from __future__ import annotations

from collections.abc import Iterable

from edgeopt.agent import protocol
from edgeopt.schema.errors import DeviceError, EdgeoptError
from edgeopt.schema.target import Target, TargetFacts
from edgeopt.transport.channel import Channel, Hello

HELLO_S = 120.0
MOMENTARY = {"isa", "features", "cores", "load", "temperature_c", "frequency_mhz"}


def checked(channel: Channel, timeout_s: float = HELLO_S) -> Hello:
    """An agent's hello. Raises DeviceError where it speaks another protocol."""
    try:
        hello, _ = channel.ask("hello", Hello, timeout_s=timeout_s)
    except DeviceError:
        raise
    except EdgeoptError as error:  # there is no model and no data yet that it could be about
        raise DeviceError(error.what, where=channel.name, hint=error.hint) from error
    if hello.protocol != protocol.VERSION:
        raise DeviceError(
            f"agent speaks protocol {hello.protocol}, not {protocol.VERSION}", where=channel.name
        )
    return hello


def facts_of(hello: Hello, target: Target, quantities: Iterable[str], hint: str) -> TargetFacts:
    """A target's facts. Raises DeviceError, with ``hint``, where it lacks the runtime."""
    if target.runtime not in hello.runtimes:
        why = hello.missing.get(target.runtime, "")
        there = ", ".join(hello.runtimes)
        said = [hint, *filter(None, [why]), *([f"installed: {there}"] if there else [])]
        raise DeviceError(
            f"runtime '{target.runtime}' is not installed", where=str(target), hint="; ".join(said)
        )
    return TargetFacts(
        target=str(target),
        isa=hello.machine.isa,
        features=tuple(hello.machine.features),
        runtime_version=hello.runtimes[target.runtime],
        cores=hello.machine.cores,
        quantities=tuple(sorted(quantities)),
        machine={
            **hello.machine.model_dump(exclude=MOMENTARY),
            "cores": hello.machine.cores,
            "python": hello.python,
        },
    )
