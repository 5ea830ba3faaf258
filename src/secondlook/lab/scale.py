"""Scale where an ablation can fail: from what a fixed rule reaches to the least loss there is.

On the released task all differences of responses are collinear, so that Σ(r−½)y, a linear head that nobody trained, has
most of the way from a random guess to the optimum. A transformer is judged on the way that is left:

    skill = (L_ref − L) / (L_ref − L_opt),

where L_opt is the least loss in each context and L_ref that of the better of two rules that learn nothing: Σ(r−½)y, and
the mean of the responses, which is blind to rewards. Loss is counted problem by problem, the way that is left as the
mean over problems: of a single problem it can be nearly 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from secondlook.evidence.outcome import ClaimEstimate
from secondlook.lab import averages
from secondlook.lab.exam import Exam
from secondlook.lab.tasks import Episodes

Standing = Literal["solves", "neither", "fails", "base not trained"]
# Declared in docs/laboratory.md before what they judge was run: none of the three may follow a result.
FAILS = 0.0
"""Skill below which a variant fails: it does worse than a rule that learns nothing."""
SOLVES = 0.05
"""Nats above the optimum below which it solves the task."""
TRAINED = 0.1
"""Nats above the optimum from which a base counts as not trained; its variants in that seed are not judged."""


def half_weighted(episodes: Episodes, seen: list[int]) -> Tensor:
    """Σ (r_i − ½) y_i: a linear head that knows the middle of the rewards, and is not trained."""
    y, r, at = averages.single_query(episodes, seen)
    return averages.as_given(((r - 0.5) * y).cumsum(1)[:, at], episodes)


RULES: dict[str, Callable[[Episodes, list[int]], Tensor]] = {"Σ(r−½)y": half_weighted, "mean": averages.mean}
"""Rules that learn nothing."""


@dataclass(frozen=True, eq=False)
class Scale:
    """The scale of an exam, at the prefixes of one layout.

    Attributes:
        exam: Whose.
        seen: How much has been seen where predictions are judged.
        rule: Name of the better rule.
        reference: Its loss above the optimum, ``[batch]``, mean over prefixes.
    """

    exam: Exam
    seen: tuple[int, ...]
    rule: str
    reference: Tensor

    @classmethod
    def of(cls, exam: Exam, seen: Sequence[int]) -> Scale:
        """The scale of an exam.

        Raises:
            ValueError: An exam whose optimum is not known: another objective than `pl-cosine`, or several queries.
        """
        at = list(seen)
        rules = {name: _by_problem(exam, rule(exam.episodes, at), at) for name, rule in RULES.items()}
        best = min(rules, key=lambda name: rules[name].mean().item())
        return cls(exam, tuple(at), best, rules[best])

    @property
    def way(self) -> float:
        """Nats from the rule to the optimum, mean over problems."""
        return self.reference.mean().item()

    def excess(self, predictions: Tensor) -> Tensor:
        """Loss above the optimum of every problem ``[batch]``, mean over prefixes; predictions ``[batch, p, dy]``."""
        return _by_problem(self.exam, predictions, list(self.seen))

    def skill(self, excess: Tensor) -> ClaimEstimate:
        """Skill, from the excess ``[seeds, batch]``: 0 is the rule's, 1 the optimum's."""
        return self._share(self.reference - excess)

    def behind(self, excess: Tensor, base: Tensor) -> ClaimEstimate:
        """The base's skill less another's, from the excess of both, ``[seeds, batch]``."""
        return self._share(excess - base)

    def _share(self, nats: Tensor) -> ClaimEstimate:
        """Mean of numbers ``[seeds, batch]`` as a share of the way.

        Both are means over the same problems, so the interval is that of their ratio, by the delta method (Cochran,
        Sampling Techniques, 1977, section 6.4).
        """
        share = nats.mean().item() / self.way
        return ClaimEstimate.crossed((share + (nats - share * self.reference) / self.way).numpy())


@dataclass(frozen=True)
class Judgement:
    """Place of a variant on the scale.

    Attributes:
        standing: What is said of it.
        skill: Over seeds and problems; ``None`` if no seed's base was trained.
        excess: Likewise, in nats.
        behind: Likewise, the base's skill less the variant's, problem by problem.
        seeds: Positions of the seeds that count: those whose base was trained.
    """

    standing: Standing
    skill: ClaimEstimate | None
    excess: ClaimEstimate | None
    behind: ClaimEstimate | None
    seeds: tuple[int, ...]


def stand(scale: Scale, variant: Sequence[Tensor], base: Sequence[Tensor]) -> Judgement:
    """Judge a variant in the seeds whose base was trained.

    It *fails* if the whole interval of its skill is below 0, *solves* the task if that of its excess is below 0.05
    nats, and does *neither* else. Intervals count seeds and problems.

    Args:
        scale: The scale.
        variant: Excess of every problem ``[batch]``, for each seed.
        base: Likewise of the base, for the same seeds.

    Raises:
        ValueError: Another number of seeds than the base's.
    """
    if len(variant) != len(base):
        raise ValueError(f"the variant has {len(variant)} seeds and the base {len(base)}: judge the same ones")
    counted = tuple(number for number, excess in enumerate(base) if excess.mean().item() < TRAINED)
    if not counted:
        return Judgement("base not trained", None, None, None, ())
    own, others = (torch.stack([found[number] for number in counted]) for found in (variant, base))
    excess = ClaimEstimate.crossed(own.numpy())
    skill, behind = scale.skill(own), scale.behind(own, others)
    standing: Standing = "fails" if skill.high < FAILS else "solves" if excess.high < SOLVES else "neither"
    return Judgement(standing, skill, excess, behind, counted)


def _by_problem(exam: Exam, predictions: Tensor, seen: list[int]) -> Tensor:
    return exam.excess(predictions, seen).mean(1).double()
