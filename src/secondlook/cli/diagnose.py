"""The command that diagnoses: records in, one screen out, and a file for a gateway."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from secondlook.cli.terminal import console
from secondlook.layout import ends, number, p_value, points, share, table

if TYPE_CHECKING:
    from secondlook.diagnosis.answer import AnswerLine
    from secondlook.diagnosis.bias import BiasScore
    from secondlook.diagnosis.confidence import Confidence
    from secondlook.diagnosis.forecast import Forecast, RoundForecast
    from secondlook.diagnosis.form import Diagnosis
    from secondlook.diagnosis.labels import Labels

app = typer.Typer()
_PLANTED = "The model is a planted subject: its numbers show that the instrument works, and nothing of real models."


@app.command()
def diagnose(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folder of a run, or a .csv, .jsonl or .parquet.")],
    arm: Annotated[str | None, typer.Option(help="The arm to diagnose; by default self.")] = None,
    round_: Annotated[int | None, typer.Option("--round", help="The round to judge; by default the last.")] = None,
    price: Annotated[float, typer.Option(help="Points of accuracy 1,000 more tokens per sample must bring.")] = 0.0,
    judge_labels: Annotated[
        Path | None,
        typer.Option(
            help="People's labels of some answers, in any table format, which correct rates; or the run's own."
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write diagnosis.json to this file.")] = None,
) -> None:
    """Will looking again help this model, how many times, and why? From records of a run, or anyone's table."""
    from secondlook.diagnosis.answer import answer_line
    from secondlook.diagnosis.diagnose import diagnose as diagnose_
    from secondlook.diagnosis.diagnose import diagnose_all
    from secondlook.diagnosis.examiner import examiner_of, read_run
    from secondlook.diagnosis.form import to_json
    from secondlook.diagnosis.reading import read_tables
    from secondlook.machine import whole

    labels = _labels(runs, judge_labels)
    records = read_tables(runs)
    diagnosis = diagnose_(records, arm=arm, round_=round_, price=price, labels=labels)
    if len(runs) == 1 and (run := read_run(runs[0])) is not None:
        examiner = examiner_of(run, diagnosis.arm, diagnosis.critic)
        diagnosis = replace(diagnosis, examiner=examiner, elicit=run["settings"].get("elicit"))
    if out is not None:
        try:
            with whole(out) as file:
                file.write(to_json(diagnosis).encode())
        except OSError as error:
            raise ValueError(f"{error}; choose another --out") from None
    if json_:
        sys.stdout.write(to_json(diagnosis))
    else:
        others = diagnose_all(records, labels) | {diagnosis.arm: diagnosis}
        show(diagnosis, [answer_line(one) for one in others.values()])
        if out is not None:
            console.print(f"\nfile: {out}", soft_wrap=True)


def _labels(runs: Sequence[Path], given: Path | None) -> Labels | None:
    """People's labels: those that are given, or else those that are kept with the run.

    Raises:
        ValueError: They cannot be read, or one of several runs keeps labels.
    """
    from secondlook.diagnosis.labels import read_labels
    from secondlook.evaluation.labels import kept_labels

    if given is not None:
        return read_labels(given)
    kept = {run: labels for run in runs if run.is_dir() and (labels := kept_labels(run)) is not None}
    # A label may leave out its arm, and would then be taken for one of the other runs' answers too.
    if kept and len(runs) > 1:
        raise ValueError(
            f"run {str(next(iter(kept)))!r} keeps people's labels, and there are {len(runs)} runs; give the labels of "
            "all of them with --judge-labels, or one run"
        )
    return next(iter(kept.values()), None)


