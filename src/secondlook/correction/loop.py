"""The loop: answer, check, answer again (Checking-as-Context; Wang et al., NeurIPS 2024, section 4)."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import anyio

from secondlook.correction.case import Case, seed_from
from secondlook.correction.chat import ChatModel, Completion, Finish, Message, Usage, WithheldError
from secondlook.correction.critics.protocol import AbstainedError, Critic, Examination, Prefers
from secondlook.correction.elicit import NEVER
from secondlook.correction.plan import Plan
from secondlook.correction.transcript import Critique, Preference, Round, Stop, Transcript
from secondlook.gate import Seen

T = TypeVar("T")


class EmptyCompletionError(Exception):
    """The model returned nothing but white space: neither an answer nor a turn that servers accept."""

    def __init__(self, finish: Finish) -> None:
        remedy = "; it came to its token limit: allow more tokens" if finish == "length" else ""
        super().__init__(f"empty completion (finish reason: {finish}){remedy}")


async def run(
    model: ChatModel,
    critic: Critic,
    case: Case,
    plan: Plan,
    *,
    sampler: ChatModel | None = None,
    on_error: Callable[[Exception], None] | None = None,
) -> Transcript:
    """Ask one question, and look again at the answer as often as the plan says.

    The conversation is: system message, history, query, answer 0; then for every second look the check
    question, the critique, the request to answer again, the new answer. *Every* critic's words stand in the
    assistant's turn after the check question, whoever wrote them: conversations under two critics differ in
    the critique's words alone, so a difference in the answers comes from these words. A critic that says
    nothing leaves out both the check question and the critique. An empty critique is replaced by
    ``case.feedback`` of its verdict, since servers refuse empty turns. The last answer is not examined.
    An answer or a verdict that cannot be read is asked for once more, alone, if the plan says so; that turn is no part
    of the conversation that goes on. In variant ``resample`` every round is the question alone, asked anew; nothing is
    examined.

    The plan's gate decides before every look whether there is one (``stop="gate"``), on the critique where the critic
    decides and before there is one where it does not, and after it whether the new answer is kept; one that is not
    leaves the earlier answer in hand and ends the loop (``stop="rejected"``), as does whatever ends the loop before the
    new one was preferred or confirmed. ``sampler`` is the model whose samples
    may agree with an answer, at a temperature of its own; the model itself by default.

    The last good answer is never lost: whatever goes wrong later ends the loop, and the rounds so far are
    returned. A cancellation from outside is passed on.

    A critic that abstains ends the loop with ``stop="abstained"`` and the answer in hand: it is no failure.
    A refusal by the model or a filter ends the loop with ``stop="refused"``, its words in ``error``: it is no failure.
    ``on_error`` is called with the exception that ended the loop with ``stop="error"``; a caller that must raise it
    again keeps it: ``on_error=errors.append``. The transcript's messages then end with the unanswered request.
    """
    conversation = _Conversation(model, critic, case, plan, sampler or model)
    error: str | None = None
    try:
        stop = await conversation.hold()
    except _SpentError as spent:
        stop = spent.stop
    except AbstainedError:
        stop = "abstained"
    except WithheldError as withheld:
        stop, error = "refused", " ".join(str(withheld).split())
    except Exception as exception:
        stop, error = "error", ": ".join([type(exception).__name__, *str(exception).strip().splitlines()[:1]])
        if on_error is not None:
            on_error(exception)
    return Transcript(
        sample=case.sample,
        prompt=case.prompt,
        model=model.info,
        critic=critic.name,
        variant=plan.variant,
        seed=plan.seed,
        messages=tuple(conversation.messages),
        rounds=tuple(conversation.rounds),
        stop=stop,
        error=error,
        lost=conversation.lost,
        rule=plan.stop,
        keep=plan.decides.keep,
    )


class _SpentError(Exception):
    """A budget is spent."""

    def __init__(self, stop: Stop) -> None:
        self.stop: Stop = stop


@dataclass(slots=True)
class _Conversation:
    model: ChatModel
    critic: Critic
    case: Case
    plan: Plan
    sampler: ChatModel
    messages: list[Message] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    lost: Usage = field(default_factory=Usage)
    opening: int = 0
    tokens: float = 0
    deadline: float = math.inf

    async def hold(self) -> Stop:
        if self.plan.max_seconds is not None:
            self.deadline = anyio.current_time() + self.plan.max_seconds
        if self.case.system is not None:
            self.messages.append(Message("system", self.case.system))
        self.messages.extend(self.plan.history)
        self.opening = len(self.messages)
        await self._answer(0, self.case.query(0))
        for index in range(1, self.plan.rounds + 1):
            if self.plan.variant == "resample":
                await self._answer(index, self.case.query(index))
                continue
            if not await self._looks(index - 1):
                return "satisfied" if self.plan.stop == "satisfied" else "gate"
            await self._answer(index, self._request(index))
            if not await self._keeps(index):
                return "rejected"
            self.rounds[index] = replace(self.rounds[index], kept=True)
        return "rounds"

    async def _looks(self, index: int) -> bool:
        """Whether the answer of a round is looked at again; if so, its critique has been heard."""
        gate = self.plan.decides
        if gate.when == "agreement":
            await self._sample(index, gate.samples or 1)
        # Where no critique is needed it is decided first: an answer that is not looked at again then costs none.
        if not gate.by_critic and not gate.looks(self._seen(index)):
            return False
        if self.rounds[index].critique is None:  # the critic may have confirmed it already
            await self._examine(index)
        return not gate.by_critic or bool(gate.looks(self._seen(index)))

    def _seen(self, index: int) -> Seen:
        round_, form = self.rounds[index], self.case.answer_form
        # nan: not known, see `Gate.looks`
        verdict, wrong, likely = None, math.nan, math.nan
        if (critique := round_.critique) is not None:
            verdict, wrong = critique.verdict, (critique.shares or {}).get("wrong", math.nan)
        if round_.shares is not None and form is not None:
            likely = round_.shares.get(form.read(*round_.stated) or "", math.nan)
        return Seen(verdict, wrong, likely, math.nan if round_.agreement is None else round_.agreement)

    async def _sample(self, index: int, count: int) -> None:
        """Ask the question anew so often, and see how many answers are the one of this round."""
        if (form := self.case.answer_form) is None:
            raise ValueError("agreement is of answers that have a form, and these have none; choose another gate")
        shown = (*self.messages[: self.opening], Message("user", self.case.query(index)))
        own, agree, spent = form.read(*self.rounds[index].stated), 0, Usage()
        for number in range(count):
            self._stop_if_spent()
            said = await self._in_time(self.sampler.complete(shown, seed=self._seed(index, f"sample {number}")))
            self._spend(said.usage)
            spent += said.usage
            agree += own is not None and form.read(said.text, said.finish) == own
            # After each sample, so that the round has the cost of those already drawn if a budget ends the rest.
            self.rounds[index] = replace(self.rounds[index], sampled=spent)
        self.rounds[index] = replace(self.rounds[index], agreement=agree / count)

    def _request(self, index: int) -> str:
        if self.plan.verify:
            return self.case.verify(index)
        critiqued = self.rounds[index - 1].critique is not None
        return self.case.reask(index, repeat_query=self.plan.variant != "self-instruct", critiqued=critiqued)

    async def _keeps(self, index: int) -> bool:
        """Whether the new answer is kept, once a judge or the critic was asked where the gate wants it."""
        gate = self.plan.decides
        if gate.keep == "preferred":
            preference = await self._prefer(index)
            return bool(gate.keeps(preferred=preference.new))
        if gate.keep == "confirmed":
            critique = await self._examine(index)
            return bool(gate.keeps(verdict=critique and critique.verdict))
        return True

    async def _prefer(self, index: int) -> Preference:
        self._stop_if_spent()
        if not isinstance(self.critic, Prefers):
            raise ValueError(  # noqa: TRY004 - the user named the wrong critic
                f"critic {self.critic.name!r} is no judge of two answers; choose 'self' or 'other'"
            )
        exam = self._examination(index, "judge")
        preference = await self._in_time(self.critic.prefer(exam), exam.spent)
        self._spend(preference.cost)
        self.rounds[index] = replace(self.rounds[index], preference=preference)
        return preference

    async def _answer(self, index: int, request: str) -> None:
        self._stop_if_spent()
        self.messages.append(Message("user", request))
        shown = tuple(self.messages)
        if self.plan.variant == "resample":
            shown = (*shown[: self.opening], shown[-1])
        start = time.perf_counter()
        completion = await self._in_time(self.model.complete(shown, seed=self._seed(index, "answer")))
        seconds = time.perf_counter() - start
        self._spend(completion.usage)
        if not completion.text.strip():
            self.lost += completion.usage
            raise EmptyCompletionError(completion.finish)
        self.messages.append(Message("assistant", completion.text))
        self.rounds.append(
            Round(
                index,
                completion.text,
                completion.finish,
                completion.usage,
                seconds,
                reasoning=completion.reasoning,
                # Where it has to be preferred or confirmed it is not kept before it is, whatever ends the loop.
                kept=index == 0 or self.plan.decides.keep == "new",
            )
        )
        await self._settle(index, shown, completion)

    async def _settle(self, index: int, shown: tuple[Message, ...], said: Completion) -> None:
        """Ask for the answer alone where that is due; the answer is kept whatever comes of it."""
        if self.plan.asking == NEVER or (form := self.case.answer_form) is None:
            return
        spent = self.plan.max_tokens is not None and self.tokens >= self.plan.max_tokens
        # With the tokens spent nobody is asked once more; how likely the answer was can still be noted, at no tokens.
        asking = replace(self.plan.asking, elicit="line") if spent else self.plan.asking
        seed = self._seed(index, "answer")
        try:
            elicited, shares = await self._in_time(asking.settle(self.model, shown, said, form, seed))
        except WithheldError:
            # The answer stands; _in_time has counted the refused call.
            return
        self._spend(elicited.usage if elicited else Usage())
        known = None if shares is None else dict(shares)
        self.rounds[index] = replace(self.rounds[index], elicited=elicited, shares=known)

    async def _examine(self, index: int) -> Critique | None:
        self._stop_if_spent()
        exam = self._examination(index, "check")
        critique = await self._in_time(self.critic.examine(exam), exam.spent)
        if critique is None:
            return None
        self._spend(critique.cost)
        if not critique.text.strip():
            critique = replace(critique, text=self.case.feedback(critique.verdict))
        self.rounds[index] = replace(self.rounds[index], critique=critique)
        # Appended only now: a critic that says nothing, or fails, leaves no check question behind.
        self.messages.append(Message("user", self.case.check(index)))
        self.messages.append(Message("assistant", critique.text))
        return critique

    def _examination(self, index: int, purpose: str) -> Examination:
        answer = self.rounds[index]
        return Examination(
            self.case,
            index,
            answer.answer,
            tuple(self.messages),
            self._seed(index, purpose),
            answer.finish,
            answer.stated,
            self.plan.asking,
            self._seen(index).p_answer,
        )

    def _spend(self, usage: Usage) -> None:
        # A cost that is not told may be any: a budget of tokens is then spent.
        self.tokens += math.inf if usage.untold else usage.total

    def _stop_if_spent(self) -> None:
        if self.plan.max_tokens is not None and self.tokens >= self.plan.max_tokens:
            raise _SpentError("tokens")
        if anyio.current_time() >= self.deadline:
            raise _SpentError("seconds")

    async def _in_time(self, call: Awaitable[T], spent: Sequence[Usage] = ()) -> T:
        """Result of a call; if it fails, its cost is lost, and with it what calls within it have ``spent`` before."""
        with anyio.CancelScope(deadline=self.deadline):
            try:
                return await call
            except AbstainedError:
                self.lost += sum(spent, Usage())
                raise
            except Exception as error:
                last = error.usage if isinstance(error, WithheldError) else Usage(calls=1)
                self.lost += sum(spent, last)
                raise
        # Only a call that the deadline cut off gets here; a cancellation from outside passes through the scope.
        self.lost += sum(spent, Usage(calls=1))
        raise _SpentError("seconds")

    def _seed(self, index: int, purpose: str) -> int:
        return seed_from(self.plan.seed, self.case.sample, index, purpose)
