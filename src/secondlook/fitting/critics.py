"""Making the critic better on records: a threshold for its score, a vote of several, a small trained one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import ALARM, PASS, SILENT, UNCLEAR, VERDICTS, numbers
from secondlook.fitted import Fitted, Input, Isotonic, Limit, Linear, Votes
from secondlook.fitting.examined import CriticRow, Examined, Verdicts, arms, examined, judge, mean_tokens, rates
from secondlook.fitting.learn import Kind, isotonic, logistic
from secondlook.fitting.panel import agreement, cost, panel, said
from secondlook.fitting.trained import deal, features_of, served_features, train, useful_threshold
from secondlook.machine import whole

Calibration: TypeAlias = Literal["limit", "platt", "isotonic"]


@dataclass(frozen=True, slots=True, eq=False)
class Better:
    """A better critic, beside the one that was asked.

    Attributes:
        rows: The critic that was asked, then the better ones, on the same answers.
        verdicts: The last one's verdicts: the answers' records with its ``verdict`` in words, each fitted on other
            templates.
        notes: What must be known to read them.
        fitted: The last one as it can be served; ``None`` where it knows what only records hold.
        arm: The arm that was asked.
        asks: Arms whose critics it asks.
    """

    rows: list[CriticRow]
    verdicts: pd.DataFrame
    notes: list[str]
    fitted: Fitted | None
    arm: str
    asks: tuple[str, ...]


def calibrate(
    records: pd.DataFrame, arm: str | None = None, *, on: str | None = None, to: Calibration = "limit", seed: int = 0
) -> Better:
    """A threshold for a critic that gives a number, or a probability that the number calls for.

    It is chosen on half of the templates, to gain most in answers by the consequences measured there (not to be right
    most often: where an alarm harms more than it repairs, the best critic says little), and judged on the other half.

    Args:
        records: Records with a column ``score``, the critic's number for an answer, higher for a better one, or
            ``p_wrong``.
        arm: The arm; by default ``self``, or the first with verdicts.
        on: Which of the two; by default ``score`` where there is one.
        to: A ``limit`` that stands for itself; or a probability by Platt's logistic regression (``platt``) or
            ``isotonic`` regression, above a threshold of which an alarm repairs more than it harms.
        seed: Seed of the split by template.

    Raises:
        ValueError: If there is no score, or nothing was examined.
    """
    of = _base(records, arm)
    known = [name for name in ("score", "p_wrong") if name in of.rows and of.rows[name].notna().any()]
    if on is not None and on not in known:
        raise ValueError(f"the table has no column {on!r}; a threshold needs the critic's number for each answer")
    if not known:
        raise ValueError(
            "the table has no column 'score' or 'p_wrong'; a threshold needs the critic's number for each answer"
        )
    name = on or known[0]
    number = numbers(of.rows[name], name, least=-np.inf)
    pilot = deal(of.templates, 2, seed) == 0
    train_on, held = of.take(pilot), of.take(~pilot)
    source = f"{name} of {of.arm}"
    if to == "limit":
        # Thresholds are for numbers that are higher for better answers: p_wrong takes its negative here, and by the
        # scale −1 where it is served.
        score = number if name == "score" else -number
        threshold, expected = best_threshold(train_on, score[pilot])
        verdict = by_threshold(score, threshold)
        crossed = by_threshold(score, best_threshold(held, score[~pilot])[0])
        title = f"score below {threshold:g}" if name == "score" else f"p_wrong above {-threshold:g}"
        shown = threshold if name == "score" else -threshold
        notes = [
            f"threshold {shown:g} chosen on {pilot.sum()} answers (gain there "
            f"{100 * expected:+.1f} points, which flatters it), judged on the {len(held)} others"
        ]
        scaled = Input(source) if name == "score" else Input(source, scale=-1.0)
        # A threshold of −∞ or ∞ never or always raises an alarm: no critic to serve, and JSON has no infinity.
        fitted = Fitted([scaled], Limit("limit", threshold), 0.5) if np.isfinite(threshold) else None
    else:
        fitted = _mapped(train_on, number[pilot], source, to)
        verdict = _by_fitted(fitted, source, number)
        crossed = _by_fitted(_mapped(held, number[~pilot], source, to), source, number)
        title = f"{name} by {to}, wrong above {fitted.threshold:.2f}"
        notes = [f"{to} regression and threshold fitted on {pilot.sum()} answers, judged on the {len(held)} others"]
    if lost := int(np.isnan(number).sum()):
        notes.append(f"{lost} answers have no {name}: unclear")
    row = judge(held, f"{title} is wrong" if to == "limit" else title, verdict[~pilot], mean_tokens(held.tokens))
    # What was chosen on an answer would flatter a run with its verdict: each half has those of what the other chose.
    verdict = np.where(pilot, crossed, verdict)
    return Better([_asked(held), row], _told(of, verdict), notes + _by_judge(of), fitted, of.arm, (of.arm,))


def _mapped(of: Examined, number: Array, source: str, to: Calibration) -> Fitted:
    """A number made a probability of wrong."""
    has = ~np.isnan(number)
    if of.right[has].all() or not of.right[has].any():
        raise ValueError("the answers that have a number are all right or all wrong; there is nothing to calibrate")
    scaled = Input(source, None, float(number[has].mean()), float(number[has].std()) or 1.0)
    x, wrong = ((number[has] - scaled.mean) / scaled.scale)[:, None], (~of.right[has]).astype(float)
    # Platt's regression is not held back: one weight, and hundreds of answers.
    form: Linear | Isotonic = logistic(x, wrong, penalty=1e-6) if to == "platt" else isotonic(x, wrong)
    return Fitted([scaled], form, useful_threshold(of))


def _by_fitted(fitted: Fitted, source: str, number: Array) -> Verdicts:
    """A fitted critic's verdicts by its one number."""
    said = [fitted.verdict({source: None if np.isnan(each) else float(each)}) for each in number]
    return np.asarray([VERDICTS.index(word) for word in said], dtype=np.int8)


