"""A small critic trained on records: logistic regression, every verdict from a model that never saw its template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, special

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import ALARM, PASS, VERDICTS
from secondlook.diagnosis.examined import Examined, Verdicts, rates

_LEVELS = 20  # values a column of words may have to be a feature


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """A critic trained by cross-fitting.

    Attributes:
        wrong: Probability that each answer is not right, out of fold, shape ``(n,)``.
        accurate: Verdicts that are right most often: an alarm above one half.
        useful: Verdicts after which answers are right most often: an alarm where it is expected to repair more than it
            harms, by the consequences measured on the training folds.
        features: Their names.
    """

    wrong: Array
    accurate: Verdicts
    useful: Verdicts
    features: tuple[str, ...]


def train(of: Examined, features: pd.DataFrame, *, folds: int = 5, penalty: float = 1.0, seed: int = 0) -> CrossFitted:
    """Train on all templates but a fold's, and judge the answers of that fold; each fold in turn.

    Args:
        of: The answers.
        features: From :func:`features_of`: words become indicators, numbers are standardised (by what is seen in
            training).
        folds: Parts the templates are dealt into.
        penalty: Weight of ½‖w‖² beside the summed log-loss; the intercept is free.
        seed: Seed of the dealing.

    Raises:
        ValueError: If there are fewer templates than folds, or the answers are all right or all wrong.
    """
    if of.right.all() or not of.right.any():
        raise ValueError("the answers are all right or all wrong; there is nothing for a critic to learn")
    fold = deal(of.templates, folds, seed)
    wrong, useful = np.empty(len(of)), np.empty(len(of), dtype=np.int8)
    for number in range(folds):
        held = fold == number
        fitted = _design(features, ~held)
        weights = fit(fitted[~held], ~of.right[~held], penalty)
        wrong[held] = special.expit(weights[0] + fitted[held] @ weights[1:])
        useful[held] = _best(of.take(~held), wrong[held])
    accurate = np.where(wrong > 0.5, ALARM, PASS).astype(np.int8)
    return CrossFitted(wrong, accurate, useful, tuple(features.columns))


def fit(x: Array, y: Array, penalty: float) -> Array:
    """Weights of a logistic regression with an L2 penalty, the intercept first, shape ``(1 + k,)``."""
    design = np.column_stack([np.ones(len(x)), x])
    shrink = np.r_[0.0, np.full(x.shape[1], penalty)]
    target = np.asarray(y, dtype=float)

    def loss(weights: Array) -> tuple[float, Array]:
        score = design @ weights
        value = np.logaddexp(0, score).sum() - target @ score + 0.5 * (shrink * weights**2).sum()
        return float(value), design.T @ (special.expit(score) - target) + shrink * weights

    found = optimize.minimize(
        loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-6}
    )
    return np.asarray(found.x, dtype=float)


def deal(templates: pd.Series, parts: int, seed: int) -> Array:
    """A part for each answer, 0 to ``parts`` − 1: whole templates, as many to each part.

    Raises:
        ValueError: If there are fewer templates than parts.
    """
    index, names = pd.factorize(templates.astype(str), sort=True)
    if len(names) < parts:
        raise ValueError(f"the answers come from {len(names)} templates; at least {parts} are needed to train and test")
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray((order % parts)[index])


def features_of(of: Examined, verdicts: Mapping[str, Verdicts], agreement: Array | None = None) -> pd.DataFrame:
    """Features of an answer known before the model answers again, one row an answer.

    Args:
        of: The answers.
        verdicts: What critics said of these answers, by critic (:func:`secondlook.diagnosis.panel.said`).
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


def _design(features: pd.DataFrame, training: Array) -> Array:
    """Numbers standardised and words as indicators, by what the training rows hold; constants fall out."""
    parts = []
    for name in features:
        column = features[name]
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(float)
            seen = values[training & np.isfinite(values)]
            if seen.size and seen.std() > 0:
                parts.append(np.where(np.isfinite(values), (values - seen.mean()) / seen.std(), 0.0))
        else:
            words = column.astype(str).to_numpy(object)
            levels = np.unique(words[training])
            parts += [(words == level).astype(float) for level in levels[1:]]
    return np.column_stack(parts) if parts else np.empty((len(features), 0))


def _best(of: Examined, wrong: Array) -> Verdicts:
    """The verdict with the larger expected gain."""
    gain = rates(of)
    alarm, passed = (wrong * gain[False, said] + (1 - wrong) * gain[True, said] for said in (ALARM, PASS))
    return np.where(alarm > passed, ALARM, PASS).astype(np.int8)
