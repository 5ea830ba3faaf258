"""A request that is looked at twice: the loop that studies use, what its end means, and what the client is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from secondlook.correction.critics import AcceptCritic, CommandCritic, Critic, FittedCritic, ModelCritic, SilentCritic
from secondlook.correction.events import comment, dumped, event, read_events
from secondlook.correction.held import Server
from secondlook.correction.loop import run
from secondlook.correction.plan import Plan
from secondlook.correction.reply import usage_of
from secondlook.correction.transcript import Transcript
from secondlook.diagnosis.examiner import Examiner
from secondlook.gateway.conversation import Bill, OpenCase, ReplyError, UpstreamModel
from secondlook.gateway.dialects import Dialect
from secondlook.gateway.escalate import hand_over
from secondlook.gateway.examining import Examined, Watched, command_critic, served_name
from secondlook.gateway.exchange import Exchange
from secondlook.gateway.logs import LOGGER
from secondlook.gateway.policy import Action, Decision
from secondlook.gateway.refusal import RETRY_AFTER, RefusalError, error
from secondlook.gateway.request import EXTENSION, Chat
from secondlook.gateway.settings import GatewaySettings
from secondlook.gateway.upstream import Headers, Upstream, UpstreamError, UpstreamReply

if TYPE_CHECKING:
    from secondlook.fitting.critic_file import CriticFile

_STDERR = 2000  # characters of what a command wrote that are logged


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Result of a second look.

    Attributes:
        transcript: What was said.
        action: What was done.
        reason: Reason why no more was done, in a word.
        reply: The answer in hand as it came from the upstream; ``None`` if there never was one.
        error: What the upstream failed with, if it did.
    """

    transcript: Transcript
    action: Action
    reason: str
    reply: UpstreamReply | None
    error: Exception | None

    @property
    def why(self) -> str:
        """Reason given to the person who has to look."""
        return self.transcript.error or f"second look: {self.reason}"


