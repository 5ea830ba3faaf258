"""A fitted critic: others are asked, and what they say becomes one verdict with a probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from secondlook.correction.case import Case
from secondlook.correction.chat import Usage
from secondlook.correction.critics.protocol import AbstainedError, Critic, Examination
from secondlook.correction.elicit import stated
from secondlook.correction.transcript import Critique
from secondlook.fitted import Fitted


@dataclass(frozen=True, slots=True)
class FittedCritic:
    """Says what a fitted critic makes of other critics' verdicts and probabilities, and of the answer's own.

    Where one of those asked said the same, its words are shown; else the prompt's own words for the verdict.

    Attributes:
        fitted: The critic.
        critics: Who is asked, by the name that its inputs have.
    """

    fitted: Fitted
    critics: Mapping[str, Critic] = field(default_factory=dict)
    name: str = "fitted"

    async def examine(self, exam: Examination) -> Critique:
        """Ask the others, one after the other, and decide."""
        known: dict[str, str | float | None] = {"p_answer": None if math.isnan(exam.p_answer) else exam.p_answer}
        said, usage, seconds = list[Critique](), Usage(), 0.0
        for name, critic in self.critics.items():
            try:
                critique = await critic.examine(exam)
            except AbstainedError:  # one that it asks: the others, and what is known without it, decide
                continue
            if critique is not None:
                said.append(critique)
                usage, seconds = usage + critique.cost, seconds + critique.took
                exam.spent[:] = [usage]  # in place of what the critic itself has put there
                known |= said_of(name, critique, exam.case)
        verdict, wrong = self.fitted.verdict(known), self.fitted.wrong(known)
        words = next((each for each in said if each.verdict == verdict), None)
        text = words.text if words is not None else exam.case.feedback(verdict)
        shares = None if wrong is None else {"wrong": round(wrong, 6), "right": round(1 - wrong, 6)}
        return Critique(text, verdict, usage, seconds, reasoning=words.reasoning if words else "", shares=shares)


def said_of(name: str, critique: Critique, case: Case) -> dict[str, str | float | None]:
    """Facts that a critique tells, by the names of a fitted critic's inputs."""
    said, form = stated(critique.text, critique.finish, critique.elicited), case.verdict_form
    return {
        f"verdict of {name}": critique.verdict,
        f"p_wrong of {name}": (critique.shares or {}).get("wrong"),
        f"score of {name}": None if form is None else _score(form.read(*said)),
    }


def _score(said: str | None) -> float | None:
    """The number of a score as it is stated, after its label; ``None`` of a verdict in words."""
    try:
        return float((said or "").rsplit(" ", 1)[-1])
    except ValueError:
        return None