def best_threshold(of: Examined, score: Array) -> tuple[float, float]:
    """The threshold that gains most, and that gain; −inf if the critic had best never raise an alarm.

    Answers without a score (NaN) are left out; that none has one is an error.
    """
    has = ~np.isnan(score)
    if not has.any():
        raise ValueError("no answer has a score")
    known = rates(of)
    right = of.right[has]
    alarm, silent = (np.where(right, known[True, word], known[False, word]) for word in (ALARM, PASS))
    order = np.argsort(score[has], kind="stable")
    ranked = score[has][order]
    # total[i]: the gain if the i lowest scores are alarms; only between different scores can a threshold stand.
    total = silent.sum() + np.r_[0.0, np.cumsum((alarm - silent)[order])]
    possible = np.r_[True, ranked[1:] > ranked[:-1], True]
    best = int(np.argmax(np.where(possible, total, -np.inf)))
    edges = np.r_[-np.inf, (ranked[1:] + ranked[:-1]) / 2, np.inf]
    return float(edges[best]), float(total[best] / has.sum())


def by_threshold(score: Array, threshold: float) -> Verdicts:
    """Wrong below the threshold, right at or above it, unclear without a score."""
    return np.where(np.isnan(score), UNCLEAR, np.where(score < threshold, ALARM, PASS)).astype(np.int8)


def vote(records: pd.DataFrame, arm: str | None = None) -> Better:
    """The majority of several critics that judged the same answers.

    ``arm`` is the one whose second answers tell what verdicts lead to; by default ``self``, or the first with verdicts.

    Raises:
        ValueError: If fewer than two critics judged an answer.
    """
    of = _base(records, arm)
    given = said(panel(records, of))
    if len(given) < 2:
        raise ValueError("only one critic judged these answers; a vote takes arms of at least two, on the same answers")
    by_all = np.all([verdict != SILENT for verdict in given.values()], axis=0)
    if not by_all.any():
        raise ValueError("no answer was judged by all critics; a vote takes verdicts on the same answers")
    of, given = of.take(by_all), {name: verdict[by_all] for name, verdict in given.items()}
    beside = panel(records, of)
    alone = [judge(of, name, its, cost(beside, [name])) for name, its in given.items() if name != of.arm]
    verdict = majority(list(given.values()))
    row = judge(of, f"vote of {', '.join(given)}", verdict, cost(beside, list(given)))
    left = int((~by_all).sum())
    notes = [f"{left} answers were not judged by every critic, or were answered differently: left out"] if left else []
    notes += _by_judge(of)
    fitted = Fitted(
        [Input(f"verdict of {name}", word) for name in given for word in ("wrong", "right")], Votes("vote"), 0.5
    )
    return Better([_asked(of), *alone, row], _told(of, verdict), notes, fitted, of.arm, tuple(given))


