"""A language model as critic: the answering model itself, or another one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from secondlook.correction.case import Case
from secondlook.correction.chat import ChatModel, Completion, Message, WithheldError
from secondlook.correction.critics.protocol import Examination
from secondlook.correction.elicit import NEVER, Shares, stated
from secondlook.correction.transcript import Critique, Preference


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
        exam.spent.append(critique.usage)
        try:
            elicited, shares = await exam.asking.settle(self.model, shown, said, exam.case.verdict_form, exam.seed)
        except WithheldError as error:
            return replace(critique, usage=critique.usage + error.usage)
        if elicited is not None and elicited.read:
            critique = replace(critique, verdict=exam.case.verdict(elicited.text, elicited.finish))
        return replace(critique, elicited=elicited, shares=_by_verdict(exam.case, shares))

    async def prefer(self, exam: Examination) -> Preference:
        """Ask which answer is the better one; see :func:`preferred`."""
        return await preferred(self.model, exam)


@dataclass(frozen=True, slots=True)
class AcceptCritic:
    """Says nothing of an answer, and accepts or rejects the one that is given after it: propose, then accept."""

    model: ChatModel
    name: str = "accept-reject"

    async def examine(self, exam: Examination) -> None:
        """Leave the conversation as it is."""

    async def prefer(self, exam: Examination) -> Preference:
        """Ask which answer is the better one; see :func:`preferred`."""
        return await preferred(self.model, exam)


async def preferred(model: ChatModel, exam: Examination) -> Preference:
    """Ask a model, in the conversation that holds both, whether the earlier or the latest answer is the better one.

    Its reply is no part of the conversation that goes on. One that says neither, or is refused, prefers none.

    Raises:
        ValueError: The case has no words for it.
    """
    if (form := exam.case.preference_form) is None:
        raise ValueError(f"prompt {exam.case.prompt} has no words to ask which answer is better; choose another --keep")
    shown, start = (*exam.messages, Message("user", form.ask)), time.perf_counter()
    try:
        said = await model.complete(shown, seed=exam.seed)
    except WithheldError as error:
        return Preference("", None, error.usage, time.perf_counter() - start)
    seconds, usage = time.perf_counter() - start, said.usage
    exam.spent.append(usage)
    try:
        # A preference holds no probabilities, which might cost another pass of the model.
        elicited, _ = await replace(exam.asking, confidence=False).settle(model, shown, said, form, exam.seed)
    except WithheldError as error:
        elicited, usage = None, usage + error.usage
    read = form.read(*stated(said.text, said.finish, elicited))
    return Preference(said.text, None if read is None else read == form.choices[-1], usage, seconds, elicited)


def _by_verdict(case: Case, shares: Shares | None) -> dict[str, float] | None:
    """Probability of each verdict: of a score, that of all scores which amount to it."""
    if shares is None:
        return None
    verdicts = {choice: case.verdict(choice) for choice in shares}
    return {
        verdict: round(sum(share for choice, share in shares.items() if verdicts[choice] == verdict), 6)
        for verdict in ("wrong", "right")
    }