class SecondLook:
    """Looks twice, and tells the client what came of it.

    Args:
        settings: Budgets, and what to do on failure.
        upstream: The model's server.
        examined: Called whenever a critic has examined an answer: its kind, and what :data:`~.examining.Told` says.
    """

    def __init__(
        self, settings: GatewaySettings, upstream: Upstream, examined: Callable[[str, str, Examined, str | None], None]
    ) -> None:
        self.settings, self.upstream = settings, upstream
        self._known: dict[tuple[str, str], list[str]] = {}
        self._servers: dict[str, Server] = {}
        self._commands: dict[Examiner, CommandCritic] = {}
        self._fitted: dict[str, CriticFile] = {}
        self._examined = examined

    async def answer(
        self, dialect: Dialect, chat: Chat, headers: Headers, decision: Decision, exchange: Exchange
    ) -> None:
        """Answer, check, answer again; where the answer is streamed, say now and then that we are still there.

        Raises:
            RefusalError: There is no answer, or none that settings let the client have.
        """
        done, found = anyio.Event(), list[Conclusion]()
        exchange.error_event = dialect.error
        model = UpstreamModel(
            self.upstream,
            dialect,
            chat,
            headers,
            Bill(exchange.tally),
            self._known,
            servers=self._servers,
            likely=dialect.held and self._likely(decision),
        )

        async def work() -> None:
            found.append(await self._look(exchange.row.id, model, decision))
            done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            while chat.stream and not done.is_set():
                with anyio.move_on_after(self.settings.keep_alive):
                    await done.wait()
                    break
                # The headers go out before there is a result; only the log can have the rest.
                exchange.note(reason="looking")
                await exchange.begin_events()
                await exchange.piece(comment("still here"))
        # Outside the group, which would wrap a RefusalError in an ExceptionGroup.
        await self._conclude(model, decision, found[0], exchange)

    async def _look(self, identifier: str, model: UpstreamModel, decision: Decision) -> Conclusion:
        """The loop on a client's conversation."""
        errors = list[Exception]()
        plan = Plan(
            variant=decision.variant,
            rounds=decision.rounds,
            stop=decision.stop,
            max_tokens=self.settings.budget_tokens,
            max_seconds=self.settings.budget_seconds,
            elicit=decision.elicit,
            confidence=model.likely,
            gate=decision.gate,
            verify=decision.critic.kind == "verify-first",
        )
        case = OpenCase(identifier, model.chat.text, decision.prompt)
        transcript = await run(model, self._critic(model, decision), case, plan, on_error=errors.append)
        failure = errors[0] if errors else None
        if transcript.rounds:
            reply, _ = model.bill.answers[transcript.in_hand.index]
            return Conclusion(transcript, *_outcome(transcript, decision), reply, failure)
        if isinstance(failure, ReplyError):
            reason = "no words" if failure.sound else "upstream"
            return Conclusion(transcript, "passed", reason, failure.reply, failure)
        return Conclusion(transcript, "failed", transcript.stop, None, failure)

    def _critic(self, model: UpstreamModel, decision: Decision) -> Critic:
        asked, examining = decision.critic, model.examining(decision.critic.model, decision.critic_tokens)
        made: Critic = ModelCritic(examining, asked.kind)
        if asked.kind == "tool":  # one for all requests: it bounds how many run at once
            made = self._commands.setdefault(asked, command_critic(asked, _heard))
        elif asked.kind == "verify-first":
            made = SilentCritic(asked.kind)
        elif asked.kind == "accept-reject":
            made = AcceptCritic(examining)
        elif asked.file is not None:
            made = self._fitted_critic(asked.file, model, decision.critic_tokens)
        return Watched(made, _states(decision), partial(self._examined, asked.kind))

    def _fitted_critic(self, path: str, model: UpstreamModel, tokens: int) -> Critic:
        """A fitted critic, and those that it asks."""
        file = self._file(path)
        critics: dict[str, Critic] = {}
        for name, examiner in file.critics.items():
            if examiner.kind == "tool":
                critics[name] = self._commands.setdefault(examiner, command_critic(examiner, _heard))
            else:
                other = served_name(examiner.model) if examiner.model else None
                critics[name] = ModelCritic(model.examining(other, tokens), examiner.kind)
        return FittedCritic(file.fitted, critics)

    def _file(self, path: str) -> CriticFile:
        from secondlook.fitting.critic_file import read_critic  # it takes as long to load as a diagnosis

        if path not in self._fitted:
            self._fitted[path] = read_critic(Path(path))
        return self._fitted[path]

    def _likely(self, decision: Decision) -> bool:
        """Whether it takes the probabilities of a verdict's tokens to decide."""
        if decision.critic.file is not None:
            return any(each.name.startswith("p_wrong of ") for each in self._file(decision.critic.file).fitted.inputs)
        return decision.gate is not None and decision.gate.when == "p_wrong"

    async def _conclude(self, model: UpstreamModel, decision: Decision, found: Conclusion, exchange: Exchange) -> None:
        rounds, bill = found.transcript.rounds, model.bill
        first = rounds[0].critique if rounds else None
        total = summed(usage or {} for _, usage in bill.usages)
        # Unknown is not zero: one call without a usage leaves the whole cost unknown.
        cost = usage_of(total) if all(usage for _, usage in bill.usages) else None
        exchange.note(
            status=found.action,
            reason=found.reason,
            rounds=max(0, len(rounds) - 1),
            verdict=first.verdict if first else None,
            tokens_in=cost and cost.input,
            tokens_out=cost and cost.output,
        )
        transcript = asdict(found.transcript)
        if self.settings.audit_text or self.settings.log_text:
            exchange.note(transcript=json.dumps(transcript))
        if found.reply is None:
            raise RefusalError(*failure_of(found.error))
        if found.action == "failed" and self.settings.on_failure == "closed":
            raise RefusalError(503, "second_look_failed", found.why, RETRY_AFTER)
        # An undecided diagnosis makes every answer doubtful: one that was never examined, and one that the request
        # asked to have examined.
        doubtful = found.action == "failed" or (found.action != "passed" and decision.undecided)
        if doubtful and self.settings.on_failure == "escalate":
            why = found.why if found.action == "failed" else "second look: undecided"
            await self._escalate(why, transcript, exchange)
        if rounds:
            await _give(model, found, total, transcript, exchange)
        else:
            await _as_it_came(model, found.reply, exchange)

    async def _escalate(self, why: str, transcript: Mapping[str, Any], exchange: Exchange) -> None:
        """Hand the conversation to a person; if that fails nobody would know, so the request fails."""
        to, row = self.settings.escalate_to, exchange.row
        assert to is not None
        case = {"id": row.id, "time": row.time, "model": row.model, "task": row.task, "why": why}
        try:
            await hand_over(to, {**case, "transcript": transcript})
        except OSError as error:
            raise RefusalError(503, "escalation_failed", str(error), RETRY_AFTER) from None
        exchange.note(status="escalated")


