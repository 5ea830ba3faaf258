"""Commands of the controlled studies."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, TaskID

from secondlook.cli.options import refuse_unused
from secondlook.cli.terminal import bar, console, notice

if TYPE_CHECKING:
    from secondlook.evidence.experiment import Experiment
    from secondlook.studies.bench import Bench
    from secondlook.studies.real import RealProfile

app = typer.Typer()
study_app = typer.Typer(
    help="Controlled studies of language models, planted and real: the claims S1 to S8, and R1 to R3.",
    no_args_is_help=True,
)
app.add_typer(study_app, name="study")


@study_app.command("run")
def run(
    context: typer.Context,
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
    per_category: Annotated[
        int | None, typer.Option(min=2, help="Questions of each category of BBQ; results then lie in a folder apart.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder of a real model's records, without any text.")] = Path(
        "results/real"
    ),
    out: Annotated[Path, typer.Option(help="Folder that holds one for each profile and study.")] = Path("runs/studies"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what a real model would be asked, and ask nobody.")
    ] = False,
) -> None:
    """Run studies. What has been asked is not asked again. Exit code 1 if one of several could not be run."""
    refuse_unused(context, ("profile",) if model else ("base_url", "per_category", "results", "dry_run"), model)
    if model:
        of_models(names, model, base_url, per_category, results, out, dry_run=dry_run)
    else:
        _of_planted(names, profile, out)


def of_models(
    names: Sequence[str],
    models: Sequence[str],
    base_url: str | None,
    per_category: int | None,
    results: Path,
    out: Path,
    *,
    dry_run: bool,
) -> None:
    """Put studies to real models.

    Raises:
        ValueError: An unknown study or model, or one that cannot be run where no other is asked for.
        typer.Exit: One of several could not be run, which has been said.
    """
    from secondlook.evidence.experiment import conduct, find
    from secondlook.local.model import checkpoint
    from secondlook.studies.experiments import EXPERIMENTS, REAL
    from secondlook.studies.real import RealBench, profile_of

    wanted = find(names, EXPERIMENTS | REAL, "study")
    family = [profile_of(name, base_url=base_url, per_category=per_category) for name in models]
    for member in family:
        if (local := member.model.removeprefix("secondlook/")) != member.model:
            checkpoint(local)  # an unknown name ends all studies, and before anybody is asked
    if "all" in names and len(family) < 2:
        wanted = [experiment for experiment in wanted if experiment.id != "S5"]
        notice("S5 is left out: it compares several models; give --model again for each, the smallest first")
    if dry_run:
        _count(wanted, family, results, out)
        return
    options = [*(word for name in models for word in ("--model", name))]
    options += ["--base-url", base_url] if base_url else []
    options += ["--per-category", str(per_category)] if per_category else []

    def one(experiment: Experiment[Bench], tick: Callable[[str], None]) -> tuple[dict[str, Any], Path]:
        folder = results / family[0].name / experiment.id
        bench = RealBench(family[0], results, out / "real", tick, family)
        return conduct(experiment, bench, folder, shlex.join(_again(experiment, options))), folder

    _each(wanted, one)


def _of_planted(names: Sequence[str], profile: str, out: Path) -> None:
    from secondlook.evidence.experiment import conduct, find
    from secondlook.studies.experiments import EXPERIMENTS, REAL
    from secondlook.studies.planted import PlantedBench
    from secondlook.studies.profile import find as find_profile

    # R1 to R3 need a real model: `all` of a planted subject passes over them, and whoever names one is told so.
    wanted = find(names, EXPERIMENTS if "all" in names else EXPERIMENTS | REAL, "study")
    size = find_profile(profile)

    def one(experiment: Experiment[Bench], tick: Callable[[str], None]) -> tuple[dict[str, Any], Path]:
        folder, bench = out / size.name / experiment.id, PlantedBench(size, out / "asked", tick)
        return conduct(experiment, bench, folder, shlex.join(_again(experiment, ["--profile", size.name]))), folder

    _each(wanted, one)


def _again(experiment: Experiment[Bench], options: Sequence[str]) -> list[str]:
    return ["secondlook", "study", "run", experiment.id, *options]


def _each(
    wanted: Sequence[Experiment[Bench]],
    one: Callable[[Experiment[Bench], Callable[[str], None]], tuple[dict[str, Any], Path]],
) -> None:
    """Run studies and show what each found."""
    from secondlook.evidence.report import show

    left: list[str] = []
    for experiment in wanted:
        with bar() as progress, _going_on(experiment.id, left, others=len(wanted) > 1):
            task = progress.add_task(experiment.id, total=None)
            result, folder = one(experiment, partial(_describe, progress, task))
            progress.stop()
            show(result, console)
            console.print(f"result.json, figure.png and figure.svg in {folder}\n", highlight=False, soft_wrap=True)
    if left:
        raise typer.Exit(1)


def _count(wanted: Sequence[Experiment[Bench]], family: Sequence[RealProfile], results: Path, out: Path) -> None:
    """Print calls and tokens of every unit that is not in the store, an experiment at a time."""
    from secondlook.evaluation.dry_run import show_planned
    from secondlook.studies.counting import CountingBench

    left: list[str] = []
    for experiment in wanted:
        bench = CountingBench(family[0], results, out / "real", family=family)
        assert experiment.ask is not None
        with _going_on(experiment.id, left, others=len(wanted) > 1):
            experiment.ask(bench)
            kept = f"{bench.kept} in {results}"
            console.print(f"{experiment.id}: {len(bench.counted)} units to ask, {kept}", soft_wrap=True)
            if bench.counted:
                show_planned(bench.counted, console)
    if left:
        raise typer.Exit(1)


@contextmanager
def _going_on(study: str, left: list[str], *, others: bool) -> Iterator[None]:
    """Say why a study cannot be run, note it, and go on where there are others."""
    from secondlook.evaluation.asking import RunError

    try:
        yield
    except (ValueError, OSError, RunError) as error:
        if not others:
            raise
        left.append(study)
        notice(f"{study} is not run: {error}")


def _describe(progress: Progress, task: TaskID, what: str) -> None:
    progress.update(task, description=what)
