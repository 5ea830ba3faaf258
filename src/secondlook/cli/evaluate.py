"""Commands that evaluate a language model: a command a benchmark, the report, and the first demonstration."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secondlook.benchmarks.benchmark import BUILT_IN, AnyBenchmark, find, names
from secondlook.cli.evaluate_options import ArmOptions, CriticOptions, JudgeOptions, ModelOptions, RunOptions
from secondlook.cli.options import Group, command, pairs
from secondlook.cli.terminal import bar, console, counter, notice
from secondlook.cluster.unit import Resources
from secondlook.correction.chat import Json

if TYPE_CHECKING:
    from secondlook.evaluation.asking import Endpoint
    from secondlook.evaluation.evaluate import Arms
    from secondlook.evaluation.evaluation import Evaluation
    from secondlook.evaluation.report import Report

app = typer.Typer()
eval_app = typer.Typer(
    help="Ask questions, check the answers, ask again; report round by round, and diagnose. The same command continues "
    "a run that was stopped.",
    no_args_is_help=True,
)
app.add_typer(eval_app, name="eval")
LOST = 3
"""Exit code of a run whose samples partly ended in errors."""
_KEYS = (
    "A model's key is taken from its provider's variable: OPENAI_API_KEY for openai/…, NAME_API_KEY for "
    "openai-api/NAME/…; openai-api on this machine needs none."
)


def evaluate(
    benchmark: AnyBenchmark,
    model: ModelOptions,
    critics: CriticOptions,
    questions: Any,
    running: RunOptions,
    arms: ArmOptions | None = None,
    judge: JudgeOptions | None = None,
) -> None:
    """Ask a benchmark's questions, check the answers, ask again; report round by round, and diagnose.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    from secondlook.evaluation.dry_run import dry_run as count_calls
    from secondlook.evaluation.dry_run import show_planned
    from secondlook.evaluation.evaluate import run_evaluation
    from secondlook.evaluation.preflight import Preflight
    from secondlook.evaluation.report import write_diagnoses
    from secondlook.evaluation.shown import show

    judge = judge or JudgeOptions()
    _check_idle(running)
    evaluation = _evaluation(benchmark, model, critics, questions, running, arms, judge)
    if running.fast and judge.judge_labels is not None:
        raise ValueError("--judge-labels are of the replies in a run's logs, and --fast keeps none; leave one out")
    if running.dry_run:
        show_planned(count_calls(evaluation, preflight=running.preflight), console)
        return
    folder = running.out or Path("runs") / evaluation.name
    with ExitStack() as stack:
        asked_by = _asked_by(stack, running, tuple(model.base_url or ()), folder)
        before = Preflight(console) if running.preflight else None
        report = run_evaluation(evaluation, folder, log_buffer=running.log_buffer, arms=asked_by, before=before)
    if judge.judge_labels is not None:
        report = _labelled(folder, judge.judge_labels, running.logs)
    show(report, console)
    found = write_diagnoses([report.diagnoses[arm] for arm in report.looks], folder) if running.diagnose else []
    files = ", ".join([*found, "report.json", "rounds.csv"])
    console.print(f"\npage:  {folder / 'report.html'}", soft_wrap=True, highlight=False)
    console.print(f"files: {files} and records.csv in {folder}", soft_wrap=True)
    if found:
        # Of several arms, one that helps is the one to act on.
        looks = sorted(report.looks, key=lambda arm: report.diagnoses[arm].overall.finding != "helps")
        arm = f" --arm {shlex.quote(looks[0])}" if len(looks) > 1 else ""
        console.print(f"why:   secondlook diagnose {folder}{arm}", soft_wrap=True)
    if not running.fast:
        console.print(f"logs:  inspect view --log-dir {running.logs or folder}", soft_wrap=True)
    if report.unread:
        notice(report.unread)
    if report.lost:
        notice(report.lost)
        raise typer.Exit(LOST)


