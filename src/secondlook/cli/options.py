"""Commands made of option groups: a frozen dataclass is a panel of options, each field an option with its help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer


def typed(context: typer.Context) -> set[str]:
    """Names of the parameters that stand on the command line, whatever their values."""
    # By name: which class the sources are of changes with typer's version.
    return {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}


def refuse_unused(context: typer.Context, unused: Collection[str], model: object) -> None:
    """Refuse options that have no effect with ``--model``, or without it.

    Raises:
        ValueError: One of them stands on the command line.
    """
    if given := typed(context) & {*unused}:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given))
        raise ValueError(f"with --model, {words} has no effect: leave it out" if model else f"{words} needs --model")


@dataclass(frozen=True)
class Group:
    """Options of one panel.

    Attributes:
        panel: Its heading.
        made_of: A frozen dataclass; its fields carry their help in their metadata, and further spellings of the option
            under ``flags``.
        without: Fields that are no options of this command.
        spelt: Spelling and help of fields for which this command has its own.
    """

    panel: str
    made_of: type[Any]
    without: tuple[str, ...] = ()
    spelt: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def command(name: str, about: str, groups: Mapping[str, Group], run: Callable[..., None]) -> Callable[..., None]:
    """A function that typer takes for a command.

    Args:
        name: Of the command.
        about: Its help.
        groups: Groups of options, by the name under which `run` gets what was given.
        run: Called with a dataclass for each group.
    """

    def call(**given: Any) -> None:
        made = {}
        for key, group in groups.items():
            mine = {each.name: _value(each, group, given[each.name]) for each in _fields(group)}
            made[key] = group.made_of(**mine)
        run(**made)

    parameters = [_parameter(each, group) for group in groups.values() for each in _fields(group)]
    # typer takes the parameters from the signature, but their types from the annotations.
    call.__name__, call.__doc__ = name, about
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def pairs(given: list[str] | tuple[str, ...] | None, what: str, example: str) -> dict[str, str]:
    """Options of the form name=value.

    Raises:
        ValueError: One is of another form.
    """
    split = [pair.partition("=") for pair in given or ()]
    for (name, equals, _), pair in zip(split, given or (), strict=True):
        if not (name and equals):
            raise ValueError(f"{what} {pair!r} is not name=value, e.g. {example}")
    return {name: value for name, _, value in split}


def _fields(group: Group) -> list[Field[Any]]:
    return [each for each in fields(group.made_of) if each.name not in group.without]


def _parameter(each: Field[Any], group: Group) -> inspect.Parameter:
    kind = get_type_hints(group.made_of)[each.name]
    flags, help_ = each.metadata["flags"], each.metadata["help"]
    if each.name in group.spelt:
        flag, help_ = group.spelt[each.name]
        flags = (flag,)
    elif kind is bool:  # without a spelling of its own it would get a --no-… beside it
        flags = flags or (f"--{each.name.replace('_', '-')}",)
    shown = typer.Option(*flags, help=help_, rich_help_panel=group.panel)
    default: Any = inspect.Parameter.empty if each.default is MISSING else each.default
    if _repeated(kind):  # only lists are options that repeat: a tuple takes its values at one go
        kind = list[str] | None if default is None else list[str]
        default = list(default) if default else default
    return inspect.Parameter(
        each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown]
    )


def _value(each: Field[Any], group: Group, given: Any) -> Any:
    kinds = _kinds(get_type_hints(group.made_of)[each.name])
    if given is None or not any(map(_repeated, kinds)):
        return given
    if any(get_origin(kind) is not tuple for kind in kinds if _repeated(kind)):
        # The help of such an option begins with an example, which the error shows.
        return pairs(given, each.name, each.metadata["help"].split()[0]) or None
    return tuple(given) or None


def _kinds(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (UnionType, Union) else (kind,)


def _repeated(kind: Any) -> bool:
    """Whether an option is given once for each of its values: a tuple, or a mapping of name=value."""
    return any(get_origin(one) is tuple or get_origin(one) is Mapping for one in _kinds(kind))