def _states(decision: Decision) -> bool:
    """Whether a critique has to state a verdict."""
    return bool(decision.prompt.verdicts) or decision.prompt.scale is not None


def _heard(request: str, wrote: str) -> None:
    """Log what a command wrote on its standard error; its end tells most."""
    LOGGER.warning("critic wrote", extra={"fields": {"id": request, "stderr": wrote[-_STDERR:]}})


def _outcome(transcript: Transcript, decision: Decision) -> tuple[Action, str]:
    """Action taken, and why no more was done."""
    if transcript.stop == "error":
        return "failed", "error"
    critiques = [round_.critique for round_ in transcript.rounds if round_.critique is not None]
    if _states(decision) and any(critique.verdict == "unclear" for critique in critiques):
        return "failed", "unclear"
    # A spent budget is no failure: the answer in hand is given, and `transcript.stop` is the reason.
    changed = transcript.answer != transcript.rounds[0].answer
    return ("corrected" if changed else "kept"), (decision.reason if transcript.stop == "rounds" else transcript.stop)


async def _give(
    model: UpstreamModel,
    found: Conclusion,
    total: Mapping[str, Any],
    transcript: Mapping[str, Any],
    exchange: Exchange,
) -> None:
    """The answer in hand as the upstream gave it, with what all calls cost, and the conversation if it is wanted."""
    assert found.reply is not None
    bill, dialect, reply = model.bill, model.dialect, found.reply
    _, body = bill.answers[found.transcript.in_hand.index]
    items = [{"call": kind, **_counts(usage)} for kind, usage in bill.usages]
    told = {"calls": bill.tally.calls, "items": items} | ({"refused": bill.changes} if bill.changes else {})
    more: dict[str, Any] = {"usage": {**total, EXTENSION: told}} if total else {}
    if model.chat.transcript:
        more[EXTENSION] = {"transcript": transcript}
    if model.chat.stream:
        events = read_events(reply.body) if reply.streamed else dialect.streamed(body)
        pieces = [each.written() for each in dialect.told(events, model.chat.request, more)]
        await exchange.events(reply.headers if reply.streamed else (), pieces)
        return
    headers = reply.headers
    if reply.streamed:  # though nobody asked it to
        others = (pair for pair in headers if pair[0].lower() != "content-type")
        headers = (*others, ("content-type", "application/json"))
    await exchange.end_whole(200, headers, dumped({**body, **more}))


async def _as_it_came(model: UpstreamModel, reply: UpstreamReply, exchange: Exchange) -> None:
    """The upstream's first answer: an error, or one that is not in words."""
    if not exchange.started:
        await exchange.end_whole(reply.status, reply.headers, reply.body)
        return
    # The stream has begun with status 200, so an error can only be an event in it.
    _, body = model.bill.answers[0]
    if reply.streamed:
        await exchange.events((), [reply.body])
    elif model.dialect.read(body).kind != "error":
        await exchange.events((), [each.written() for each in model.dialect.streamed(body)])
    else:
        said = error("upstream_failed", f"the upstream answered with status {reply.status}")
        body = body if body.get("error") else said
        await exchange.events((), [event(body, model.dialect.error)], outcome=502)


def summed(usages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers of several usages added up, in their nested details too; anything else as the last one has it."""
    total: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            before = total.get(name)
            if isinstance(value, Mapping):
                total[name] = summed([before if isinstance(before, Mapping) else {}, value])
            elif _number(value) and _number(before):
                total[name] = before + value
            elif value is not None or name not in total:
                total[name] = value
    return total


def failure_of(error: Exception | None) -> tuple[int, str, str]:
    """Status, code and sentence for a client whose first answer never came."""
    if isinstance(error, UpstreamError):
        return (504 if error.kind == "timeout" else 502), f"upstream_{error.kind}", str(error)
    if error is None:
        return 504, "budget", "the budget was spent before there was an answer"
    return 502, "upstream_failed", " ".join(str(error).split()) or type(error).__name__


def _counts(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    names = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
    return {name: usage[name] for name in names if usage and name in usage}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
