"""A language model as critic: the answering model itself, or another one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from secondlook.correction.chat import ChatModel, Completion, Message, WithheldError
from secondlook.correction.critics.protocol import Examination
from secondlook.correction.transcript import Critique


@dataclass(frozen=True, slots=True)
class ModelCritic:
    """Asks a model the check question, in the same conversation.

    Self-critique and critique by another model (``name`` is then ``other``) differ in ``model`` alone.
    """

    model: ChatModel
    name: str = "self"

    async def examine(self, exam: Examination) -> Critique:
        """Show the conversation and the check question; read the reply strictly.

        A check that the model or a filter refuses is one that states no verdict.
        """
        start = time.perf_counter()
        check = Message("user", exam.case.check(exam.round_index))
        try:
            completion = await self.model.complete((*exam.messages, check), seed=exam.seed)
        except WithheldError as withheld:
            completion = Completion("", withheld.usage, "filter")
        seconds = time.perf_counter() - start
        verdict = exam.case.verdict(completion.text, completion.finish)
        return Critique(completion.text, verdict, completion.usage, seconds, completion.finish)
