"""A small critic trained on records, every verdict from a model that never saw its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import ALARM, PASS, SILENT, UNCLEAR, VERDICTS
from secondlook.fitted import Fitted, Input, Linear, Trees
from secondlook.fitting.examined import Examined, Verdicts, rates
from secondlook.fitting.learn import Kind, design, inputs_of, logistic, probabilities, trees, words_of
from secondlook.fitting.panel import Panel, said

_LEVELS = 20  # values a column of words may have to be a feature


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """A critic trained by cross-fitting.

    Attributes:
        wrong: Probability that each answer is not right, out of fold, shape ``(n,)``.
        accurate: Verdicts that are right most often: an alarm above one half, unclear where no feature is known.
        useful: Verdicts after which answers are right most often: an alarm where it is expected to repair more than it
            harms, by the consequences measured on the training folds.
        features: Their names.
        whole: The critic trained on all templates, for answers to come; its threshold is that of ``useful``.
    """

    wrong: Array
    accurate: Verdicts
    useful: Verdicts
    features: tuple[str, ...]
    whole: Fitted


def train(
    of: Examined,
    features: pd.DataFrame,
    *,
    kind: Kind = "logistic",
    folds: int = 5,
    penalty: float = 1.0,
    seed: int = 0,
) -> CrossFitted:
    """Train on all templates but a fold's, and judge the answers of that fold; each fold in turn.

    Args:
        of: The answers.
        features: From :func:`features_of`: words become indicators, numbers are standardised (by what is seen in
            training).
        kind: ``logistic`` regression or gradient-boosted ``trees``.
        folds: Parts the templates are dealt into.
        penalty: Weight of ½‖w‖² beside the summed log-loss of the regression.
        seed: Seed of the dealing, and of the trees.

    Raises:
        ValueError: If there are fewer templates than folds, the answers are all right or all wrong, or those outside
            one fold are, or no feature differs between answers.
    """
    fold = deal(of.templates, folds, seed)
    wrong, useful = np.empty(len(of)), np.empty(len(of), dtype=np.int8)

    def learn(training: Array) -> tuple[list[Input], Linear | Trees]:
        y = ~of.right[training]
        if y.all() or not y.any():
            where = "" if training.all() else f" outside one of the {folds} folds"
            raise ValueError(
                f"the answers{where} are all right or all wrong; there is nothing for a critic to learn: give records "
                "of more questions"
            )
        inputs = inputs_of(features, training)
        x = design(features[training], inputs)
        return inputs, trees(x, y, seed) if kind == "trees" and inputs else logistic(x, y, penalty)

    # The whole first: where all answers are alike, the message should say so, and not blame a fold.
    inputs, form = learn(np.ones(len(of), dtype=bool))
    if not inputs:
        # Judged, it would say what most answers are; served, it would know nothing, and say unclear of each.
        known = ", ".join(map(str, features)) or "there is none"
        raise ValueError(
            f"no feature differs between the answers ({known}); there is nothing for a critic to learn from: give "
            "records of further critics, or with p_wrong, score or p_answer"
        )
    whole = Fitted(inputs, form, useful_threshold(of), words_of(features, inputs))
    for number in range(folds):
        held = fold == number
        inputs, form = learn(~held)
        wrong[held] = probabilities(form, design(features[held], inputs))
        useful[held] = np.where(wrong[held] > useful_threshold(of.take(~held)), ALARM, PASS)
    accurate = np.where(wrong > 0.5, ALARM, PASS).astype(np.int8)
    # As it is served: of an answer of which it knows nothing it says unclear.
    read = features[list({one.name: None for one in whole.inputs})]
    nothing = (read.isna() | read.eq(VERDICTS[SILENT])).all(axis=1).to_numpy()
    accurate[nothing] = useful[nothing] = UNCLEAR
    return CrossFitted(wrong, accurate, useful, tuple(features.columns), whole)


def deal(templates: pd.Series, parts: int, seed: int) -> Array:
    """A part for each answer, 0 to ``parts`` − 1: whole templates, as many to each part.

    Raises:
        ValueError: If there are fewer templates than parts.
    """
    # Sorted, so that the parts do not depend on the order of the rows.
    index, names = pd.factorize(templates.astype(str), sort=True)
    if len(names) < parts:
        raise ValueError(f"the answers come from {len(names)} templates; at least {parts} are needed to train and test")
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray((order % parts)[index])


def features_of(of: Examined, verdicts: Mapping[str, Verdicts], agreement: Array | None = None) -> pd.DataFrame:
    """Features of an answer known before the model answers again, one row an answer.

    Those that a critic has where it is served, with no benchmark beside it, are :func:`served_features`.

    Args:
        of: The answers.
        verdicts: What critics said of these answers, by critic (:func:`secondlook.fitting.panel.said`).
        agreement: Share of other arms' first answers to the question that are the same, where arms sample their own.
    """
    rows = of.rows
    columns: dict[str, object] = {
        f"verdict of {name}": np.asarray(VERDICTS, dtype=object)[verdict] for name, verdict in verdicts.items()
    }
    for name in ("group", "context", "answer", "status"):
        if name in rows and 2 <= rows[name].nunique(dropna=False) <= _LEVELS:
            columns[name] = rows[name].astype(str)
    amounts = {name: pd.to_numeric(rows[name], errors="coerce") for name in ("score", "tokens_out") if name in rows}
    if "answer" in rows:
        amounts["length"] = rows["answer"].astype(str).str.len().map(np.log1p)
    if agreement is not None:
        amounts["agreement"] = pd.Series(agreement, index=rows.index)
    columns |= {name: amount for name, amount in amounts.items() if amount.nunique() > 1}
    return pd.DataFrame(columns, index=rows.index)


def served_features(of: Examined, beside: Panel, asked: Sequence[str]) -> pd.DataFrame:
    """Features that a served critic knows of an answer, one row an answer, by the names of its inputs.

    What critics that can be asked say (verdict, probability, score), and the model's own probability of its answer.

    Args:
        of: The answers.
        beside: What each arm holds of them.
        asked: Arms whose critics can be asked.
    """
    columns: dict[str, object] = {}
    for name, verdict in said(beside).items():
        if name not in asked:
            continue
        columns[f"verdict of {name}"] = np.asarray(VERDICTS, dtype=object)[verdict]
        for number in ("p_wrong", "score"):
            if number in beside[name]:
                values = pd.to_numeric(beside[name][number], errors="coerce").where(beside[name]["same"])
                columns[f"{number} of {name}"] = values.to_numpy(float)
    if "p_answer" in of.rows:
        columns["p_answer"] = pd.to_numeric(of.rows["p_answer"], errors="coerce").to_numpy(float)
    made = pd.DataFrame(columns, index=of.rows.index)
    return made.loc[:, made.nunique() > 1]


def useful_threshold(of: Examined) -> float:
    """The probability of wrong above which an alarm is expected to repair more than it harms, from 0 to 1.

    With w that probability, an alarm gains w · repair − (1 − w) · harm more than a pass, by what followed both.
    """
    gain = rates(of)
    repair, harm = gain[False, ALARM] - gain[False, PASS], gain[True, PASS] - gain[True, ALARM]
    if repair + harm <= 0:  # the more likely an answer is wrong, the less an alarm gains
        return 1.0 if harm >= 0 else 0.0
    return float(np.clip(harm / (repair + harm), 0.0, 1.0))
