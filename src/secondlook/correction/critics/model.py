"""A language model as critic: the answering model itself, or another one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from secondlook.correction.chat import ChatModel, Message
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
        """Show the conversation and the check question; read the reply strictly."""
        start = time.perf_counter()
        check = Message("user", exam.case.check(exam.round_index))
        completion = await self.model.complete((*exam.messages, check), seed=exam.seed)
        seconds = time.perf_counter() - start
        return Critique(completion.text, exam.case.verdict(completion.text), completion.usage, seconds)
