"""Write the reference pages from the code, or check that they are what the code says (``--check``).

``commands.md`` is every command and option, ``settings.md`` the settings of gateway and laboratory, ``records.md`` the
columns of records, and ``json.md`` the fields of the JSON files.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic_core import PydanticUndefined
from typer.main import get_command

from secondlook.cli import app
from secondlook.diagnosis.form import Diagnosis
from secondlook.diagnosis.records import Record
from secondlook.gateway.settings import GatewaySettings
from secondlook.lab.run import Run, Shape
from secondlook.lab.sweep import Sweep
from secondlook.lab.tasks import Task

DOCS = Path(__file__).parent.parent / "docs"
MADE = "<!-- Made by tools/reference.py from the code; edit the code. -->"


def attributes(of: type) -> dict[str, str]:
    """The texts of a docstring's section ``Attributes``, by name."""
    lines = inspect.getdoc(of).partition("Attributes:\n")[2].splitlines()  # type: ignore[union-attr]
    found: dict[str, list[str]] = {}
    for line in lines:
        if line and not line.startswith(" "):
            break
        if head := re.match(r"    (\w+): (.*)", line):
            found[head[1]] = [head[2]]
        elif found and line.strip():
            found[next(reversed(found))].append(line.strip())
    return {name: _marked(" ".join(texts)) for name, texts in found.items()}