def _evaluation(
    benchmark: AnyBenchmark,
    model: ModelOptions,
    critics: CriticOptions,
    questions: Any,
    running: RunOptions,
    arms: ArmOptions | None,
    judge: JudgeOptions,
) -> Evaluation:
    from secondlook.evaluation.asking import Endpoint
    from secondlook.evaluation.evaluation import Evaluation

    addresses = tuple(model.base_url or ())
    if len(addresses) > 1 and not _in_shards(running):
        raise ValueError(f"--base-url is given {len(addresses)} times; several servers share --shards")
    endpoint = Endpoint(
        model=model.model,
        base_url=addresses[0] if addresses else None,
        model_args=_model_args(model.model_arg),
        temperature=model.temperature,
        max_tokens=model.reply_tokens,
        max_connections=model.max_connections,
        max_retries=model.max_retries,
        timeout=model.timeout,
        stall=model.stall,
    )
    given = critics.critic if arms is None else arms.critic
    fitted = [name.partition(":")[2] for name in given if name.startswith("fitted:")]
    if len(fitted) > 1:
        raise ValueError(f"critics {', '.join(given)} are fitted ones twice; give one a run")
    if fitted:
        named = tuple("fitted" if name.startswith("fitted:") else name for name in given)
        critics, arms = replace(critics, critic=named), arms and replace(arms, critic=named)
    apart = ("critic", "critic_model", "critic_base_url")
    study = {name: value for name, value in asdict(critics).items() if name not in apart}
    # A digest of the settings names a run's folder. At these defaults a run is what it was before there were gates, and
    # keeps its name.
    study = {name: value for name, value in study.items() if (name, value) not in (("keep", "new"), ("gate", None))}
    study |= {"prompt": critics.prompt or benchmark.prompt, "cache": model.cache}
    study |= {"fitted_file": str(Path(fitted[0]).resolve())} if fitted else {}
    if model.count_tokens is not None:
        study["count_tokens"] = str(model.count_tokens.resolve())
    if arms is not None:
        if len(arms.critic) != 1:
            asked = ", ".join(arms.critic)
            raise ValueError(f"critics are {asked}; the arms here are {benchmark.arm_word}s, so give one critic")
        study["critic"] = arms.critic[0]
    return Evaluation(
        benchmark=benchmark.name,
        endpoint=endpoint,
        arms=critics.critic if arms is None else arms.arms or (),
        study=study,
        questions={
            each.name: value for each in fields(questions) if (value := getattr(questions, each.name)) != each.default
        },
        seed=running.seed,
        critic_endpoint=_other(endpoint, critics.critic_model, critics.critic_base_url),
        judge_endpoint=_other(endpoint, judge.judge_model, judge.judge_base_url),
    )


def _other(endpoint: Endpoint, model: str | None, base_url: str | None) -> Endpoint | None:
    # Another provider may refuse arguments that are meant for the answering model's.
    return replace(endpoint, model=model, base_url=base_url, model_args={}) if model else None


def _in_shards(running: RunOptions) -> bool:
    return running.shards is not None or running.cluster is not None


def _check_idle(running: RunOptions) -> None:
    """See that no option is given that would do nothing: the user would look for its effect in the wrong place.

    Raises:
        ValueError: One is; names the remedy.
    """
    if running.logs is not None and not _in_shards(running):
        raise ValueError(
            f"--logs {running.logs} is the place of the logs of shards; give --shards or --cluster, or leave it out: "
            "other logs go to --out"
        )
    usual = RunOptions()
    for name in ("cpus", "gpus"):
        if (given := getattr(running, name)) != getattr(usual, name) and running.cluster is None:
            raise ValueError(f"--{name} {given:g} is of a unit of work on a cluster; give --cluster, or leave it out")


