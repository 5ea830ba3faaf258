"""A language model as critic: the answering model itself, or another one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from secondlook.correction.case import Case
from secondlook.correction.chat import ChatModel, Completion, Message, WithheldError
from secondlook.correction.critics.protocol import Examination
from secondlook.correction.elicit import NEVER, Shares
from secondlook.correction.transcript import Critique


@dataclass(frozen=True, slots=True)
class ModelCritic:
    """Asks a model the check question, in the same conversation.

    Self-critique and critique by another model (``name`` is then ``other``) differ in ``model`` alone.
    """

    model: ChatModel
    name: str = "self"

    async def examine(self, exam: Examination) -> Critique:
        """Show the conversation and the check question; read the reply, and ask for the verdict alone if need be.

        A check that the model or a filter refuses is one that states no verdict, and is not asked again.
        """
        start = time.perf_counter()
        shown = (*exam.messages, Message("user", exam.case.check(exam.round_index)))
        withheld = False
        try:
            said = await self.model.complete(shown, seed=exam.seed)
        except WithheldError as error:
            said, withheld = Completion("", error.usage, "filter"), True
        seconds = time.perf_counter() - start
        critique = Critique(
            said.text,
            exam.case.verdict(said.text, said.finish),
            said.usage,
            seconds,
            said.finish,
            said.reasoning,
        )
        if withheld or exam.asking == NEVER:
            return critique
        try:
            elicited, shares = await exam.asking.settle(self.model, shown, said, exam.case.verdict_form, exam.seed)
        except WithheldError as error:
            return replace(critique, usage=critique.usage + error.usage)
        if elicited is not None and elicited.read:
            critique = replace(critique, verdict=exam.case.verdict(elicited.text, elicited.finish))
        return replace(critique, elicited=elicited, shares=_by_verdict(exam.case, shares))


def _by_verdict(case: Case, shares: Shares | None) -> dict[str, float] | None:
    """Probability of each verdict: of a score, that of all scores which amount to it."""
    if shares is None:
        return None
    verdicts = {choice: case.verdict(choice) for choice in shares}
    return {
        verdict: round(sum(share for choice, share in shares.items() if verdicts[choice] == verdict), 6)
        for verdict in ("wrong", "right")
    }
