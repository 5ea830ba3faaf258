"""Commands of the controlled studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from secondlook.cli.terminal import bar, console

app = typer.Typer()
study_app = typer.Typer(help="Controlled studies on planted subjects: the claims S1 to S8.", no_args_is_help=True)
app.add_typer(study_app, name="study")


@study_app.command("run")
def run(
    names: Annotated[list[str], typer.Argument(help="S1 to S8, or all.")],
    profile: Annotated[str, typer.Option(help="demo or quick.")] = "quick",
    out: Annotated[Path, typer.Option(help="Gets a folder for each profile, and in it one for each study.")] = Path(
        "runs/studies"
    ),
) -> None:
    """Run studies. What has been asked is not asked again."""
    from functools import partial

    from secondlook.evidence.experiment import conduct, find
    from secondlook.evidence.report import show
    from secondlook.studies.experiments import EXPERIMENTS
    from secondlook.studies.profile import find as find_profile
    from secondlook.studies.study import Bench

    experiments = find(names, EXPERIMENTS, "study")
    size = find_profile(profile)
    for experiment in experiments:
        folder = out / size.name / experiment.id
        with bar() as progress:
            task = progress.add_task(experiment.id, total=None)
            bench = Bench(size, out / "asked", partial(_describe, progress, task))
            result = conduct(experiment, bench, folder, f"secondlook study run {experiment.id} --profile {size.name}")
        show(result, console)
        console.print(f"result.json, figure.png and figure.svg in {folder}\n", highlight=False, soft_wrap=True)


def _describe(progress: Progress, task: TaskID, what: str) -> None:
    progress.update(task, description=what)
