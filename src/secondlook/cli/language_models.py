"""Commands about language models: evaluate, report, the demo, benchmark data, the planted subject."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from secondlook.cli.terminal import Cluster, Cpus, Gpus, bar, console, counter, notice
from secondlook.cluster.unit import Resources
from secondlook.correction.chat import Json

app = typer.Typer()
data_app = typer.Typer(help="Benchmark data.", no_args_is_help=True)
subject_app = typer.Typer(help="The embedded planted subject.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(subject_app, name="subject")

CriticOption = Annotated[
    list[str],
    typer.Option(
        "--critic",
        help="self, other, tool, recorded or oracle; or a control: none (asks again without a critique), vote "
        "(majority of answers at equal cost), always-unknown; repeat for several arms.",
    ),
]
BaseUrl = typer.Option(
    help="Address of the model's server, e.g. http://127.0.0.1:8000/v1; repeatable with --shards. Its key is taken "
    "from the provider's variable: OPENAI_API_KEY for openai/…, NAME_API_KEY for openai-api/NAME/…; openai-api on this "
    "machine needs none.",
)


@app.command("eval")
def eval_(
    benchmark: Annotated[str, typer.Argument(help="bbq, planted, refusal, or own (your questions, your grader).")],
    model: Annotated[str, typer.Option(help="Inspect's spelling, e.g. secondlook/planted or openai/gpt-4o-mini.")],
    critic: CriticOption = ["self"],  # noqa: B006 - typer reads it, nobody writes it
    noise: Annotated[float, typer.Option(help="Probability of flipping the critic's verdict.")] = 0.0,
    variant: Annotated[str, typer.Option(help="self, diverse or self-instruct.")] = "self",
    rounds: Annotated[int, typer.Option(help="Second looks; 0 only answers.")] = 1,
    stop: Annotated[str, typer.Option(help="fixed, or satisfied: end when the critic is.")] = "fixed",
    prompt: Annotated[str | None, typer.Option(help="Prompt file, e.g. bbq/binary-cot, or PATH.toml.")] = None,
    critic_model: Annotated[str | None, typer.Option(help="Examining model of critic other.")] = None,
    critic_base_url: Annotated[str | None, typer.Option(help="Address of the critic model's server.")] = None,
    critic_command: Annotated[str | None, typer.Option(help="Command line of critic tool.")] = None,
    critic_file: Annotated[str | None, typer.Option(help="JSON Lines file of critic recorded.")] = None,
    votes: Annotated[int | None, typer.Option(help="Answers of control vote; as many as the looks cost.")] = None,
    history: Annotated[int, typer.Option(help="Other questions shown first (variant diverse).")] = 3,
    budget_tokens: Annotated[int | None, typer.Option(help="Token budget of a sample.")] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="Time budget of a sample.")] = None,
    defence: Annotated[
        list[str] | None,
        typer.Option(
            help="Of refusal: none, self-reminder, icd, again, vote, self, diverse, self-instruct; repeatable."
        ),
    ] = None,
    behaviours: Annotated[str | None, typer.Option(help="CSV file of harmful behaviours.")] = None,
    benign: Annotated[str | None, typer.Option(help="CSV file of benign behaviours.")] = None,
    attacks: Annotated[list[str] | None, typer.Option(help="JSON file of stored attacks; repeatable.")] = None,
    shots: Annotated[int | None, typer.Option(help="Refusals that defence icd shows (default 4).")] = None,
    judge_model: Annotated[str | None, typer.Option(help="A model that judges refusals too.")] = None,
    judge_base_url: Annotated[str | None, typer.Option(help="Address of the judge's server.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Folder of the BBQ files; of own, a .jsonl, .json, .csv, .parquet or a dataset.")
    ] = None,
    grader: Annotated[
        str | None, typer.Option(help="Of own: exact, contains, number, choice, FILE.py:function or module:function.")
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="Of own: prompt=COLUMN (or answer, id, group, template, condition).")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of own: split of a dataset with several.")] = None,
    category: Annotated[list[str] | None, typer.Option(help="Only this category; repeatable.")] = None,
    condition: Annotated[str | None, typer.Option(help="Only ambig or disambig.")] = None,
    per_category: Annotated[int | None, typer.Option(help="Questions of each category.")] = None,
    limit: Annotated[int | None, typer.Option(help="Questions altogether; of refusal, of each file.")] = None,
    permute: Annotated[bool, typer.Option(help="Permute the options of each question.")] = False,
    schedule: Annotated[str | None, typer.Option(help="Noise words of planted: fresh (default), fixed, none.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample and the run.")] = 0,
    base_url: Annotated[list[str] | None, BaseUrl] = None,
    model_arg: Annotated[list[str] | None, typer.Option("-M", help="Provider argument, name=value.")] = None,
    temperature: Annotated[float, typer.Option(help="0 decodes greedily.")] = 0.0,
    reply_tokens: Annotated[int, typer.Option(help="Tokens a reply may have.")] = 512,
    max_connections: Annotated[int | None, typer.Option(help="Requests in flight.")] = None,
    max_retries: Annotated[int, typer.Option(help="Repeats of a request after 429, 5xx or a lost line.")] = 3,
    timeout: Annotated[int, typer.Option(help="Seconds a request may take, retries included.")] = 120,
    cache: Annotated[bool, typer.Option(help="Take replies from Inspect's cache.")] = False,
    log_buffer: Annotated[int, typer.Option(help="Finished samples kept back before the log is written.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default named by its settings.")] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="All samples in lock-step, for secondlook/… models; keeps no logs.")
    ] = False,
    shards: Annotated[
        int | None,
        typer.Option(help="Parts of each arm, with a log each, merged at the end."),
    ] = None,
    cluster: Cluster = None,
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    logs: Annotated[str | None, typer.Option(help="Where logs of shards go, e.g. s3://…; by default --out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count calls and tokens; contact no model.")] = False,
    diagnosed: Annotated[
        bool, typer.Option("--diagnose/--no-diagnose", help="Say whether looking again helps; write diagnosis.json.")
    ] = True,
) -> None:
    """Ask a benchmark's questions, check the answers, ask again; report round by round, and diagnose.

    The same command continues a run that was stopped: what is logged is not asked again.
    """
    from secondlook.cluster.engines import engine
    from secondlook.cluster.place import place
    from secondlook.evaluation.asking import Endpoint
    from secondlook.evaluation.dry_run import dry_run as count_calls
    from secondlook.evaluation.dry_run import show_planned
    from secondlook.evaluation.evaluate import DEFAULT_PROMPT, Arms, Evaluation, run_evaluation
    from secondlook.evaluation.report import show
    from secondlook.evaluation.sharded import InShards

    addresses, in_shards = tuple(base_url or ()), shards is not None or cluster is not None
    if len(addresses) > 1 and not in_shards:
        raise ValueError(f"--base-url is given {len(addresses)} times; several servers share --shards")
    if fast and in_shards:
        raise ValueError("the fast path asks all samples at once, in this process; leave out --fast, or the shards")
    endpoint = Endpoint(
        model=model,
        base_url=addresses[0] if addresses else None,
        model_args=_model_args(model_arg),
        temperature=temperature,
        max_tokens=reply_tokens,
        max_connections=max_connections,
        max_retries=max_retries,
        timeout=timeout,
    )
    examiner = replace(endpoint, model=critic_model, base_url=critic_base_url, model_args={}) if critic_model else None
    judge = replace(endpoint, model=judge_model, base_url=judge_base_url, model_args={}) if judge_model else None
    evaluation = Evaluation(
        benchmark=benchmark,
        endpoint=endpoint,
        critics=tuple(critic),
        study={
            "noise": noise,
            "variant": variant,
            "rounds": rounds,
            "stop": stop,
            "prompt": prompt or DEFAULT_PROMPT.get(benchmark, ""),
            "critic_command": critic_command,
            "critic_file": critic_file,
            "votes": votes,
            "history": history,
            "budget_tokens": budget_tokens,
            "budget_seconds": budget_seconds,
            "cache": cache,
        },
        questions={
            "data": data,
            "grader": grader,
            "field": _pairs(field, "field", "prompt=COLUMN") or None,
            "split": split,
            "category": category,
            "condition": condition,
            "per_category": per_category,
            "limit": limit,
            "permute": permute or None,
            "schedule": schedule,
            "behaviours": behaviours,
            "benign": benign,
            "attacks": attacks,
            "shots": shots,
        },
        seed=seed,
        critic_endpoint=examiner,
        defences=tuple(defence or ()),
        judge_endpoint=judge,
    )
    if dry_run:
        show_planned(count_calls(evaluation), console)
        return
    folder = out or Path("runs") / evaluation.name
    with ExitStack() as stack:
        arms: Arms | None = None
        if fast:
            from secondlook.evaluation.fast import run_arms

            arms = run_arms
        elif in_shards:
            where = place(logs or folder)
            resources = Resources(cpus, gpus or 0.0)
            arms = InShards(
                stack.enter_context(engine(cluster, where, resources, tell=notice)),
                where,
                shards,
                addresses,
                log_buffer,
                *counter(stack.enter_context(bar()), "questions asked"),
            )
        report = run_evaluation(evaluation, folder, log_buffer=log_buffer, arms=arms)
    show(report, console)
    found = _diagnose(folder) if diagnosed and rounds else []
    files = ", ".join([*found, "report.json", "rounds.csv"])
    console.print(f"\nfiles: {files} and records.csv in {folder}", soft_wrap=True)
    if found:
        console.print(f"why:   secondlook diagnose {folder}", soft_wrap=True)
    if not fast:
        console.print(f"logs:  inspect view --log-dir {logs or folder}", soft_wrap=True)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")],
    logs: Annotated[str | None, typer.Option(help="Where its logs are, if --logs put them elsewhere.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Report again on a run, finished or not."""
    from secondlook.cluster.place import place
    from secondlook.evaluation.evaluate import report_folder
    from secondlook.evaluation.report import show, to_json

    result = report_folder(folder, place(logs) if logs else None)
    if json_:
        sys.stdout.write(to_json(result))
    else:
        show(result, console)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
) -> None:
    """The planted subject looks twice: a real model, a real harness, known truth, under two minutes."""
    eval_(
        "planted",
        "secondlook/planted",
        critic=["self", "none"],
        rounds=2,
        per_category=64,
        reply_tokens=16,
        out=out,
    )


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="bbq")],
    folder: Annotated[Path | None, typer.Option(help="Where to put the files.")] = None,
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
    name: Annotated[str, typer.Argument(help="planted (BBQ's format) or refusal (JailbreakBench's formats).")],
    folder: Annotated[Path, typer.Argument(help="Where to put the files.")],
    per_category: Annotated[
        int | None, typer.Option(help="Rows of each category; 100 of planted, 10 of refusal unless told.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
) -> None:
    """Write the planted language: questions, or requests for invented secrets and the triggers that unlock them."""
    from secondlook.benchmarks.planted.items import write_files
    from secondlook.benchmarks.planted.requests import write_refusal_files

    makers = {"planted": (write_files, 100), "refusal": (write_refusal_files, 10)}
    if name not in makers:
        raise ValueError(f"unknown data {name!r}; known: {', '.join(makers)}")
    make, usual = makers[name]
    console.print(f"{len(make(folder, usual if per_category is None else per_category, seed))} files in {folder}")


@subject_app.command("train")
def subject_train(
    folder: Annotated[Path, typer.Argument(help="Gets the checkpoint.")],
    subject: Annotated[str, typer.Option(help="planted, planted-0.1m, planted-0.5m or planted-2m.")] = "planted",
    seed: Annotated[int, typer.Option(help="Seed of weights and data.")] = 0,
    lessons: Annotated[int | None, typer.Option(help="Steps on single questions.")] = None,
    practice: Annotated[int | None, typer.Option(help="Steps on conversations with a perfect critic.")] = None,
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


def _diagnose(folder: Path) -> list[str]:
    """Say in two sentences what each second look of a run amounts to; names of the files with the whole of it."""
    from secondlook.cli.diagnose import show_finding
    from secondlook.diagnosis.diagnose import diagnose, second_looks
    from secondlook.diagnosis.form import to_json
    from secondlook.diagnosis.reading import read_tables

    records = read_tables([folder])
    arms = second_looks(records)
    files = ["diagnosis.json"] if len(arms) == 1 else [f"diagnosis-{arm}.json" for arm in arms]
    for arm, file in zip(arms, files, strict=True):
        diagnosis = diagnose(records, arm=arm)
        (folder / file).write_text(to_json(diagnosis), encoding="utf-8")
        console.print()
        show_finding(diagnosis)
    return files


def _pairs(pairs: list[str] | None, what: str, example: str) -> dict[str, str]:
    """Options of the form name=value."""
    split = [pair.partition("=") for pair in pairs or ()]
    for (name, equals, _), pair in zip(split, pairs or (), strict=True):
        if not (name and equals):
            raise ValueError(f"{what} {pair!r} is not name=value, e.g. {example}")
    return {name: value for name, _, value in split}


def _model_args(pairs: list[str] | None) -> dict[str, Json]:
    arguments: dict[str, Json] = {}
    for name, value in _pairs(pairs, "model argument", "-M device=cpu").items():
        try:
            arguments[name] = json.loads(value)
        except json.JSONDecodeError:
            arguments[name] = value
    return arguments