def show(diagnosis: Diagnosis, lines: Sequence[AnswerLine]) -> None:
    """Print the answer, every arm in a line, and then why; readable from 80 columns."""
    from secondlook.diagnosis.answer import COLOURS, advised, answer_table

    console.print(answer_table(lines))
    console.print()
    console.print(Text(diagnosis.sentence, style=f"bold {COLOURS[diagnosis.overall.finding]}"))
    console.print(advised(diagnosis), highlight=False)
    console.print()
    for made in (_rounds(diagnosis), _flips(diagnosis), _comparisons(diagnosis), _groups(diagnosis)):
        if made.row_count:
            console.print(made)
            console.print()
    for label, text in _lines(diagnosis):
        console.print(Text.assemble((f"{label}: ", "bold"), text))
    for note in diagnosis.notes:
        console.print(Text(note, style="dim"))
    if "planted" in (diagnosis.model or ""):
        console.print(Text(_PLANTED, style="dim"))


def _rounds(diagnosis: Diagnosis) -> Table:
    """Round by round, measured beside forecast; what could not be read, or was elicited, is a column if there is any.

    Elicited are answers, and verdicts on them.
    """
    unread = any(state.unparsed + state.refused for state in diagnosis.rounds)
    asked = any(state.elicited + state.elicited_verdicts for state in diagnosis.rounds)
    column = [*(["unread"] if unread else []), *(["elicited"] if asked else [])]
    made = table("round", "right", "against first", "r → w", "w → r", *column, "forecast", "critic", "tokens")
    predicted = {line.round: line for line in diagnosis.forecast.rounds} if diagnosis.forecast else {}
    steps = {step.step: step for step in diagnosis.steps}
    for state in diagnosis.rounds:
        before, step = steps.get(state.round - 1), steps.get(state.round)
        line = predicted.pop(state.round, None)
        made.add_row(
            str(state.round),
            share(state.accuracy),
            points(state.gain) if state.round else "",
            # As `transitions` counts flips: harm is every way out of right, also to unreadable; repair is from wrong.
            str(sum(n for to, n in before.counts["right"].items() if to != "right")) if before else "",
            str(before.counts["wrong"]["right"]) if before else "",
            *([str(state.unparsed + state.refused)] if unread else []),
            *([f"{state.elicited}, {state.elicited_verdicts}"] if asked else []),
            _predicted(line) if line else "",
            share(step.critic.accuracy) if step else "",
            number(state.tokens, ",.0f"),
            style="red" if line and line.inside is False else None,
        )
    for line in predicted.values():  # rounds that were forecast and not measured
        made.add_row(str(line.round), *[""] * (4 + len(column)), _predicted(line), style="dim")
    return made


def _predicted(line: RoundForecast) -> str:
    return f"{100 * line.accuracy:.1f} {ends(line.low, line.high, digits=0)}".rstrip()


def _flips(diagnosis: Diagnosis) -> Table:
    made = table("first answers", "critic says", "n", "share", "then")
    for part in diagnosis.steps[0].responses if diagnosis.steps else ():
        became = "harmed" if part.state == "right" else "repaired"
        said = {"wrong": "wrong (alarm)", "none": "nothing"}.get(part.verdict, part.verdict)
        then = f"{became} {share(part.changed, interval=True)}"
        made.add_row(part.state, said, str(part.n), f"{100 * part.share:.0f}%", then)
    return made


def _comparisons(diagnosis: Diagnosis) -> Table:
    made = table("against", "gain", "p", "McNemar", "n", "tokens, theirs")
    for part in diagnosis.overall.comparisons:
        tokens = f"{number(part.tokens, ',.0f')}, {number(part.tokens_against, ',.0f')}"
        made.add_row(part.against, points(part.change), p_value(part.p), p_value(part.mcnemar_p), str(part.n), tokens)
    return made


def _groups(diagnosis: Diagnosis) -> Table:
    made = table("group", "n", "first", "gain", "critic", "break-even", "finding", "looks")
    for group in diagnosis.groups if len(diagnosis.groups) > 1 else ():
        first, critic, needed = map(share, (group.accuracy, group.critic.accuracy, group.break_even))
        found = group.finding, str(group.recommended_rounds)
        style = {"helps": "green", "hurts": "red"}.get(group.finding)
        made.add_row(group.group, str(group.n), first, points(group.gain), critic, needed, *found, style=style)
    return made