def majority(given: Sequence[Verdicts]) -> Verdicts:
    """Majority of the verdicts that can be read; ``unclear`` at a tie."""
    alarms, passes = (np.sum([verdict == word for verdict in given], axis=0) for word in (ALARM, PASS))
    return np.where(alarms > passes, ALARM, np.where(passes > alarms, PASS, UNCLEAR)).astype(np.int8)


def trained(
    records: pd.DataFrame,
    arm: str | None = None,
    *,
    kind: Kind = "logistic",
    folds: int = 5,
    seed: int = 0,
    without: Sequence[str] = (),
    asked: Sequence[str] | None = None,
) -> Better:
    """A small critic trained on what the records hold; see :mod:`secondlook.fitting.trained`.

    Critics that judged the same answers become features; those named in ``without`` are left out, e.g. ``context``,
    which a benchmark knows and a deployed critic does not. With ``asked``, the arms whose critics can be asked, it is
    trained on nothing but what a critic knows that is served, and can be.

    Raises:
        ValueError: If a feature to leave out is not there, there are too few templates, the answers are all right or
            all wrong, or no feature differs between them.
    """
    of = _base(records, arm)
    beside = panel(records, of)
    given = {name: verdict for name, verdict in said(beside).items() if asked is None or name in asked}
    serves = asked is not None
    features = served_features(of, beside, asked or ()) if serves else features_of(of, given, agreement(beside, of))
    if unknown := [name for name in without if name not in features]:
        raise ValueError(f"no feature {unknown[0]!r} to leave out; there are {', '.join(map(str, features))}")
    critic = train(of, features.drop(columns=list(without)), kind=kind, folds=folds, seed=seed)
    aims = {"right verdicts": critic.accurate, "right answers": critic.useful}
    rows = [judge(of, f"trained, for {aim}", verdict, cost(beside, list(given))) for aim, verdict in aims.items()]
    notes = [
        f"trained on {', '.join(critic.features)}; {kind}, {folds} folds by template",
        "a critic trained on a benchmark's records knows that benchmark, its groups and its other critics; what it is "
        "worth on other questions is not measured",
    ]
    if "context" in critic.features:
        notes.append("it knows the context, which a benchmark tells and a user does not: see also without it")
    notes += _by_judge(of)
    whole = critic.whole if serves else None
    return Better([_asked(of), *rows], _told(of, critic.useful), notes, whole, of.arm, tuple(given))


def write_recorded(path: str | PathLike[str], verdicts: pd.DataFrame, *, answers: bool = False) -> int:
    """Write verdicts as a file of critic ``recorded``, so that the model can be asked again with them.

    Args:
        path: The file, JSON Lines.
        verdicts: :attr:`Better.verdicts`.
        answers: Also write the answer judged: the verdict then stands for exactly this reply. Only where the records
            hold replies word for word, not letters read from them.

    Returns:
        The number of lines.
    """
    lines = []
    for row in verdicts.to_dict("records"):
        line = {"sample": str(row["sample"]), "round": int(row["round"]), "verdict": row["verdict"]}
        lines.append(json.dumps(line | ({"answer": str(row["answer"])} if answers else {}), ensure_ascii=False))
    with whole(Path(path)) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
    return len(lines)


def _base(records: pd.DataFrame, arm: str | None) -> Examined:
    """The arm whose second answers tell what verdicts lead to."""
    known = arms(records)
    if arm is not None and arm not in known:
        raise ValueError(f"no arm {arm!r}; the table has {', '.join(known)}")
    with_verdicts = [name for name, rows in known.items() if rows["verdict"].notna().any()]
    if not with_verdicts:
        raise ValueError("the table has no verdict; give records of a run with a critic")
    return examined(records, arm or ("self" if "self" in with_verdicts else with_verdicts[0]))


def _by_judge(of: Examined) -> list[str]:
    """Note on records whose right and wrong are the word of a model."""
    judges = sorted(of.rows["judge"].dropna().astype(str).unique()) if "judge" in of.rows else []
    return [f"right and wrong are what judge {' and '.join(judges)} says, not the truth"] if judges else []


def _asked(of: Examined) -> CriticRow:
    """The critic that was asked."""
    return judge(of, of.arm, of.verdict, mean_tokens(of.tokens))


def _told(of: Examined, verdict: Verdicts) -> pd.DataFrame:
    return of.rows.assign(verdict=[VERDICTS[word] for word in verdict])