def _asked_by(stack: ExitStack, running: RunOptions, addresses: tuple[str, ...], folder: Path) -> Arms | None:
    """Runner of the arms where it is not one call of Inspect for each."""
    if running.fast:
        if _in_shards(running):
            raise ValueError("the fast path asks all samples at once, in this process; leave out --fast, or the shards")
        from secondlook.evaluation.fast import run_arms

        return run_arms
    if not _in_shards(running):
        return None
    from secondlook.cluster.engines import engine
    from secondlook.cluster.place import place
    from secondlook.evaluation.sharded import InShards

    where = place(running.logs or folder)
    return InShards(
        stack.enter_context(engine(running.cluster, where, Resources(running.cpus, running.gpus or 0.0), tell=notice)),
        where,
        running.shards,
        addresses,
        running.log_buffer,
        *counter(stack.enter_context(bar()), "questions asked"),
    )


def _command(benchmark: AnyBenchmark) -> Any:
    groups = {"model": Group("Model", ModelOptions), "questions": Group("Questions", benchmark.options)}
    if benchmark.arms:
        spelt = {"arms": (f"--{benchmark.arm_word}", f"{', '.join(benchmark.arms)}; repeat for several arms.")}
        groups["arms"] = Group("Arms", ArmOptions, spelt=spelt)
    if benchmark.judge is not None:
        groups["judge"] = Group("Judge", JudgeOptions)
    groups["critics"] = Group("Critics and rounds", CriticOptions, without=("critic",) if benchmark.arms else ())
    groups["running"] = Group("Running", RunOptions)
    return command(benchmark.name, f"{benchmark.about}\n\n{_KEYS}", groups, partial(evaluate, benchmark))


def _unusable(name: str, said: str) -> None:
    """A command in the place of a package's benchmark that cannot be used: whoever asks for it is told why."""

    def call() -> None:
        raise ValueError(said)

    call.__doc__ = f"Cannot be used: {said}"
    eval_app.command(name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(call)


def _offer(name: str) -> None:
    """Put a benchmark's command among the others; a package's that cannot be used leaves all others alone."""
    alone = typer.Typer()
    try:
        made = alone.command(name)(_command(find(name)))
        if name not in BUILT_IN:  # of ours tests know that they can be used
            typer.main.get_command(alone)
    except ValueError as error:
        _unusable(name, str(error))
    except Exception as error:  # typer's, whose versions raise different ones at a type that they do not take
        _unusable(name, f"benchmark {name!r} cannot be used: no command line takes one of its options ({error})")
    else:
        eval_app.command(name)(made)


for _name in names():
    _offer(_name)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")],
    logs: Annotated[str | None, typer.Option(help="Place of the logs, if --logs put them elsewhere.")] = None,
    judge_labels: Annotated[
        Path | None, typer.Option(help="People's labels of some replies, kept with the run from now on.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Report again on a run, finished or not."""
    from secondlook.evaluation.report import read, to_json
    from secondlook.evaluation.shown import show

    # Without Inspect nobody can read the logs, but a finished run has kept its report; new labels take the logs.
    kept = importlib.util.find_spec("inspect_ai") is None and judge_labels is None and logs is None
    result = read(folder) if kept else _labelled(folder, judge_labels, logs)
    if json_:
        sys.stdout.write(to_json(result))
    else:
        show(result, console)


def _labelled(folder: Path, labels: Path | None, logs: str | None) -> Report:
    """The report on a run's logs, with people's labels if there are any."""
    from secondlook.cluster.place import place
    from secondlook.evaluation.evaluate import report_folder
    from secondlook.evaluation.labels import keep_labels

    if labels is not None:
        keep_labels(folder, labels)
    return report_folder(folder, place(logs) if logs else None)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
) -> None:
    """The planted subject looks twice: a real model, a real harness, known truth, under two minutes."""
    benchmark = find("planted")
    evaluate(
        benchmark,
        ModelOptions(model="secondlook/planted", reply_tokens=16),
        CriticOptions(critic=("self", "none"), rounds=2),
        benchmark.given({"per_category": 64}),
        RunOptions(out=out),
    )


def _model_args(given: tuple[str, ...] | None) -> dict[str, Json]:
    arguments: dict[str, Json] = {}
    for name, value in pairs(given, "model arg", "-M device=cpu").items():
        try:
            arguments[name] = json.loads(value)
        except json.JSONDecodeError:
            arguments[name] = value
    return arguments
