"""L10: does a transformer that is trained on a critic's verdicts move its odds as T12's layer does, by c(u − p)?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab.experiment import Lab, Variant, seen
from secondlook.lab.objectives import margins
from secondlook.lab.scale import TRAINED
from secondlook.lab.tasks import Episodes, Task

ERRS = 0.25
"""Probability that the critic is wrong, about right and wrong answers alike."""
N, D, LONGER = 12, 2, 5.0
"""Verdicts of a context, width of an answer, and steps of training in units of the base's: counting takes longer.

At 2.5 the base ended 0.11 nats above what a count reaches, and was not trained: only that was changed for another run.
"""
_BINS = np.linspace(0, 1, 11)
_FEW = 10  # steps in a bin, below which nothing is drawn


@dataclass(frozen=True)
class Steps:
    """Every move of a model's log-odds by one more verdict.

    Attributes:
        moved: δ' − δ.
        favours: u, 1 where the verdict favours the right answer.
        before: p = σ(δ).
        size: ‖x‖²‖y₊ − y₋‖², to which T12's c is proportional.
    """

    moved: np.ndarray
    favours: np.ndarray
    before: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, predictions: Tensor, episodes: Episodes, at: list[int]) -> Steps:
        """Steps between the prefixes where a model was read, one verdict apart."""
        delta = margins(predictions, episodes).double()
        # Verdict k, counted from 0, is what prefix k + 1 has seen and prefix k has not.
        favours = _favours(episodes)[:, at[0] :]
        answers = episodes.responses[:, 0, :2]
        apart = (answers[:, 0] - answers[:, 1]).square().sum(-1) * episodes.queries[:, 0].square().sum(-1)
        parts = (delta.diff(dim=1), favours, delta.sigmoid()[:, :-1], apart[:, None].expand_as(favours))
        return cls(*(part.double().numpy().ravel() for part in parts))

    def explained(self, step: np.ndarray) -> float:
        """Share of the variance of the moves that the best multiple of a step explains."""
        # A negative multiple is a step the other way: not this step.
        factor = max(0.0, float(step @ self.moved / (step @ step)))
        left = self.moved - factor * step
        # About the mean: what explains less than a constant move has a share below 0.
        return 1 - float(left @ left) / float(((self.moved - self.moved.mean()) ** 2).sum())

    def follows(self) -> float:
        """Share explained by c(u − p), with one c, or one η and c = 4η‖x‖²‖y₊ − y₋‖²: the better of both."""
        step = self.favours - self.before
        return max(self.explained(step), self.explained(self.size * step))

    def counts(self) -> float:
        """Share explained by the same step up or down each time, as in Bayes' rule for a critic of known accuracy."""
        return self.explained(2 * self.favours - 1)

    def shrinks(self) -> float:
        """Dependence on p over dependence on u: 1 of c(u − p), 0 of a count."""
        columns = np.stack([np.ones_like(self.moved), self.favours, -self.before], axis=1)
        _, on_verdict, on_odds = np.linalg.lstsq(columns, self.moved, rcond=None)[0]
        return float(on_odds / on_verdict)

    def by_odds(self, favours: int) -> np.ndarray:
        """Mean move in each bin of p; not a number where there are few."""
        which = self.favours == favours
        place = np.digitize(self.before[which], _BINS[1:-1])
        found = [self.moved[which][place == number] for number in range(len(_BINS) - 1)]
        return np.array([one.mean() if one.size >= _FEW else np.nan for one in found])


def _favours(episodes: Episodes) -> Tensor:
    """Whether each verdict favours the right answer: it is right about the one that it judges; [batch, n]."""
    return (episodes.rewards == episodes.clean)[:, 0]


def run(lab: Lab) -> Findings:
    """Train on verdicts, and look at every step that one more verdict makes."""
    task = Task("verdicts", n=N, dx=D, dy=D, noise="adversarial", p=ERRS)
    shape, steps_ = replace(lab.base.shape, layout="merged"), round(LONGER * lab.base.steps)
    base = replace(lab.base, task=task, shape=shape, objective="right", steps=steps_)
    variants = lab.tune([Variant("transformer", base)])
    members = lab.train(variants)["transformer"]
    run_, at = members[0].run, seen(members[0].run)
    episodes = lab.exam(run_).episodes
    # Bayes' rule: each verdict moves the log-odds by log((1 − e)/e), up or down.
    counted = np.log((1 - ERRS) / ERRS) * (2.0 * _favours(episodes).double() - 1).cumsum(1)[:, at[0] - 1 :]
    least = torch.nn.functional.softplus(-counted).mean().item()
    made = [member.predict(episodes) for member in members]
    losses = [torch.nn.functional.softplus(-margins(one, episodes)).mean().item() for one in made]
    steps = [Steps.of(one, episodes, at) for one in made]
    middles = (_BINS[1:] + _BINS[:-1]) / 2
    curves = []
    for favours, name in ((1, "for the right answer"), (0, "for the wrong one")):
        lines = np.stack([one.by_odds(favours) for one in steps])
        known = np.isfinite(lines).all(0)
        if known.any():
            x = tuple(middles[known].tolist())
            curves.append(Curve("step", f"verdict {name}", x, tuple(map(tuple, lines[:, known].tolist()))))
    slope = float(np.mean([_slope(one) for one in steps]))
    for favours, name in ((1, "for the right"), (0, "for the wrong")):
        theirs = tuple((slope * (favours - middles)).tolist())
        curves.append(Curve("step", f"c(u − p), {name}", tuple(middles.tolist()), (theirs,), "baseline"))
    return Findings(
        {
            "follows": [one.follows() for one in steps],
            "shrinks": [one.shrinks() for one in steps],
            "counts": [one.counts() - one.follows() for one in steps],
        },
        (Panel("step", "One more verdict", "p before it", "change of the log-odds"),),
        tuple(curves),
        variants=tuple(variants),
        notes=(
            f"The critic errs with probability {ERRS:g}. A model that counts as Bayes' rule does has a loss of "
            f"{least:.3f} nats, these have {', '.join(f'{loss:.3f}' for loss in losses)}.",
            f"One step up or down explains {np.mean([one.counts() for one in steps]):.2f} of the variance, c(u − p) "
            f"{np.mean([one.follows() for one in steps]):.2f}.",
        ),
        untrained=f"The base ended {max(losses) - least:.2f} nats above what a count reaches: it was not trained."
        if max(losses) - least >= TRAINED
        else "",
    )


def _slope(steps: Steps) -> float:
    step = steps.favours - steps.before
    return max(0.0, float(step @ steps.moved / (step @ step)))


EXPERIMENT = Experiment(
    "L10",
    "does training find the verdict's step",
    "A transformer trained on a critic's verdicts moves its log-odds with each by c(u − p), as one layer can.",
    "ours",
    (
        Part("follows", "c(u − p) explains of the variance of its steps a share above", above=0.9),
        Part("shrinks", "its step shrinks as p grows: dependence on p over that on u", above=0.8, below=1.2),
        Part(
            "counts",
            "the same step up or down each time, as in Bayes' rule, explains a larger share, by less than",
            below=0.0,
        ),
    ),
    run,
)