def _marked(text: str) -> str:
    """A docstring's text as a cell of a Markdown table."""
    text = re.sub(r":\w+:`[~.]*([^`]+)`", lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`").replace("|", "\\|")


def _kind(annotation: Any) -> str:
    """A type as people read it."""
    if get_origin(annotation) in (types.UnionType, Union):
        return " or ".join("none" if part is type(None) else _kind(part) for part in get_args(annotation))
    if "Literal" in str(annotation):
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if "Annotated" in str(annotation):
        return _kind(get_args(annotation)[0])
    if arguments := [part for part in get_args(annotation) if part is not ...]:
        return f"list of {_kind(arguments[0])}" if len(set(arguments)) == 1 else "table"
    return {"int": "whole number", "float": "number", "str": "text", "bool": "true or false", "Path": "path"}.get(
        annotation.__name__, annotation.__name__
    )


def _table(headings: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(headings)} |",
        "|---" * len(headings) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _fields(of: type, left_out: Sequence[str] = ()) -> Iterator[Sequence[str]]:
    """Name, type, default and meaning of a dataclass's fields."""
    told, kinds = attributes(of), get_type_hints(of)
    for each in dataclasses.fields(of):
        if each.name not in left_out:
            default = "" if each.default in (dataclasses.MISSING, None) else f"`{each.default}`"
            yield f"`{each.name}`", _kind(kinds[each.name]), default, told.get(each.name, "")


def commands() -> Iterator[str]:
    """Every command, with its options by panel; what all commands of a group share stands once."""
    yield from (
        "# Commands",
        "",
        MADE,
        "",
        "Exit code 0 means done, 2 refused with one line that says why, 130 stopped.",
    )
    yield "Other codes stand with their command."
    yield ""
    root = get_command(app)
    for name, command in sorted(root.commands.items()):  # type: ignore[attr-defined]
        yield from _command(f"secondlook {name}", command)


def _command(name: str, command: Any, shared: Sequence[Sequence[str]] = ()) -> Iterator[str]:
    yield from (f"## {name}", "", *_said(command.help or ""), "")
    parts = getattr(command, "commands", {})
    options = {part: dict(_options(each)) for part, each in parts.items()}
    common = [
        row
        for row in next(iter(options.values()), {})
        if len(parts) > 1 and all(row in one for one in options.values())
    ]
    mine = {row: panel for row, panel in _options(command) if row not in shared}
    arguments = " ".join(_argument(part) for part in command.params if part.param_type_name == "argument")
    if not parts:
        yield from ("```sh", f"{name} {arguments} [OPTIONS]".replace("  ", " "), "```", "")
    elif common:
        yield from (f"All commands of `{name}` share these options:", "")
        mine |= {row: panel for row, panel in next(iter(options.values())).items() if row in common}
    for panel in dict.fromkeys(mine.values()):
        heading = panel or "option"
        yield from _table((heading, "default", "meaning"), (row for row, of in mine.items() if of == panel))
    for part, each in parts.items():
        yield from _command(f"{name} {part}", each, common)


def _argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _said(text: str) -> list[str]:
    """A command's help as Markdown, without the marks that keep its lines."""
    return inspect.cleandoc(text).replace("\b", "").splitlines()


def _options(command: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """A row and its panel for each option and argument of a command."""
    for each in command.params:
        if each.name in ("help", "install_completion", "show_completion"):
            continue
        if each.param_type_name == "argument":
            name, panel = f"`{_argument(each)}`", "argument"
        else:
            name = ", ".join(f"`{flag}`" for flag in (*each.opts, *each.secondary_opts))
            panel = getattr(each, "rich_help_panel", None) or ""
        default = each.default
        shown = "required" if each.required else "" if default in (None, [], ()) else _value(default)
        yield (name, shown, _marked(each.help or "")), panel


def _value(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else ""
    values = default if isinstance(default, list | tuple) else (default,)
    return ", ".join(f"`{getattr(value, 'value', value)}`" for value in values)


def settings() -> Iterator[str]:
    """Settings of the gateway, and fields of the laboratory's runs and sweeps."""
    yield from ("# Settings", "", MADE, "", "## Gateway", "")
    yield from ("Keys of the TOML file of `secondlook serve --config`; options go before it.", "")
    told = attributes(GatewaySettings)
    rows = (
        (
            f"`{name}`",
            _kind(field.annotation),
            "required"
            if field.default is PydanticUndefined
            else ""
            if field.default in (None, ())
            else f"`{field.default}`",
            told[name],
        )
        for name, field in GatewaySettings.model_fields.items()
    )
    yield from _table(("setting", "type", "default", "meaning"), rows)
    yield from ("## Laboratory runs", "")
    yield from ("Fields of `--set NAME=VALUE`, and of `[run]`, `[[variants]]` and `[grid]` in a sweep's file.", "")
    for prefix, of, left_out in (("", Run, ("task", "shape")), ("task.", Task, ()), ("shape.", Shape, ())):
        rows = ((f"`{prefix}{row[0][1:]}", *row[1:]) for row in _fields(of, left_out))
        yield from _table(("field", "type", "default", "meaning"), rows)
    yield from ("## Sweep files", "", "Tables of a TOML file for `secondlook lab sweep` and `lab judge`.", "")
    told = attributes(Sweep)
    names = {"profile": "Base run: `demo`, `quick`, `paper` or `released`; `quick` by default.", "run": told["base"]}
    names |= {name: told[name] for name in ("variants", "grid", "seeds", "rates", "resources")}
    yield from _table(("key", "meaning"), ((f"`{name}`", text) for name, text in names.items()))


def records() -> Iterator[str]:
    """Columns of records."""
    yield from ("# Records", "", MADE, "")
    yield from ("`records.csv` has one row for each sample and round, the same wherever the rounds were run.", "")
    told, kinds = attributes(Record), get_type_hints(Record)
    rows = ((f"`{each.name}`", _kind(kinds[each.name]), told[each.name]) for each in dataclasses.fields(Record))
    yield from _table(("column", "type", "meaning"), rows)


def json_files() -> Iterator[str]:
    """Fields of JSON files, a section for each form within."""
    yield from ("# JSON", "", MADE, "", "## diagnosis.json", "")
    yield from ("Written by `secondlook diagnose --out` and by every run. Numbers that do not exist are `null`.", "")
    seen: dict[str, type] = {}
    yield from _form(Diagnosis, seen)
    done: set[str] = set()
    while waiting := [name for name in seen if name not in done]:
        for name in waiting:
            done.add(name)
            yield from (f"### {name}", "", _marked(inspect.getdoc(seen[name]).partition("\n")[0]), "")  # type: ignore[union-attr]
            yield from _form(seen[name], seen)


def _form(of: type, seen: dict[str, type]) -> list[str]:
    told, kinds = attributes(of), get_type_hints(of)
    rows = []
    for each in dataclasses.fields(of):
        meaning = told.get(each.name, "").replace("`None`", "`null`")
        rows.append((f"`{each.name}`", _linked(kinds[each.name], seen), meaning))
    return _table(("field", "type", "meaning"), iter(rows))


def _linked(annotation: Any, seen: dict[str, type]) -> str:
    """A type, with a link to its section where it is a form."""
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        seen.setdefault(annotation.__name__, annotation)
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if get_origin(annotation) in (types.UnionType, Union):
        return " or ".join("null" if part is type(None) else _linked(part, seen) for part in get_args(annotation))
    arguments = [part for part in get_args(annotation) if part is not ...]
    if arguments and "Literal" not in str(annotation):
        what = "map to" if issubclass(annotation.__origin__, Mapping) else "list of"
        return f"{what} {_linked(arguments[-1], seen)}"
    return _kind(annotation)


PAGES = {"commands": commands, "settings": settings, "records": records, "json": json_files}


def main() -> int:
    """Write the pages, or compare them; the first that differs is told."""
    for name, page in PAGES.items():
        file, text = DOCS / f"{name}.md", "\n".join(page()).rstrip() + "\n"
        if "--check" not in sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_text("utf-8") != text:
            sys.stderr.write(f"docs/{file.name} is not what the code says; run: python tools/reference.py\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
