"""Commands that make or fetch what language models are asked: benchmark data, planted subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from secondlook.cli.terminal import console

app = typer.Typer()
data_app = typer.Typer(help="Benchmark data.", no_args_is_help=True)
subject_app = typer.Typer(help="The embedded planted subject.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(subject_app, name="subject")


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="bbq")],
    folder: Annotated[Path | None, typer.Option(help="Folder of the files.")] = None,
) -> None:
    """Download a benchmark's official files, verified and resumable."""
    from rich.progress import Progress

    from secondlook.benchmarks.bbq.download import FILES, download
    from secondlook.benchmarks.bbq.load import data_folder

    if name != "bbq":
        raise ValueError(f"unknown data {name!r}; known: bbq")
    target = folder or data_folder()
    with Progress(console=console) as progress:
        bars = {file: progress.add_task(file, total=None) for file in FILES}
        download(
            target,
            progress=lambda file, done, total: progress.update(bars[file], completed=done, total=total),
        )
    console.print(f"{len(FILES)} files in {target}")


@data_app.command("make")
def data_make(
    name: Annotated[str, typer.Argument(help="word-problems, planted (BBQ's format) or refusal (JailbreakBench's).")],
    folder: Annotated[Path, typer.Argument(help="Folder of the files.")],
    per_category: Annotated[
        int | None,
        typer.Option(min=1, help="Rows of each category; 100 of planted, 80 of word-problems, 10 of refusal."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
) -> None:
    """Write questions of our own making: word problems, the planted language, or its requests and triggers."""
    from secondlook.benchmarks.own.word_problems import write_questions
    from secondlook.benchmarks.planted.items import write_files
    from secondlook.benchmarks.refusal.invented import write_refusal_files

    makers: dict[str, tuple[Callable[[Path, int, int], Sequence[Path]], int]] = {
        "word-problems": (write_questions, 80),
        "planted": (write_files, 100),
        "refusal": (write_refusal_files, 10),
    }
    if name not in makers:
        raise ValueError(f"unknown data {name!r}; known: {', '.join(makers)}")
    make, usual = makers[name]
    made = make(folder, usual if per_category is None else per_category, seed)
    names = ", ".join(path.name for path in made)
    console.print(f"{len(made)} {'file' if len(made) == 1 else 'files'} in {folder}: {names}", soft_wrap=True)


@subject_app.command("train")
def subject_train(
    folder: Annotated[Path, typer.Argument(help="Folder of the checkpoint.")],
    subject: Annotated[str, typer.Option(help="planted, planted-0.1m, planted-0.5m or planted-2m.")] = "planted",
    seed: Annotated[int, typer.Option(help="Seed of weights and data.")] = 0,
    lessons: Annotated[int | None, typer.Option(help="Steps on single questions, a multiple of 8.")] = None,
    practice: Annotated[
        int | None, typer.Option(help="Steps on conversations with a perfect critic, a multiple of 8.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps on conversations with the traits.")] = None,
) -> None:
    """Train a planted subject from nothing, measure its traits, and write its model card."""
    from secondlook.subject.card import finish
    from secondlook.subject.recipes import RECIPES
    from secondlook.subject.train import train

    if subject not in RECIPES:
        raise ValueError(f"unknown subject {subject!r}; known: {', '.join(RECIPES)}")
    asked: dict[str, Any] = {"lessons": lessons, "practice": practice, "steps": steps}
    config = replace(RECIPES[subject], seed=seed, **{name: value for name, value in asked.items() if value is not None})
    train(config, folder)
    finish(folder, config)
    console.print(f"checkpoint, traits.json and model card in {folder}")
