"""Elicitation: where nothing can be read of a reply, the model is asked once more, held to what may be said.

What it says then is read in the reply's place and is no part of the conversation that goes on. Beside it stands how
sure the model was: the probability of each choice at the place where one was stated, of their mass alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from secondlook.correction.chat import ChatModel, Completion, Finish, Message, Usage
from secondlook.correction.likelihood import Place, place_of, shares_at, shares_of

ElicitMode = Literal["line", "choice", "auto"]
Shares: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Form:
    """Form that an answer, or a verdict, may have, and the words that ask for it alone.

    Attributes:
        ask: The request for it.
        read: The choice that a text states (where choices are open, what it states); ``None`` where it states none.
        choices: All that may be said, as it is to be said; empty where that is open.
        number: Whether an open form is that of a number.
    """

    ask: str
    read: Callable[[str, Finish], str | None]
    choices: tuple[str, ...] = ()
    number: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A reply that was held to a form.

    Attributes:
        completion: The reply itself.
        how: ``logits``; the parameter that the server takes, e.g. ``response_format``; or ``turn``, a plain one.
        shares: Probability of each choice, in order, where it is known.
    """

    completion: Completion
    how: str
    shares: tuple[float, ...] | None = None


@runtime_checkable
class Chooses(Protocol):
    """A model that can be held to a form."""

    async def choose(self, messages: Sequence[Message], form: Form, *, seed: int | None = None) -> Held:
        """Reply in a form, or in a plain turn where the model cannot be held to it."""
        ...


@runtime_checkable
class Scores(Protocol):
    """A model that tells how likely a continuation of its own turn is."""

    async def score(self, messages: Sequence[Message], place: Place) -> Sequence[float] | None:
        """Log-probability of each continuation; ``None`` where it does not tell."""
        ...


@dataclass(frozen=True, slots=True)
class Elicited:
    """Reply of a model that was asked once more.

    Attributes:
        text: Its words.
        how: As in :class:`Held`.
        read: Whether it can be read; it is then read in the reply's place.
        usage: What asking cost.
        seconds: How long it took.
        finish: Why it ended.
    """

    text: str
    how: str
    read: bool
    usage: Usage
    seconds: float
    finish: Finish = "stop"


def stated(text: str, finish: Finish, elicited: Elicited | None) -> tuple[str, Finish]:
    """The text that a reply is read from, and why it ended: what was elicited if that can be read, else the reply."""
    if elicited is not None and elicited.read:
        return elicited.text, elicited.finish
    return text, finish


@dataclass(frozen=True, slots=True)
class Asking:
    """Rules for replies that state nothing, and whether it is noted how sure the model was.

    Attributes:
        elicit: ``line`` never asks once more, ``auto`` where nothing can be read, ``choice`` always.
        confidence: Whether probabilities are noted.
    """

    elicit: ElicitMode = "line"
    confidence: bool = False

    async def settle(
        self, model: ChatModel, messages: Sequence[Message], said: Completion, form: Form | None, seed: int | None
    ) -> tuple[Elicited | None, Shares | None]:
        """Ask the model once more where the rules say so, and find the probability of each choice, if it is known.

        Args:
            model: Who said it.
            messages: The conversation that it replied to.
            said: The reply.
            form: Its form; ``None`` where it has none.
            seed: Of the reply.
        """
        if form is None:
            return None, None
        read = form.read(said.text, said.finish)
        if self.elicit == "choice" or (self.elicit == "auto" and read is None):
            return await self._once_more(model, messages, said, form, seed)
        return None, await self._shares(model, messages, said, read, form)

    async def _once_more(
        self, model: ChatModel, messages: Sequence[Message], said: Completion, form: Form, seed: int | None
    ) -> tuple[Elicited, Shares | None]:
        *before, request = messages
        asked = (*messages, Message("assistant", said.text), Message("user", form.ask))
        if not said.text.strip():  # servers refuse empty turns
            asked = (*before, Message("user", f"{request.content}\n\n{form.ask}"))
        start = time.perf_counter()
        if isinstance(model, Chooses):
            held = await model.choose(asked, form, seed=seed)
        else:
            held = Held(await model.complete(asked, seed=seed), "turn")
        seconds, reply = time.perf_counter() - start, held.completion
        read = form.read(reply.text, reply.finish)
        elicited = Elicited(reply.text, held.how, read is not None, reply.usage, seconds, reply.finish)
        if held.shares is not None:
            return elicited, dict(zip(form.choices, held.shares, strict=True)) if self.confidence else None
        return elicited, await self._shares(model, asked, reply, read, form)

    async def _shares(
        self, model: ChatModel, messages: Sequence[Message], said: Completion, read: str | None, form: Form
    ) -> Shares | None:
        if not self.confidence or read not in form.choices:
            return None
        place = place_of(said.text, read, form.choices)
        if place is None:
            return None
        scored = await model.score(messages, place) if isinstance(model, Scores) else None
        shares = shares_at(place, said) if scored is None else shares_of(scored)
        return None if shares is None else dict(zip(form.choices, shares, strict=True))


NEVER = Asking()
"""Asking that asks nobody once more, and notes nothing."""
