"""Forms of a fitted critic, fitted by scikit-learn (an extra) and written down as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.fitted import DecisionTree, Input, Isotonic, Linear, Trees

Kind: TypeAlias = Literal["logistic", "trees"]


def inputs_of(features: pd.DataFrame, training: Array) -> list[Input]:
    """Inputs: numbers standardised and words as indicators, by what the training rows hold; constants fall out."""
    found = []
    for name in map(str, features):
        column = features[name]
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(float)
            seen = values[training & np.isfinite(values)]
            if seen.size and seen.std() > 0:
                found.append(Input(name, None, float(seen.mean()), float(seen.std())))
        else:
            # The first level is the base: indicators of all levels would sum to 1, as the intercept does.
            levels = np.unique(column.astype(str).to_numpy(object)[training])
            found += [Input(name, str(level)) for level in levels[1:]]
    return found


def words_of(features: pd.DataFrame, inputs: Sequence[Input]) -> dict[str, list[str]]:
    """All words of the columns that the inputs read, by name."""
    names = dict.fromkeys(one.name for one in inputs if one.level is not None)
    return {name: sorted(set(features[name].astype(str))) for name in names}


def design(features: pd.DataFrame, inputs: Sequence[Input]) -> Array:
    """The inputs' numbers, a column each; as :meth:`~secondlook.fitted.Input.read` has them, over a whole table."""
    columns = []
    for one in inputs:
        column = features[one.name]
        if one.level is not None:
            columns.append((column.astype(str) == one.level).to_numpy(float))
        else:
            values = (column.to_numpy(float) - one.mean) / one.scale
            columns.append(np.where(np.isfinite(values), values, 0.0))
    return np.column_stack(columns) if columns else np.empty((len(features), 0))


def logistic(x: Array, wrong: Array, penalty: float = 1.0) -> Linear:
    """Logistic regression with ½ · penalty · ‖w‖² beside the summed log-loss; without inputs, a rate."""
    from sklearn.linear_model import LogisticRegression

    if not x.shape[1]:
        rate = float(np.mean(wrong))
        return Linear("linear", [], float(np.log(rate / (1 - rate))))
    found = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=1000).fit(x, wrong)
    return Linear("linear", [float(w) for w in found.coef_[0]], float(found.intercept_[0]))


def isotonic(x: Array, wrong: Array) -> Isotonic:
    """Isotonic regression of one input, rising or falling as the data do."""
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(y_min=0.0, y_max=1.0, increasing="auto", out_of_bounds="clip").fit(x[:, 0], wrong)
    return Isotonic("isotonic", found.X_thresholds_.tolist(), found.y_thresholds_.tolist())


def trees(x: Array, wrong: Array, seed: int = 0) -> Trees:
    """Gradient-boosted trees: 100 of depth 2, a tenth of a step each, leaves of ten answers or more."""
    from sklearn.ensemble import GradientBoostingClassifier

    # scikit-learn starts at the log-odds of the share, and its own learning_rate is 0.1.
    found = GradientBoostingClassifier(max_depth=2, min_samples_leaf=10, random_state=seed).fit(x, wrong)
    rate = float(np.mean(wrong))
    return Trees(
        "trees", [_tree(each.tree_) for each in found.estimators_[:, 0]], float(np.log(rate / (1 - rate))), 0.1
    )


def _tree(of: object) -> DecisionTree:
    feature, threshold, left, right, value = (
        np.asarray(getattr(of, name)) for name in ("feature", "threshold", "children_left", "children_right", "value")
    )
    return DecisionTree(
        [int(each) for each in feature],
        [float(each) for each in threshold],
        [int(each) for each in left],
        [int(each) for each in right],
        [float(each) for each in value[:, 0, 0]],
    )


def probabilities(form: Linear | Isotonic | Trees, x: Array) -> Array:
    """Probability of wrong of every row."""
    return np.asarray([form.wrong(row) for row in x.tolist()])
