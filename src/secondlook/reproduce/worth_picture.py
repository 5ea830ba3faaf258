"""The figure of T12: gain against alarm precision, and rounds of three critics against Upp, by forward passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from secondlook.construct.prove.looks import Looks
from secondlook.construct.prove.worth import sample
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.outcome import ClaimEstimate
from secondlook.evidence.result import pictured
from secondlook.objective import ErringCritic

CRITICS = (ErringCritic(0.95, 0.6), ErringCritic(0.75, 0.75), ErringCritic(0.6, 0.35))
SIZE, ROUNDS, CHAINS, EVERY = 1.0, 400, 32, 20
_ODDS = np.linspace(0.06, 0.94, 12)
_FINER = np.linspace(0.01, 0.99, 99)


def picture(seed: int = 0) -> dict[str, Any]:
    """Panels and curves as JSON has them."""
    panels = (
        Panel("gain", "One look", "alarm precision P(wrong | alarm)", "expected move of the log-odds, units of c"),
        Panel("rounds", f"Rounds, mean of {CHAINS} models", "round", "mean of p so far"),
    )
    curves = [curve for critic in CRITICS for curve in (*_gain(critic, seed), *_rounds(critic, seed))]
    return pictured(panels, curves)


def _label(critic: ErringCritic) -> str:
    return f"a₁ = {critic.keeps:g}, a₀ = {critic.alarms:g}"


def _gain(critic: ErringCritic, seed: int) -> list[Curve]:
    """E δ' − δ of forward passes on both verdicts; and E(u − p)."""
    looks = Looks([SIZE] * len(_ODDS), np.log(_ODDS / (1 - _ODDS)).tolist(), seed)
    steps = [looks.step(torch.full_like(looks.c, u)) for u in (1.0, 0.0)]
    # δ' − δ = 2 ΔWx·(y₊ − y₋) as in `Looks.margin`, in units of c.
    up, down = ((2 * (step * looks.apart).sum(-1)).numpy() / SIZE for step in steps)
    share = critic.favours(_ODDS)
    moved = (share * up + (1 - share) * down).tolist()
    points = tuple(ClaimEstimate(y, y, y, 1) for y in moved)
    return [
        Curve("gain", _label(critic), tuple(critic.precision(_ODDS).tolist()), kind="points", points=points),
        Curve("gain", "E(u − p)", tuple(critic.precision(_FINER).tolist()), (tuple(critic.drift(_FINER)),), "baseline"),
    ]


def _rounds(critic: ErringCritic, seed: int) -> list[Curve]:
    """The mean of p so far, over models that answer by chance; and Upp."""
    looks = Looks([SIZE] * CHAINS, [0.0] * CHAINS, seed)
    _, path = sample(looks, (critic,) * CHAINS, ROUNDS, seed)
    means = np.cumsum(path, axis=0) / np.arange(1, ROUNDS + 1)[:, None]
    # Every round at first, when the mean moves most, then every twentieth.
    at = np.r_[0:EVERY, 2 * EVERY - 1 : ROUNDS : EVERY]
    x, limit = tuple((at + 1.0).tolist()), critic.limit
    assert limit is not None  # none of these never alarms
    # Acc_t = Upp − (CL − CS)^t (Upp − Acc_0) (arXiv 2508.16456), with CL = a₁, CS = a₀; a margin of 0 is p = ½.
    recursion = tuple(limit - (critic.keeps - critic.alarms) ** (round_ - 1) * (limit - 0.5) for round_ in x)
    return [
        Curve("rounds", _label(critic), x, tuple(map(tuple, means[at].T.tolist()))),
        Curve("rounds", f"Upp = {limit:.2f}", x, ((limit,) * len(x),), "baseline"),
        Curve("rounds", "two-rate recursion", x, (recursion,), "baseline"),
    ]