def _lines(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Parts of a diagnosis that are best said in words."""
    if diagnosis.forecast:
        yield "Forecast", _forecast(diagnosis.forecast)
    if diagnosis.break_even:
        yield "Critic", diagnosis.break_even.sentence
    yield from (
        (f"Against {part.against}", f"{part.note}.")
        for part in diagnosis.overall.comparisons
        if part.note and part.change
    )
    if contexts := diagnosis.overall.contexts:
        yield "By context", ", ".join(f"{name} {points(gain)}" for name, gain in contexts.items()) + " points."
    # The first round and the last, once where they are the same.
    for line in [*diagnosis.bias[:1], *diagnosis.bias[1:][-1:]]:
        scores = f"ambiguous {_bias(line.ambiguous)}, disambiguated {_bias(line.disambiguated)}"
        yield f"Bias score after round {line.round}", f"{scores}."
    if corrected := [state for state in diagnosis.rounds if state.accuracy_corrected is not None]:
        told = (
            f"round {state.round} {share(state.accuracy_corrected, interval=True)}"
            + (f" ({points(state.gain_corrected)} points)" if state.gain_corrected else "")
            for state in corrected
        )
        yield "Right, corrected by people's labels", "; ".join(told) + "."
    if dose := diagnosis.dose:
        bend = "" if dose.linear is None else f"; a line {'will do' if dose.linear else 'does not fit'}"
        bend += "" if dose.curvature is None else f" (curvature {points(dose.curvature)})"
        yield "Dose-response", f"{points(dose.slope)} points from no flipped verdict of {dose.critic} to all{bend}."
    for label, found in (("critic", diagnosis.critic_confidence), ("first answer", diagnosis.answer_confidence)):
        if found is not None:
            yield f"How sure the {label} was", _confidence(found)
    if groups := diagnosis.correlation:
        yield (
            f"Gain against critic accuracy, {groups.groups} groups",
            f"r = {groups.pearson:+.2f} (p {p_value(groups.pearson_p, '= ')}), rank correlation "
            f"{groups.spearman:+.2f} (p {p_value(groups.spearman_p, '= ')}).",
        )
    if diagnosis.advice:
        yield "Advice", " ".join(diagnosis.advice)
    if diagnosis.cannot:
        yield "Cannot be estimated", "; ".join(diagnosis.cannot) + "."


def _confidence(found: Confidence) -> str:
    """Ranking, distance, and the curve of calibration: for each bin what was said, and what share it came to."""
    ranks = (
        f"AUROC {number(found.auroc.value, '.3f')} {ends(found.auroc.low, found.auroc.high, digits=3, scale=1)}; "
        if (found.auroc)
        else ""
    )
    brier = f"Brier score {found.brier.value:.3f} {ends(found.brier.low, found.brier.high, digits=3, scale=1)}"
    curve = "; ".join(f"said {100 * part.mean:.0f}%, came {100 * part.observed.value:.0f}%" for part in found.curve)
    return f"{ranks}{brier}, of the share alone {found.base:.3f}; calibration: {curve}."


def _bias(score: BiasScore) -> str:
    left = score.undetermined + score.unparsed
    return number(score.value, "+.2f") + (f" ({left} of {left + score.n} answers left out)" if left else "")


def _forecast(chain: Forecast) -> str:
    known = [(name, rate) for name, rate in (("CL", chain.keep), ("CS", chain.repair)) if rate is not None]
    told = ", ".join(["from the first step", *(f"{name} = {100 * rate:.1f}%" for name, rate in known)])
    told += f"; further rounds tend to {share(chain.fixed_point, interval=True)}" if chain.fixed_point else ""
    if measured := [line.inside for line in chain.rounds if line.inside is not None]:
        told += f"; {sum(measured)} of {len(measured)} measured rounds lie inside"
    return f"{told}. Warning: {chain.warning}." if chain.warning else f"{told}."
