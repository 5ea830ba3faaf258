"""The command that says what a study will cost, before it runs, from a small run of it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from secondlook.cli.terminal import console

app = typer.Typer()


@app.command()
def plan(
    pilot: Annotated[Path, typer.Argument(help="Folder of a small, finished run of the study.")],
    critic: Annotated[
        list[str] | None,
        typer.Option("--critic", help="The pilot's arms to study; repeatable; by default all."),
    ] = None,
    defence: Annotated[
        list[str] | None, typer.Option(help="The pilot's defences to study; repeatable; by default all.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Second looks of the study.")] = None,
    per_category: Annotated[int | None, typer.Option(help="Questions of each category.")] = None,
    limit: Annotated[int | None, typer.Option(help="Questions altogether.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="All questions of the benchmark.")] = False,
    questions: Annotated[
        int | None, typer.Option(help="Scale to so many questions of each arm, where they are not all here.")
    ] = None,
    endpoints: Annotated[int, typer.Option(help="Servers of the model, each like the pilot's.")] = 1,
    drivers: Annotated[int, typer.Option(help="Processes that ask: workers of --cluster, each with a core.")] = 1,
    gpus_per_endpoint: Annotated[float, typer.Option(help="GPUs that a server holds.")] = 1.0,
    prompt_rate: Annotated[
        float | None, typer.Option(help="Uncached prompt tokens that a server reads in a second, not the pilot's.")
    ] = None,
    reply_rate: Annotated[
        float | None, typer.Option(help="Reply tokens a server writes in a second, not the pilot's.")
    ] = None,
    gpu_price: Annotated[float | None, typer.Option(help="Price of a GPU for an hour.")] = None,
    price_in: Annotated[float | None, typer.Option(help="Price of a million prompt tokens.")] = None,
    price_out: Annotated[float | None, typer.Option(help="Price of a million reply tokens.")] = None,
    price_cached: Annotated[float | None, typer.Option(help="Price of a million cached prompt tokens.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Plan a larger study from a small run: calls, tokens, time, GPU hours and money, and what is the limit.

    The study is the pilot's at another size. Give the pilot twice as many questions as there are requests in flight.
    """
    from secondlook.evaluation.planning.pilot import read_pilot, resized
    from secondlook.evaluation.planning.show import show
    from secondlook.evaluation.planning.study_plan import Site
    from secondlook.evaluation.planning.study_plan import plan as plan_

    if whole and (per_category is not None or limit is not None):
        raise ValueError("--whole means all questions; leave out --per-category and --limit")
    site = Site(
        endpoints, drivers, gpus_per_endpoint, prompt_rate, reply_rate, gpu_price, price_in, price_out, price_cached
    )
    found = read_pilot(pilot)
    arms = [*(critic or ()), *(defence or ())]
    study = resized(found, arms=arms, rounds=rounds, whole=whole, per_category=per_category, limit=limit)
    planned = plan_(found, study, site, questions=questions)
    if json_:
        sys.stdout.write(json.dumps(asdict(planned), indent=1) + "\n")
    else:
        show(planned, console)
