"""Critics for controlled studies: the truth, the truth with noise, and silence."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from secondlook.correction.case import Verdict, seed_from
from secondlook.correction.critics.protocol import Critic, Examination
from secondlook.correction.transcript import Critique


@dataclass(frozen=True, slots=True)
class OracleCritic:
    """Knows the truth: ``right`` or ``wrong`` as graded, ``unclear`` where the grade is not known."""

    name: str = "oracle"

    async def examine(self, exam: Examination) -> Critique:
        """Grade the answer and say so in the prompt's own words."""
        correct = exam.case.grade(*(exam.stated or (exam.answer, exam.finish)))
        verdict: Verdict = "unclear" if correct is None else "right" if correct else "wrong"
        return Critique(exam.case.feedback(verdict), verdict)


@dataclass(frozen=True, slots=True)
class NoisyCritic:
    """Turns another critic's ``wrong`` into ``right``, and the reverse, with probability ``p``.

    A flip is drawn from ``seed``, sample and round alone, so it does not depend on the order of calls, and
    what is flipped at one ``p`` is flipped at every higher one. A flipped critique is in the prompt's own
    words; one that is not flipped, or unclear, stays as it is. Noise around noise needs a seed of its own,
    or both make the same draws.
    """

    p: float
    inner: Critic
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"p is {self.p!r}: give a probability from 0 to 1")

    @property
    def name(self) -> str:
        """E.g. ``noisy(0.25, oracle)``."""
        return f"noisy({self.p:.15g}, {self.inner.name})"

    async def examine(self, exam: Examination) -> Critique | None:
        """Let the inner critic examine, then flip its verdict or leave it."""
        critique = await self.inner.examine(exam)
        if critique is None or critique.verdict == "unclear":
            return critique
        seed = seed_from(self.seed, "noise", exam.case.sample, exam.round_index)
        if random.Random(seed).random() >= self.p:  # noqa: S311  a repeatable draw is wanted, not a secret one
            return critique
        flipped: Verdict = "right" if critique.verdict == "wrong" else "wrong"
        # The probabilities belong to the verdict that was replaced.
        return replace(critique, text=exam.case.feedback(flipped), verdict=flipped, shares=None)


@dataclass(frozen=True, slots=True)
class SilentCritic:
    """Critic that says nothing: the content-free control, where the model is only asked again."""

    name: str = "none"

    async def examine(self, exam: Examination) -> None:
        """Leave the conversation as it is."""
