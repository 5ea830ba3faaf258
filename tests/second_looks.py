"""Tables with known rates, and the slow walk that every fast number is compared with."""

import numpy as np
import pandas as pd

STATES = ("right", "wrong", "unparsed", "refused")


def simulate(
    n=1000,
    rounds=2,
    *,
    accuracy=0.6,
    false_alarm=0.2,
    miss=0.3,
    harm=0.6,
    repair=0.7,
    templates=None,
    seed=0,
    critique=0,
    **names,
):
    """Answers and verdicts of a subject that obeys alarms with known rates, and does nothing without one.

    ``critique`` is how many of a row's tokens the critique took.
    """
    rng = np.random.default_rng(seed)
    right = rng.random(n) < accuracy
    parts = []
    for round_ in range(rounds + 1):
        alarm = np.where(right, rng.random(n) < false_alarm, rng.random(n) >= miss)
        parts.append(
            pd.DataFrame(
                {
                    "sample": [f"s{index}" for index in range(n)],
                    "template": [f"t{index % (templates or n)}" for index in range(n)],
                    "group": [f"g{index % 4}" for index in range(n)],
                    "round": round_,
                    "correct": right,
                    "verdict": np.where(alarm, "wrong", "right") if round_ < rounds else None,
                    "tokens": 100 + 10 * round_,
                    "tokens_critique": critique if round_ < rounds else 0,
                    "status": "ok",
                    "arm": "self",
                    **names,
                }
            )
        )
        obeyed = rng.random(n) < np.where(right, harm, repair)
        right = right ^ (alarm & obeyed)
    return pd.concat(parts, ignore_index=True)


def chain(matrix, start, n, rounds, *, templates=None, rng, fixed=False):
    """A table of samples that move between states by a matrix; ``fixed`` lets each sample draw its luck but once."""
    matrix, states = np.asarray(matrix), STATES[: len(start)]
    luck = rng.random(n)
    state = np.searchsorted(np.cumsum(start)[:-1], rng.random(n), side="right")
    parts = []
    for round_ in range(rounds + 1):
        names = np.asarray(states)[state]
        parts.append(
            pd.DataFrame(
                {
                    "sample": np.arange(n),
                    "template": np.arange(n) % (templates or n),
                    "round": round_,
                    "correct": pd.array(names == "right", dtype="boolean"),
                    "status": np.where(np.isin(names, ("right", "wrong")), "ok", names),
                }
            )
        )
        parts[-1].loc[parts[-1]["status"] != "ok", "correct"] = pd.NA
        drawn = luck if fixed else rng.random(n)
        state = (drawn[:, None] >= np.cumsum(matrix, axis=1)[state][:, :-1]).sum(axis=1)
    return pd.concat(parts, ignore_index=True)


def judged(n=400):
    """A table by a judge's word, by which a quarter of the answers turn right, half of them in group ``a``."""
    rng = np.random.default_rng(0)
    first = rng.random(n) < 0.4
    second = first | (rng.random(n) < 0.43)
    number = np.arange(n)
    about = {"sample": number.astype(str), "template": number % 40, "group": np.where(number % 2, "b", "a")}
    about |= {"arm": "self", "judge": "j", "verdict": None}
    frames = [pd.DataFrame({**about, "round": at, "correct": right}) for at, right in enumerate((first, second))]
    return pd.concat(frames, ignore_index=True)


def labels_of(frame, group, of=10, *, true_gain):
    """Labels of every so many samples of a group, where nothing is gained; or all is, as the judge says."""
    mine = frame[(frame["group"] == group) & (frame["sample"].astype(int) // 2 % of == 0)]
    first = mine[mine["round"] == 0].set_index("sample")["correct"]
    return {
        (None, row.sample, row.round): bool(row.correct if true_gain else first[row.sample])
        for row in mine.itertuples()
    }


def walk(frame):
    """Every sample's rounds as dictionaries: ``own`` is the state of their answer, ``state`` of the answer in hand."""
    samples = {}
    for row in frame.sort_values(["sample", "round"]).to_dict("records"):
        rows = samples.setdefault(row["sample"], [])
        failed = row["status"] == "error"
        held = rows[-1]["state"] if rows else None
        own = row["status"] if row["correct"] is None else ("right" if row["correct"] else "wrong")
        kept = not failed and row.get("kept", True)
        rows.append({**row, "failed": failed, "own": None if failed else own, "state": own if kept else held})
    return samples
