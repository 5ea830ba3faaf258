"""Commands of the controlled studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from secondlook.cli.terminal import bar, console, notice

if TYPE_CHECKING:
    from secondlook.studies.real import RealProfile

app = typer.Typer()
study_app = typer.Typer(
    help="Controlled studies of language models, planted and real: the claims S1 to S8, and R1 to R3.",
    no_args_is_help=True,
)
app.add_typer(study_app, name="study")


@study_app.command("run")
def run(
    names: Annotated[list[str], typer.Argument(help="S1 to S8, R1 to R3, or all.")],
    profile: Annotated[str, typer.Option(help="demo or quick, of planted subjects.")] = "quick",
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A real model instead: a name of secondlook models, or Inspect's spelling. Several, the smallest "
            "first, are compared by S5."
        ),
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of the model's server.")] = None,
    per_category: Annotated[int | None, typer.Option(min=2, help="Questions of each category of BBQ.")] = None,
    results: Annotated[Path, typer.Option(help="Folder of a real model's records, without any text.")] = Path(
        "results/real"
    ),
    out: Annotated[Path, typer.Option(help="Folder that holds one for each profile and study.")] = Path("runs/studies"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what a real model would be asked, and ask nobody.")
    ] = False,
) -> None:
    """Run studies. What has been asked is not asked again."""
    from functools import partial

    from secondlook.evidence.experiment import conduct, find
    from secondlook.evidence.report import show
    from secondlook.studies.bench import Bench
    from secondlook.studies.experiments import EXPERIMENTS, REAL
    from secondlook.studies.planted import PlantedBench
    from secondlook.studies.profile import find as find_profile
    from secondlook.studies.real import RealBench, profile_of

    if dry_run:
        if not model:
            raise ValueError("--dry-run counts what a real model would be asked: give --model")
        _count(names, [profile_of(name, base_url=base_url, per_category=per_category) for name in model], results, out)
        return
    # R1 to R3 need a real model: `all` of a planted subject passes over them, and whoever names one is told so.
    known = EXPERIMENTS if "all" in names and not model else EXPERIMENTS | REAL
    wanted = find(names, known, "study")
    for experiment in wanted:
        with bar() as progress, _going_on(experiment.id, len(wanted) > 1):
            task = progress.add_task(experiment.id, total=None)
            tick = partial(_describe, progress, task)
            if model:
                family = [profile_of(name, base_url=base_url, per_category=per_category) for name in model]
                folder = results / family[0].name / experiment.id
                options = " ".join(f"--model {name}" for name in model)
                bench: Bench = RealBench(family[0], results, out / "real", tick, family)
            else:
                size = find_profile(profile)
                folder, options = out / size.name / experiment.id, f"--profile {size.name}"
                bench = PlantedBench(size, out / "asked", tick)
            result = conduct(experiment, bench, folder, f"secondlook study run {experiment.id} {options}")
            progress.stop()
            show(result, console)
            console.print(f"result.json, figure.png and figure.svg in {folder}\n", highlight=False, soft_wrap=True)


def _count(names: Sequence[str], family: Sequence[RealProfile], results: Path, out: Path) -> None:
    """Print calls and tokens of every unit that is not in the store, an experiment at a time."""
    from secondlook.evaluation.dry_run import show_planned
    from secondlook.evidence.experiment import find
    from secondlook.studies.counting import CountingBench
    from secondlook.studies.experiments import EXPERIMENTS, REAL

    wanted = find(names, EXPERIMENTS | REAL, "study")
    for experiment in wanted:
        bench = CountingBench(family[0], results, out / "real", family=family)
        assert experiment.ask is not None
        with _going_on(experiment.id, len(wanted) > 1):
            experiment.ask(bench)
        console.print(f"{experiment.id}: {len(bench.counted)} units to ask, {bench.kept} in {results}", soft_wrap=True)
        if bench.counted:
            show_planned(bench.counted, console)


@contextmanager
def _going_on(study: str, others: bool) -> Iterator[None]:
    """Say why a study cannot be run, and go on where there are others."""
    try:
        yield
    except ValueError as error:
        if not others:
            raise
        notice(f"{study} is not run: {error}")


def _describe(progress: Progress, task: TaskID, what: str) -> None:
    progress.update(task, description=what)
