"""Commands of the controlled studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from secondlook.cli.terminal import bar, console

app = typer.Typer()
study_app = typer.Typer(
    help="Controlled studies of language models, planted and real: the claims S1 to S8, and R1.", no_args_is_help=True
)
app.add_typer(study_app, name="study")


@study_app.command("run")
def run(
    names: Annotated[list[str], typer.Argument(help="S1 to S8, R1, or all.")],
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

    known = EXPERIMENTS if "all" in names and not model else EXPERIMENTS | REAL
    for experiment in find(names, known, "study"):
        with bar() as progress:
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
        show(result, console)
        console.print(f"result.json, figure.png and figure.svg in {folder}\n", highlight=False, soft_wrap=True)


def _describe(progress: Progress, task: TaskID, what: str) -> None:
    progress.update(task, description=what)
