"""Making the critic better on records: a threshold for its score, a vote of several, a small trained one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import ALARM, PASS, SILENT, UNCLEAR, VERDICTS, numbers
from secondlook.diagnosis.examined import CriticRow, Examined, Verdicts, arms, examined, judge, mean_tokens, rates
from secondlook.diagnosis.panel import agreement, cost, panel, said
from secondlook.diagnosis.trained import deal, features_of, train


@dataclass(frozen=True, slots=True, eq=False)
class Better:
    """A better critic, beside the one that was asked.

    Attributes:
        rows: The critic that was asked, then the better ones, on the same answers.
        verdicts: The last one's verdicts: the answers' records with its ``verdict`` in words.
        notes: What must be known to read them.
    """

    rows: list[CriticRow]
    verdicts: pd.DataFrame
    notes: list[str]


def calibrate(records: pd.DataFrame, arm: str | None = None, *, seed: int = 0) -> Better:
    """A threshold for a critic that gives a number: below it an answer counts as wrong.

    It is chosen on half of the templates, to gain most in answers by the consequences measured there (not to be right
    most often: where an alarm harms more than it repairs, the best critic says little), and judged on the other half.

    Args:
        records: Records with a column ``score``: the critic's number for an answer, higher for a better one.
        arm: The arm; by default ``self``, or the first with verdicts.
        seed: Seed of the split by template.

    Raises:
        ValueError: If there is no score, or nothing was examined.
    """
    of = _base(records, arm)
    if "score" not in of.rows:
        raise ValueError("the table has no column 'score'; a threshold needs the critic's number for each answer")
    score = numbers(of.rows["score"], "score", least=-np.inf)
    pilot = deal(of.templates, 2, seed) == 0
    threshold, expected = best_threshold(of.take(pilot), score[pilot])
    verdict = by_threshold(score, threshold)
    held = of.take(~pilot)
    notes = [
        f"threshold {threshold:g} chosen on {pilot.sum()} answers (gain there {100 * expected:+.1f} points, "
        f"which flatters it), judged on the {len(held)} others"
    ]
    if lost := int(np.isnan(score).sum()):
        notes.append(f"{lost} answers have no score: unclear")
    row = judge(held, f"score below {threshold:g} is wrong", verdict[~pilot], mean_tokens(held.tokens))
    return Better([_asked(held), row], _told(of, verdict), notes)


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
    note = f"{left} answers were not judged by every critic, or were answered differently: left out"
    return Better([_asked(of), *alone, row], _told(of, verdict), [note] if left else [])


def majority(given: Sequence[Verdicts]) -> Verdicts:
    """Majority of the verdicts that can be read; ``unclear`` at a tie."""
    alarms, passes = (np.sum([verdict == word for verdict in given], axis=0) for word in (ALARM, PASS))
    return np.where(alarms > passes, ALARM, np.where(passes > alarms, PASS, UNCLEAR)).astype(np.int8)


def trained(
    records: pd.DataFrame, arm: str | None = None, *, folds: int = 5, seed: int = 0, without: Sequence[str] = ()
) -> Better:
    """A small critic trained on what the records hold; see :mod:`secondlook.diagnosis.trained`.

    Critics that judged the same answers become features; those named in ``without`` are left out, e.g. ``context``,
    which a benchmark knows and a deployed critic does not.

    Raises:
        ValueError: If a feature to leave out is not there, there are too few templates, or the answers are all right
            or all wrong.
    """
    of = _base(records, arm)
    beside = panel(records, of)
    given = said(beside)
    features = features_of(of, given, agreement(beside, of))
    if unknown := [name for name in without if name not in features]:
        raise ValueError(f"no feature {unknown[0]!r} to leave out; there are {', '.join(map(str, features))}")
    critic = train(of, features.drop(columns=list(without)), folds=folds, seed=seed)
    aims = {"right verdicts": critic.accurate, "right answers": critic.useful}
    rows = [judge(of, f"trained, for {aim}", verdict, cost(beside, list(given))) for aim, verdict in aims.items()]
    notes = [
        f"trained on {', '.join(critic.features)}; {folds} folds by template",
        "a critic trained on a benchmark's records knows that benchmark, its groups and its other critics; what it is "
        "worth on other questions is not measured",
    ]
    if "context" in critic.features:
        notes.append("it knows the context, which a benchmark tells and a user does not: see also without it")
    return Better([_asked(of), *rows], _told(of, critic.useful), notes)


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
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
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


def _asked(of: Examined) -> CriticRow:
    """The critic that was asked."""
    return judge(of, of.arm, of.verdict, mean_tokens(of.tokens))


def _told(of: Examined, verdict: Verdicts) -> pd.DataFrame:
    return of.rows.assign(verdict=[VERDICTS[word] for word in verdict])
