"""Commands out of functions: what a function's annotations say becomes options and arguments.

    def show(
        server: Annotated[str, Argument(metavar="SERVER", help="The server's name.")],
        limit: Annotated[int, Option(min=1, help="How many.")] = 100,
    ) -> None:
        "Show a server's policy."

A parameter without a default must be given, a `bool` is a flag, a list may be given several times,
a `Literal` is one of its words. The first sentence of the docstring is the line in the help. click
parses; typer would do this too, but takes as long to load as everything else of a command.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click
from click.exceptions import Exit as Exit

_WHOLE = 1_000
_PLAIN = {str: click.STRING, int: click.INT, float: click.FLOAT, bool: click.BOOL}
HELP_NAMES = {"help_option_names": ["-h", "--help"]}

F = TypeVar("F", bound=Callable[..., Any])


class Option:
    """A parameter that is given by name: `--limit` for `limit` where no name is said."""

    def __init__(
        self,
        *names: str,
        help: str = "",  # noqa: A002
        metavar: str | None = None,
        min: float | None = None,  # noqa: A002
        max: float | None = None,  # noqa: A002
    ) -> None:
        self.names, self.help, self.metavar, self.bounds = names, help, metavar, (min, max)

    def made(self, name: str, kind: Any, default: Any, *, required: bool) -> click.Parameter:
        """Return it for click."""
        inner, several = _inner(kind)
        flag = inner is bool
        return click.Option(
            [name, *(self.names or (f"--{name.replace('_', '-')}",))],
            type=None if flag else _type(inner, self.bounds),
            help=self.help,
            metavar=self.metavar,
            is_flag=flag,
            multiple=several,
            required=required,
            **_default(default, several=several, required=required),
        )


class Argument(Option):
    """A parameter that is given by its place."""

    def made(self, name: str, kind: Any, default: Any, *, required: bool) -> click.Parameter:
        """Return it for click."""
        inner, several = _inner(kind)
        shown = self.metavar or name.upper()
        words = f" One of {', '.join(get_args(inner))}." if get_origin(inner) is Literal else ""
        return click.Argument(
            [name],
            type=_type(inner, self.bounds),
            help=self.help + words,
            metavar=(shown if required else f"[{shown}]") + "..." * several,
            nargs=-1 if several else 1,
            required=required,
            **_default(default, several=several, required=required),
        )


class Group(click.Group):
    """Commands under one name, each made when it is asked for.

    `prepare` is called with each of them before it is used, and with its name.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._sources: dict[str, Callable[..., Any] | str | Group] = {}
        self.prepare: Callable[[click.Command, str], object] = lambda _command, _name: None
        # The command that takes a word which is no command's name, and what such words look like.
        self.otherwise: tuple[str, str] = ("", "(?!)")

    def verb(self, name: str = "") -> Callable[[F], F]:
        """Use as `@group.verb()` to make a command of a function, which stays what it is."""

        def add(function: F) -> F:
            self._sources[name or function.__name__.rstrip("_").replace("_", "-")] = function
            return function

        return add

    def later(self, name: str, place: str) -> None:
        """Add a function or a group at `module:name`, imported when it is asked for."""
        self._sources[name] = place

    def list_commands(self, _ctx: click.Context | None = None) -> list[str]:
        """Return the names in the order they were added in."""
        return list(self._sources)

    def get_command(self, _ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """Return a command, made the first time."""
        if cmd_name not in self.commands and cmd_name in self._sources:
            source = self._sources[cmd_name]
            if isinstance(source, str):
                module, _, name = source.partition(":")
                source = getattr(import_module(module), name)
            command = source if isinstance(source, Group) else command_of(source, cmd_name)
            command.name = cmd_name
            self.prepare(command, cmd_name)
            self.commands[cmd_name] = command
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the names it is like."""
        name, words = self.otherwise
        if args[0] not in self._sources and re.fullmatch(words, args[0]):
            return name, self.get_command(ctx, name), args
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            names = self.list_commands(ctx)
            raise click.NoSuchCommand(error.command_name, possibilities=names, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, a long sentence on several lines."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(_WHOLE)) for name, command in found if command]
            )


def group(help: str = "") -> Group:  # noqa: A002
    """Return a group without commands."""
    return Group(help=help or None, no_args_is_help=True, context_settings=HELP_NAMES)


def command_of(function: Callable[..., Any], name: str) -> click.Command:
    """Return a function as a command."""
    return click.Command(
        name,
        callback=_called(function),
        params=parameters_of(function),
        help=function.__doc__,
        context_settings=HELP_NAMES,
    )


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what click calls: several values come as a list, none where None is the default."""

    @wraps(function)
    def call(**given: Any) -> Any:
        return function(
            **{
                name: (list(one) or None if type(one) is tuple else one)
                for name, one in given.items()
            }
        )

    return call


def parameters_of(function: Callable[..., Any]) -> list[click.Parameter]:
    """Return a function's parameters for click, in their order."""
    hints = get_type_hints(function, include_extras=True)
    hints.pop("return", None)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    values = function.__defaults__ or ()
    defaults = dict(
        zip(names[code.co_argcount - len(values) : code.co_argcount], values, strict=True)
    )
    defaults |= function.__kwdefaults__ or {}
    made = []
    for name in names:
        kind, given = _given(hints[name])
        made.append(given.made(name, kind, defaults.get(name), required=name not in defaults))
    return made


def _given(hint: Any) -> tuple[Any, Option]:
    if get_origin(hint) is Annotated:
        kind, *notes = get_args(hint)
        return kind, next(note for note in notes if isinstance(note, Option))
    raise TypeError(f"{hint!r} says neither Option nor Argument")


def _default(value: Any, *, several: bool, required: bool) -> dict[str, Any]:
    return {} if required or several else {"default": value}


def _inner(kind: Any) -> tuple[Any, bool]:
    """Return what one value of it is, and whether several may be given."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is list:
        return get_args(kind)[0], True
    return kind, False


def _type(kind: Any, bounds: tuple[float | None, float | None]) -> click.ParamType[Any]:
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is Path:
        return click.Path(path_type=Path)
    if bounds != (None, None):
        low, high = bounds
        if kind is int:
            return click.IntRange(_whole(low), _whole(high))
        return click.FloatRange(low, high)
    return _PLAIN[kind]


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)
