"""Replay of a gate on looks that are on record: the very decision of the loop, over a whole arm at once.

A run that always looks again holds all that a gate chooses from: both answers, what the critic said of each, what each
call cost. What a gate would have done is then known, question by question, and nothing is predicted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import RIGHT, VERDICTS
from secondlook.diagnosis.table import Arm
from secondlook.gate import ALWAYS, NEVER, UNSATISFIED, Gate, Keep, Seen

# The verdicts as the loop has them, None where nobody examined.
_SAID = np.asarray([None, *VERDICTS[1:]], dtype=object)
_STEPS = np.linspace(0.1, 0.9, 9)  # quantiles of a probability that are tried as thresholds


@dataclass(frozen=True, slots=True)
class SampleAgreement:
    """Agreement of samples with the first answers of an arm.

    Attributes:
        share: Of the first k samples of each question, those that are its first answer, shape ``(n,)``.
        tokens: What these samples cost, shape ``(n,)``; not a number where that is not known.
    """

    share: Array
    tokens: Array


@dataclass(frozen=True, slots=True)
class Replayed:
    """A gate over an arm.

    Attributes:
        right: Whether the answer in hand at the end is right, shape ``(n,)``.
        looks: Second looks made.
        tokens: Tokens spent; not a number where they are not known.
    """

    right: Array
    looks: Array
    tokens: Array


def replay(
    arm: Arm, gate: Gate, rounds: int, agreements: Mapping[int, SampleAgreement] | None = None
) -> Replayed | None:
    """Replay a gate on an arm's questions; ``None`` where it would look where nobody has looked.

    Args:
        arm: An arm whose looks are on record.
        gate: The gate.
        rounds: Second looks at most.
        agreements: By number of samples; they are of first answers, so that a gate by agreement looks once.
    """
    known = arm.tokens is not None and arm.critique_tokens is not None
    nothing = np.full(arm.proposed.shape, math.nan)
    spent_on, critique = (arm.tokens, arm.critique_tokens) if known else (nothing, nothing)
    assert spent_on is not None
    assert critique is not None
    # A row's tokens hold its answer, critique and judgement; a gate pays for each only where it asks for it.
    answer = spent_on - critique - arm.judge_tokens
    alive = arm.proposed[:, 0] >= 0
    right, looks, tokens = arm.proposed[:, 0] == RIGHT, np.zeros(len(arm.sample)), answer[:, 0].copy()
    sampled = None if gate.samples is None else (agreements or {}).get(gate.samples)
    if gate.samples is not None:
        if sampled is None or rounds > 1:
            return None
        tokens += sampled.tokens
    heard = np.zeros(len(alive), dtype=bool)
    for round_ in range(1, rounds + 1):
        before = round_ - 1
        seen = Seen(
            _SAID[arm.verdict[:, before]],
            arm.p_wrong[:, before],
            arm.p_answer[:, before],
            math.nan if sampled is None else sampled.share,
        )
        wants = alive & np.broadcast_to(np.asarray(gate.looks(seen), dtype=bool), alive.shape)
        # A gate by the critic needs every critique, others those of the answers they look at. What `confirmed` a new
        # answer is also the critique of the next look, and is paid once.
        examined = (alive if gate.by_critic else wants) & ~heard
        tokens += np.where(examined, critique[:, before], 0.0)
        there = arm.answered[:, round_] | arm.failed[:, round_]
        if (wants & ~there).any():
            return None
        looks += wants
        tokens += np.where(wants, answer[:, round_], 0.0)
        # A call that failed is a look and is paid; the earlier answer stays, and the loop ends.
        new = wants & arm.answered[:, round_]
        if gate.keep == "preferred":
            tokens += np.where(new, arm.judge_tokens[:, round_], 0.0)
        if gate.keep == "confirmed":
            tokens += np.where(new, critique[:, round_], 0.0)
        kept = gate.keeps(preferred=arm.preferred[:, round_] == 1, verdict=_SAID[arm.verdict[:, round_]])
        alive = new & np.broadcast_to(np.asarray(kept, dtype=bool), new.shape)
        heard = alive & (gate.keep == "confirmed")
        right = np.where(alive, arm.proposed[:, round_] == RIGHT, right)
    return Replayed(right, looks, tokens)


def candidates(arm: Arm, agreements: Mapping[int, SampleAgreement]) -> Iterator[tuple[Gate, int]]:
    """Gates that an arm's records can tell of, and how often each may look; the simplest first.

    Thresholds are quantiles of what was seen of the questions, never of what became of them.
    """
    yield NEVER, 0
    judged = (arm.preferred[:, 1:] >= 0).any()
    for rounds in range(1, arm.rounds):
        # The last answer of a loop is not examined: what confirms has to have been said of every new one.
        keeps: list[Keep] = ["new"]
        keeps += ["preferred"] if judged else []
        keeps += ["confirmed"] if (arm.verdict[:, 1 : rounds + 1] > 0).any(axis=0).all() else []
        for keep in keeps:
            yield Gate(ALWAYS.when, keep=keep), rounds
            if (arm.verdict[:, 0] > 0).any():
                yield Gate(UNSATISFIED.when, keep=keep), rounds
                yield Gate("alarm", keep=keep), rounds
            yield from ((Gate("p_wrong", at, keep=keep), rounds) for at in _thresholds(arm.p_wrong[:, 0]))
            yield from ((Gate("p_answer", at, keep=keep), rounds) for at in _thresholds(arm.p_answer[:, 0]))
            for count in agreements if rounds == 1 else ():
                levels = (level / count for level in range(1, count + 1))
                yield from ((Gate("agreement", level, count, keep), rounds) for level in levels)


def _thresholds(values: Array) -> Sequence[float]:
    """Quantiles, to four digits; none where nothing differs."""
    seen = values[~np.isnan(values)]
    if not seen.size or np.ptp(seen) == 0:
        return ()
    return sorted({min(1.0, float(f"{at:.4g}")) for at in np.quantile(seen, _STEPS)})


def agreements_of(
    records: pd.DataFrame, samples: Sequence[str], arm: Arm, vote: Arm | None
) -> dict[int, SampleAgreement]:
    """Agreement of the first k samples of the vote with an arm's first answers, for k = 2, 3, 5 as far as there are.

    Args:
        records: With columns ``answer`` and ``sampled``; without them there is none.
        samples: Names, as the table numbers them.
        arm: Whose first answers.
        vote: The control whose answers are samples.
    """
    if vote is None or not {"answer", "sampled", "arm"} <= {*records.columns}:
        return {}
    names = [samples[code] for code in arm.sample]
    rows = records[["arm", "sample", "round", "answer", "sampled"]].astype({"sample": str, "arm": str})
    own = rows[(rows["arm"] == arm.name) & (rows["round"] == 0)].set_index("sample")["answer"].reindex(names)
    mine = rows[rows["arm"] == vote.name].pivot(index="sample", columns="round", values="sampled").reindex(names)
    if mine.isna().all(axis=None):
        return {}
    places = {code: place for place, code in enumerate(vote.sample)}
    # −1 takes any row; what it gives is masked below.
    at = np.asarray([places.get(code, -1) for code in arm.sample])
    found = {}
    for count in (2, 3, 5):
        if count > vote.rounds:
            break
        part = mine[list(range(count))]
        same = part.eq(own, axis=0).to_numpy(bool).mean(axis=1)
        cost = np.full(len(names), math.nan) if vote.tokens is None else vote.tokens[at, :count].sum(axis=1)
        found[count] = SampleAgreement(np.where(at >= 0, same, math.nan), np.where(at >= 0, cost, math.nan))
    return found
