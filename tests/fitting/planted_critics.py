"""Answers, critics and consequences with known rates, drawn by a seed."""

import numpy as np
import pandas as pd

REPAIR = {"wrong": 0.6, "right": 0.05, "unclear": 0.2}
HARM = {"wrong": 0.3, "right": 0.02, "unclear": 0.1}
GROUPS = ("age", "body", "class")


def draw(critics, *, templates=80, each=10, accuracy=0.6, seed=0):
    """Records of one arm a critic, each a function of (right, group, rng) that gives verdicts and scores."""
    rng = np.random.default_rng(seed)
    n = templates * each
    template = np.repeat(np.arange(templates), each)
    group = np.array(GROUPS)[template % len(GROUPS)]
    right = rng.random(n) < accuracy
    key = rng.integers(0, 3, n)
    answer = np.array(list("ABC"))[(key + np.where(right, 0, rng.integers(1, 3, n))) % 3]
    arms = []
    for name, critic in critics.items():
        verdict, score = critic(right, group, rng)
        after = follow(right, verdict, rng)
        common = {"arm": name, "sample": [f"s{i}" for i in range(n)], "template": template, "group": group}
        common |= {"status": "ok", "tokens_in": 30, "tokens_out": 20 if verdict is not None else 5}
        first = {"round": 0, "answer": answer, "correct": right, "verdict": verdict, "score": score}
        second = {"round": 1, "answer": "D", "correct": after, "verdict": None, "score": np.nan}
        arms += [pd.DataFrame({**common, **first}), pd.DataFrame({**common, **second})]
    return pd.concat(arms, ignore_index=True)


def follow(right, verdict, rng):
    """Second answers by the planted rates."""
    said = np.full(len(right), "right") if verdict is None else verdict
    repair, harm = (np.array([rates[word] for word in said]) for rates in (REPAIR, HARM))
    return np.where(right, rng.random(len(right)) >= harm, rng.random(len(right)) < repair)


def fair(accuracy):
    """A critic that is right with one probability; its score is what it believes."""

    def critic(right, group, rng):
        says_right = (rng.random(len(right)) < accuracy) == right
        score = np.where(says_right, 80, 20) + rng.integers(-20, 21, len(right))
        return np.where(says_right, "right", "wrong"), score

    return critic


def blind_in(name, accuracy):
    """Right with one probability, but calls everything of one group wrong."""

    def critic(right, group, rng):
        verdict, score = fair(accuracy)(right, group, rng)
        return np.where(group == name, "wrong", verdict), score

    return critic


def silent(right, group, rng):
    """No critic."""
    return None, np.nan
