"""Commands of the laboratory: train a transformer, run an experiment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secondlook.cli.terminal import Cluster, Cpus, Gpus, bar, console, notice
from secondlook.cluster.unit import Resources
from secondlook.layout import DASH
from secondlook.machine import processors

if TYPE_CHECKING:
    from secondlook.lab.sweep import SweepCell

app = typer.Typer()
lab_app = typer.Typer(help="Transformers trained from scratch on in-context alignment.", no_args_is_help=True)
app.add_typer(lab_app, name="lab")

Device = Annotated[str, typer.Option(help="cpu, cuda, or cuda:1.")]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Products of the forward pass in bfloat16.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the forward pass.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes, of one thread each; by default one a processor.")]


@lab_app.command("train")
def train(
    folder: Annotated[
        str, typer.Argument(help="Folder, or s3://…, that holds one for each run: weights, configuration, log.")
    ],
    config: Annotated[Path | None, typer.Option(help="JSON file of a run; missing fields have their defaults.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A field, e.g. rate=1e-3, task.p=0.5, shape.depth=4; repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds trained side by side, from the run's own on.")] = 1,
    device: Device = "cpu",
    bf16: Bf16 = False,
    compile_: Compile = False,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
) -> None:
    """Train a transformer. The same command goes on where it was stopped."""
    from dataclasses import replace

    from secondlook.cluster.place import place
    from secondlook.lab.run import Run
    from secondlook.lab.store import Store
    from secondlook.lab.train import Options

    record: Any = json.loads(config.read_text("utf-8")) if config else {}
    if not isinstance(record, dict):
        raise ValueError(f"{config} holds {record!r}: give an object with fields of a run")  # noqa: TRY004
    for pair in set_ or ():
        _put(record, pair)
    first = Run.of(record)
    runs = [replace(first, seed=first.seed + number) for number in range(seeds)]
    where, options = place(folder), Options(device, bf16, compile_, save_every=save_every)
    with bar() as progress:
        store = Store(where, options, together=seeds)
        task = progress.add_task("training", total=len(runs))
        trained = store.train(runs, lambda done: progress.advance(task, done))
    for run in runs:
        last = {name: value for name, value in trained[run].log[-1].items() if name != "step"}
        said = ", ".join(f"{name} {value:.4f}" for name, value in last.items())
        console.print(f"{run.name}: {said}", highlight=False, soft_wrap=True)
    console.print(f"weights, configuration and log of each in {where}", highlight=False, soft_wrap=True)


@lab_app.command("run")
def run(
    names: Annotated[list[str], typer.Argument(help="L1 to L10, or all.")],
    profile: Annotated[str, typer.Option(help="demo, quick, paper or released.")] = "quick",
    out: Annotated[Path, typer.Option(help="Folder that holds one for each profile and experiment.")] = Path(
        "runs/lab"
    ),
    trained: Annotated[
        str | None, typer.Option(help="Place of trained runs: a folder, or s3://…; by default in --out.")
    ] = None,
    workers: Workers = None,
    cluster: Cluster = None,
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    together: Annotated[
        int | None, typer.Option(min=1, help="Members of an ensemble, at most; by default 1 on a CPU, else 16.")
    ] = None,
    device: Device = "cpu",
    bf16: Bf16 = False,
    compile_: Compile = False,
) -> None:
    """Run experiments. What has been trained is not trained again."""
    from functools import partial

    from secondlook.cluster.engines import engine
    from secondlook.cluster.place import place
    from secondlook.evidence.experiment import conduct, find
    from secondlook.evidence.report import show
    from secondlook.lab.experiment import Lab
    from secondlook.lab.experiments import EXPERIMENTS
    from secondlook.lab.profile import find as find_profile
    from secondlook.lab.store import Store
    from secondlook.lab.train import Options

    experiments = find(names, EXPERIMENTS, "experiment")
    size = find_profile(profile)
    workers = workers or (processors() if device == "cpu" else 1)
    # On a CPU an ensemble of small models takes longer than one after the other (bench/laboratory.py).
    together = together or (1 if device == "cpu" else 16)
    folder, resources = place(trained or out / "trained"), resources_of(device, cpus, gpus)
    options = Options(device, bf16, compile_, exam=size.exam)
    # What a user types to find the same numbers again.
    again = ["--profile", size.name, *(["--device", device] if device != "cpu" else [])]
    again += ["--bf16"] * bf16 + ["--compile"] * compile_
    with engine(cluster, folder, resources, workers, notice) as works:
        store = Store(folder, options, works, together)
        for experiment in experiments:
            into = out / size.name / experiment.id
            with bar() as progress:
                task = progress.add_task(f"{experiment.id}: runs trained", total=None)
                lab = Lab(size, store, partial(progress.advance, task))
                result = conduct(experiment, lab, into, shlex.join(["secondlook", "lab", "run", experiment.id, *again]))
            show(result, console)
            console.print(f"result.json, figure.png and figure.svg in {into}\n", highlight=False, soft_wrap=True)


@lab_app.command("sweep")
def sweep(
    file: Annotated[Path, typer.Argument(help="TOML: profile, [run], [grid], seeds, [resources].")],
    out: Annotated[str, typer.Option(help="Folder, or s3://…, of sweep.csv and one folder for each run.")],
    trained: Annotated[str | None, typer.Option(help="Place of trained runs; by default --out.")] = None,
    workers: Workers = None,
    cluster: Cluster = None,
    cpus: Annotated[float | None, typer.Option(help="Processors of a run on the cluster; else as FILE says.")] = None,
    gpus: Gpus = None,
    together: Annotated[int, typer.Option(min=1, help="Members of an ensemble, at most: 1 on a CPU is best.")] = 1,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    threads: Annotated[int, typer.Option(min=1, help="Pieces of a large batch that are worked on at once.")] = 1,
    device: Device = "cpu",
    bf16: Bf16 = False,
    compile_: Compile = False,
) -> None:
    """Train every variant and combination with every seed. What has been trained is not trained again."""
    from secondlook.cluster.engines import engine
    from secondlook.cluster.place import place
    from secondlook.lab.pictured import draw_sweep
    from secondlook.lab.store import Store
    from secondlook.lab.sweep import Sweep, write
    from secondlook.lab.train import Options

    grid, kept = Sweep.read(file), place(trained or out)
    runs = sum(len(several) for _, several in grid.cells) + len(grid.pilots)
    told = grid.resources
    # A file that names no gpus reads as 0: then the device decides.
    wanted = told.gpus or None if gpus is None else gpus
    resources = resources_of(device, told.cpus if cpus is None else cpus, wanted)
    workers = workers or (processors() if device == "cpu" else 1)
    with engine(cluster, kept, resources, workers, notice) as works, bar() as progress:
        task = progress.add_task("runs trained", total=runs)
        store = Store(
            kept, Options(device, bf16, compile_, save_every=save_every, threads=threads), works, together=together
        )
        cells = grid.train(store, lambda done: progress.advance(task, done))
    write(cells, place(out))
    _show(cells)
    files = "sweep.csv"
    if isinstance(where := place(out), Path):  # a figure in an object store would be looked at by nobody
        draw_sweep(cells, where, file.stem)
        files += ", figure.png and figure.svg"
    console.print(f"{files} in {out}, {runs} trained runs in {kept}", highlight=False, soft_wrap=True)


@lab_app.command("judge")
def judge(
    file: Annotated[Path, typer.Argument(help="TOML of a sweep with variants.")],
    trained: Annotated[str, typer.Option(help="Place of its trained runs; missing ones are named.")],
    out: Annotated[Path, typer.Option(help="Folder that gets one of the sweep's name, with result.json and a figure.")],
    device: Annotated[str, typer.Option(help="Device they were trained on.")] = "cpu",
) -> None:
    """Say where each variant of a sweep stands beside its base. Nothing is trained."""
    from secondlook.cluster.place import place
    from secondlook.lab.judged import judge_sweep, keep
    from secondlook.lab.store import Store
    from secondlook.lab.sweep import Sweep
    from secondlook.lab.train import Options

    result = judge_sweep(Sweep.read(file), Store(place(trained), Options(device)), file.stem)
    keep(result, out / file.stem)
    for variant in result["variants"]:
        console.print(_standing(variant), highlight=False, soft_wrap=True)
    if said := _untrained(result):
        console.print(said, highlight=False, soft_wrap=True)
    console.print(f"result.json, figure.png and figure.svg in {out / file.stem}", highlight=False, soft_wrap=True)


def resources_of(device: str, cpus: float, gpus: float | None) -> Resources:
    """Resources that a run takes of a cluster: an accelerator, unless told otherwise, where it computes on one."""
    return Resources(cpus, (0.0 if device == "cpu" else 1.0) if gpus is None else gpus)


def _standing(variant: dict[str, Any]) -> str:
    from secondlook.evidence.report import interval

    if variant.get("skill") is None:
        return f"{variant['name']}: {variant['standing']}"
    numbers = f"skill {interval(variant['skill'])}, excess {interval(variant['excess'])} nats"
    return f"{variant['name']}: {variant['standing']}; {numbers}, {len(variant['counted'])} seeds"


def _untrained(result: dict[str, Any]) -> str:
    """Sentence on a base that was not trained: its excess and the remedy; empty if it was trained."""
    ends = [seed["excess"] for seed in result["variants"][0].get("seeds", ())]
    limit = result["scale"]["trained"]
    if not ends or min(ends) < limit:
        return ""
    return (
        f"The base ended {min(ends):.2f} nats above the optimum at best; nothing is compared with it at {limit:g} or "
        "more. Train longer: give more steps."
    )


_COLUMNS = {
    "loss": "what is minimised",
    "excess": "loss above the least there is, in nats",
    "error": "1 − cosine with the truth",
    "squared": "squared error relative to the truth's square",
}


def _show(cells: Sequence[SweepCell]) -> None:
    from rich.table import Table

    from secondlook.lab.sweep import metrics

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    seen = metrics(cells)
    for name in (*cells[0].setting, *seen):
        table.add_column(name, justify="right")
    for cell in cells:
        found = [cell.last.get(name) for name in seen]
        ends = [
            DASH if one is None else f"{one.value:.4f}" + (f" ±{(one.high - one.low) / 2:.4f}" if one.n > 1 else "")
            for one in found
        ]
        table.add_row(*map(str, cell.setting.values()), *ends)
    console.print(table, highlight=False)
    seeds = len(cells[0].members)
    meant = f"± is half of a 95% interval over {seeds} seeds (Student's t)." if seeds > 1 else "One seed: no interval."
    columns = "; ".join(f"{name}: {_COLUMNS[name]}" for name in seen if name in _COLUMNS)
    console.print(f"Each number is the mean at the end of training. {meant}", highlight=False, style="dim")
    console.print(f"{columns}.", highlight=False, style="dim")


def _put(record: dict[str, Any], pair: str) -> None:
    """Put name=value into a record; a dot leads into a part."""
    name, equals, text = pair.partition("=")
    if not (name and equals):
        raise ValueError(f"setting {pair!r} is not name=value, e.g. shape.depth=4")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    *path, last = name.split(".")
    if path not in ([], ["task"], ["shape"]):
        raise ValueError(f"setting {pair!r}: only task and shape have parts, e.g. shape.depth=4")
    for part in path:
        record = record.setdefault(part, {})
        if not isinstance(record, dict):
            raise ValueError(f"setting {pair!r}: {part} is {record!r}; give a table of its fields")  # noqa: TRY004
    record[last] = value
