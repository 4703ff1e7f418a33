"""The group of commands, and what becomes of their errors: one place for exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn, TypeVar

import click

from edgeopt.cli import lazy
from edgeopt.cli.streams import OutputError, guard
from edgeopt.report import RESULTS, view_names

COMMANDS = (
    "optimize", "plan", "init", "benchmark", "compare", "baseline", "check", "inspect", "prunable",
    "report", "front", "passes", "devices", "job", "cache", "env", "doctor",
)  # fmt: skip
AS_JSON = "edgeopt.as_json"
Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(click.Group):
    """Commands by file name; a typing error gets the nearest name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"edgeopt.cli.{name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with the nearest name where there is no such command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command '{args[0]}'. {lazy.errors.did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error becomes one message and its exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            return _failed(error, bool(ctx.meta.get(AS_JSON)))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="edgeopt", message="edgeopt %(version)s")
def edgeopt() -> None:
    """Turn a trained model into the best measured artifact for each edge target."""


def json_option(what: str) -> Callable[[Command], Command]:
    """``--json``: errors become JSON too."""

    def noted(ctx: click.Context, _parameter: click.Parameter, value: bool) -> bool:
        ctx.meta[AS_JSON] = value
        return value

    return click.option("--json", "as_json", is_flag=True, callback=noted, help=what)


def devices_option(command: Command) -> Command:
    """``--devices FILE``: for this run, instead of the user's own."""

    def named(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            os.environ["EDGEOPT_DEVICES"] = os.path.abspath(value)

    said = "Devices file  [default: $EDGEOPT_DEVICES, or devices.yaml in the configuration folder]"
    option = click.option(
        "--devices", metavar="FILE", expose_value=False, callback=named, is_eager=True, help=said
    )
    return option(command)


class View(click.ParamType):  # type: ignore[type-arg]
    """A view by its name. Which there are is asked when one is named: help works without."""

    name = "view"

    def __init__(self, kind: str = RESULTS) -> None:
        self.kind = kind

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The names, where no plug-in stands in their way."""
        try:
            return f"[{'|'.join(view_names(self.kind))}]"
        except lazy.errors.EdgeoptError:
            return "VIEW"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if there is such a view. Raises EdgeoptError where a plug-in is in the way."""
        name: str = click.Choice(view_names(self.kind)).convert(value, param, ctx)
        return name


def print_json(value: Any) -> None:
    """A JSON document on standard output."""
    click.echo(json.dumps(value, indent=1))


def run(args: list[str]) -> int:
    """Run a command line; the exit code. Raises KeyboardInterrupt on Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    guard()
    try:
        code = edgeopt.main(args, prog_name="edgeopt", standalone_mode=False)
        sys.stdout.flush()
    except OutputError as error:
        if said := str(error):
            click.echo(f"edgeopt: error: {said}", err=True)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0


def _failed(error: Exception, as_json: bool) -> int:
    if os.environ.get("EDGEOPT_DEBUG"):
        traceback.print_exception(error)
    if not isinstance(error, lazy.errors.EdgeoptError) and lazy.errors.is_out_of_memory(error):
        error = lazy.errors.EdgeoptError("ran out of memory", hint=lazy.errors.MORE_MEMORY)
    elif isinstance(error, OSError):
        error = lazy.errors.of_file(error)
    if isinstance(error, lazy.errors.EdgeoptError):
        record, code = error.record(), error.exit_code
        text = str(error)
    else:
        what = lazy.errors.shortened(f"{type(error).__name__}: {error}", lazy.errors.LONGEST)
        hint = "This is a bug in edgeopt. EDGEOPT_DEBUG=1 shows where it happened."
        record, code = {"type": "InternalError", "what": what, "where": "", "hint": hint}, 1
        text = f"{what}\n  {hint}"
    click.echo(f"edgeopt: error: {lazy.base.printable(text)}", err=True)
    if as_json:
        with suppress(OutputError):
            print_json({"error": record, "exit_code": code})
    return code


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt
