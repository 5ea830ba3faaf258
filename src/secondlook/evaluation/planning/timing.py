"""How long a study takes: a law of latencies, and one that turns latencies into wall time, fitted to a pilot.

Two laws of few terms, each by non-negative least squares:

    seconds of a call = per call + per uncached prompt token + per reply token          over kinds of calls
    seconds of an arm = per question x questions + work x sum of its calls' seconds     over arms

While requests are in flight side by side their seconds add up to more than the clock's; `work` is the part of a
request's seconds that is the endpoint's own, the inverse of the concurrency that was reached. `per question` is the
harness's: it does not shrink with more endpoints. A pilot of one arm cannot tell the two apart, and gives all to the
endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from secondlook.evaluation.planning.tokens import Cell, Ratio, Spent, nearest


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of a call.

    Attributes:
        call: For the call.
        prompt_token: For a prompt token that no cache served.
        reply_token: For a token of the reply.
    """

    call: float
    prompt_token: float
    reply_token: float

    def __call__(self, calls: float, uncached: float, replied: float) -> float:
        """Seconds of so many calls with so many tokens."""
        return calls * self.call + uncached * self.prompt_token + replied * self.reply_token


@dataclass(frozen=True, slots=True)
class Clock:
    """From latencies to wall time.

    Attributes:
        question: Seconds of the harness for a question.
        work: Seconds of the endpoint for a second of latency.
    """

    question: float
    work: float


def fit_latency(known: Sequence[Mapping[Cell, Ratio]], spent: Sequence[Mapping[Cell, Spent]]) -> Latency:
    """The law of latencies over all kinds of calls of all arms, each with the weight of its calls."""
    rows, seconds, weights = [], [], []
    for ratios, tokens in zip(known, spent, strict=True):
        for cell, ratio in ratios.items():
            calls = tokens[cell].calls
            rows.append([1.0, ratio.prompt * (1 - ratio.cached), ratio.reply])
            seconds.append(ratio.seconds)
            weights.append(calls)
    matrix, root = np.array(rows), np.sqrt(weights)
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(matrix / scale * root[:, None], np.array(seconds) * root)
    return Latency(*(float(value) for value in found / scale))


def seconds_of(law: Latency, known: Mapping[Cell, Ratio], spent: Mapping[Cell, Spent]) -> float:
    """Sum of the seconds of all calls of an arm of a study.

    A kind of call takes what it took in the pilot, and what the law says that its other length adds or spares.
    """
    total = 0.0
    for cell, tokens in spent.items():
        ratio = known[nearest(known, cell)]
        as_before = law(tokens.calls, tokens.calls * ratio.prompt * (1 - ratio.cached), tokens.calls * ratio.reply)
        now = law(tokens.calls, tokens.tokens_in - tokens.tokens_cached, tokens.tokens_out)
        total += max(0.0, tokens.calls * ratio.seconds + now - as_before)
    return total


def fit_clock(questions: Sequence[int], latencies: Sequence[float], spans: Sequence[float]) -> Clock:
    """The law of wall time over arms; all is the endpoint's where one arm, or one kind of arms, cannot tell."""
    matrix = np.column_stack([questions, latencies]).astype(float)
    spanned = np.array(spans, float)
    if np.linalg.matrix_rank(matrix / matrix.max(axis=0), tol=1e-3) < matrix.shape[1]:
        return Clock(0.0, float(spanned.sum() / matrix[:, 1].sum()))
    scale = matrix.max(axis=0)
    found, _ = nnls(matrix / scale, spanned)
    return Clock(*(float(value) for value in found / scale))
