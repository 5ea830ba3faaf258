"""Commands of the gateway: serve, its audit log, its keys."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from secondlook.cli.terminal import console

app = typer.Typer()
keys_app = typer.Typer(help="Keys that clients of the gateway need.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

KeysFile = Annotated[Path, typer.Option(help="The file of the keys.")]
_POLICIES = ("always", "flagged", "never")


@app.command()
def serve(
    upstream: Annotated[str | None, typer.Option(help="Address of the model's server, with its /v1.")] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="always, flagged, never, or a diagnosis.json or gate.json; repeatable, one a model."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings; options go before it.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Second looks at most.")] = None,
    critic: Annotated[
        str | None,
        typer.Option(help="self, other, tool or fitted:FILE; a diagnosis brings its own, and no other is served."),
    ] = None,
    critic_model: Annotated[str | None, typer.Option(help="Examining model of critic other.")] = None,
    critic_command: Annotated[str | None, typer.Option(help="Command line of critic tool.")] = None,
    critic_file: Annotated[Path | None, typer.Option(help="File of critic fitted; also --critic fitted:FILE.")] = None,
    critic_seconds: Annotated[
        float | None, typer.Option(help="Seconds of critic tool for one answer; 60 by default.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="self or self-instruct.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Prompt file, e.g. own/binary-cot, or PATH.toml.")] = None,
    on_failure: Annotated[str | None, typer.Option(help="After a failed look: open, closed or escalate.")] = None,
    escalate_to: Annotated[str | None, typer.Option(help="File or webhook for escalated conversations.")] = None,
    keys_file: Annotated[Path | None, typer.Option(help="File of the keys that clients need.")] = None,
    upstream_key_file: Annotated[Path | None, typer.Option(help="File that holds the key for the upstream.")] = None,
    audit_file: Annotated[Path | None, typer.Option(help="SQLite file that gets a row for each request.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    drain: Annotated[int, typer.Option(help="Seconds for requests in flight once asked to stop.")] = 30,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log warnings only.")] = False,
) -> None:
    """Serve an OpenAI-compatible gateway that looks twice where that is known to help (docs/gateway.md)."""
    with _extra():
        from secondlook.gateway.serve import serve as run
        from secondlook.gateway.settings import load_settings

    words = [word for word in policy or () if word in _POLICIES]
    files = tuple(Path(word) for word in policy or () if word not in _POLICIES)
    if len(words) > 1 or (words and files):
        raise ValueError(f"policy is {', '.join(policy or ())}; give one of {', '.join(_POLICIES)}, or diagnosis files")
    kind, colon, fitted = (critic or "").partition(":")
    if colon:
        critic, critic_file = kind, Path(fitted)
    settings = load_settings(
        config,
        {
            "upstream": upstream,
            "policy": words[0] if words else "diagnosis" if files else None,
            "diagnoses": files or None,
            "rounds": rounds,
            "critic": critic,
            "critic_model": critic_model,
            "critic_command": tuple(shlex.split(critic_command)) if critic_command else None,
            "critic_file": critic_file,
            "critic_seconds": critic_seconds,
            "variant": variant,
            "prompt": prompt,
            "on_failure": on_failure,
            "escalate_to": escalate_to,
            "keys_file": keys_file,
            "upstream_key_file": upstream_key_file,
            "audit_file": audit_file,
        },
    )
    # A person reads lines; what collects a service's output reads JSON.
    tell = partial(console.print, highlight=False, markup=False, soft_wrap=True) if console.is_terminal else None
    run(settings, host, port, workers=workers, drain=drain, quiet=quiet, tell=tell)


@app.command()
def audit(
    file: Annotated[Path, typer.Argument(help="The audit log.")],
    since: Annotated[
        str | None, typer.Option(help="No earlier than: 2026-01-31, 2026-01-31T12:00, or 15m, 2h, 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="No later than, in the same forms.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE, e.g. status=failed; repeatable.")] = None,
    limit: Annotated[int, typer.Option(help="Rows at most; 0 for all.")] = 50,
    json_: Annotated[bool, typer.Option("--json", help="A JSON object a line, with all columns.")] = False,
) -> None:
    """Look into a gateway's audit log, the latest request first; it may be running."""
    from secondlook.gateway.audit import query

    pairs = [pair.partition("=") for pair in where or ()]
    if odd := [name for name, equals, _ in pairs if not (name and equals)]:
        raise ValueError(f"where {odd[0]!r} is not COLUMN=VALUE, e.g. status=failed")
    rows = query(
        file,
        since=_moment(since),
        until=_moment(until),
        where={name: value for name, _, value in pairs},
        limit=limit or None,
    )
    if json_:
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("time", no_wrap=True)
    table.add_column("model", no_wrap=True, max_width=16, overflow="ellipsis")
    for heading in ("status", "why"):
        table.add_column(heading, no_wrap=True)
    for heading in ("http", "looks", "calls", "tokens", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        tokens = [row[name] for name in ("tokens_in", "tokens_out") if row[name] is not None]
        table.add_row(
            f"{datetime.fromtimestamp(row['time']).astimezone():%m-%d %H:%M:%S}",
            row["model"] or "",
            row["status"],
            row["reason"] or "",
            str(row["outcome"]),
            str(row["rounds"]),
            str(row["calls"]),
            str(sum(tokens)) if tokens else "",
            f"{row['seconds']:.3f}",
        )
    console.print(table)
    console.print(f"{len(rows)} requests" + (", the latest" if limit and len(rows) == limit else ""), highlight=False)


@keys_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name of the key in the log.")], file: KeysFile = Path("keys.json")
) -> None:
    """Make a key and print it, once; the file holds its hash alone. A running gateway reads it when it starts again."""
    from secondlook.gateway.keys import Keys

    keys, key = (Keys.load(file) if file.exists() else Keys()).add(name)
    keys.save(file)
    sys.stdout.write(key + "\n")


@keys_app.command("list")
def list_(file: KeysFile = Path("keys.json")) -> None:
    """Names of all keys."""
    from secondlook.gateway.keys import Keys

    for entry in Keys.load(file).entries:
        sys.stdout.write(entry.name + "\n")


@keys_app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="Name of the key.")], file: KeysFile = Path("keys.json")) -> None:
    """Take a key back."""
    from secondlook.gateway.keys import Keys

    Keys.load(file).remove(name).save(file)


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ValueError(
            f"the gateway needs its extra ({error.name} is missing); install it: pip install 'secondlook[gateway]'"
        ) from None


def _moment(text: str | None) -> float | None:
    """Seconds since 1970 of a date, or of so long ago."""
    if text is None:
        return None
    units = {"m": 60, "h": 3600, "d": 86400}
    if text[-1:] in units and text[:-1].isdigit():
        return time.time() - int(text[:-1]) * units[text[-1]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise ValueError(f"{text!r} is no time; give 2026-01-31, 2026-01-31T12:00, or 15m, 2h, 7d ago") from None
