"""One request looked at twice: the loop, and what its end means for the client."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from secondlook.correction.critics import CommandCritic, Critic, ModelCritic
from secondlook.correction.loop import run
from secondlook.correction.plan import Plan
from secondlook.correction.transcript import Transcript
from secondlook.gateway.conversation import OpenCase, ReplyError, Spent, UpstreamModel
from secondlook.gateway.policy import Decision, Outcome
from secondlook.gateway.request import EXTENSION, Chat
from secondlook.gateway.settings import Settings
from secondlook.gateway.upstream import Headers, Reply, Upstream, UpstreamError


@dataclass(frozen=True, slots=True)
class Looked:
    """What a second look came to.

    Attributes:
        transcript: What was said.
        spent: What it cost.
        status: What was done.
        reason: Why it was no more, in a word.
        reply: The answer in hand as it came from the upstream; ``None`` if there never was one.
        error: What the upstream failed with, if it did.
    """

    transcript: Transcript
    spent: Spent
    status: Outcome
    reason: str
    reply: Reply | None
    error: Exception | None

    @property
    def verdict(self) -> str | None:
        """The critic's verdict on the first answer."""
        first = self.transcript.rounds[0].critique if self.transcript.rounds else None
        return first.verdict if first else None

    @property
    def rounds(self) -> int:
        """Second looks that gave an answer."""
        return max(0, len(self.transcript.rounds) - 1)


async def look(
    identifier: str,
    chat: Chat,
    headers: Headers,
    decision: Decision,
    settings: Settings,
    upstream: Upstream,
    spent: Spent,
) -> Looked:
    """Answer, check, answer again, with the loop that studies use.

    Args:
        identifier: Of the request.
        chat: What is asked.
        headers: The client's.
        decision: Rounds and words.
        settings: Critic, budgets.
        upstream: The model's server.
        spent: Counts all calls, as they go.
    """
    errors: list[Exception] = []
    case = OpenCase(identifier, chat.text, decision.prompt)
    plan = Plan(
        variant=decision.variant,
        rounds=decision.rounds,
        stop=decision.stop,
        max_tokens=settings.budget_tokens,
        max_seconds=settings.budget_seconds,
    )
    model = UpstreamModel(upstream, chat, headers, spent)
    transcript = await run(model, _critic(model, settings), case, plan, on_error=errors.append)
    status, reason = _outcome(transcript, decision)
    answer = spent.answers[len(transcript.rounds) - 1] if transcript.rounds else None
    error = errors[0] if errors else None
    if answer is None and isinstance(error, ReplyError):
        answer, status, reason = error.reply, "passed", "no words" if error.sound else "upstream"
    return Looked(transcript, spent, status, reason, answer, error)


def _critic(model: UpstreamModel, settings: Settings) -> Critic:
    if settings.critic == "tool":
        assert settings.critic_command is not None
        return CommandCritic(settings.critic_command)
    examiner = UpstreamModel(
        model.upstream, model.chat, model.headers, model.spent, (settings.critic_model, settings.critic_tokens)
    )
    return ModelCritic(examiner, settings.critic)


def _outcome(transcript: Transcript, decision: Decision) -> tuple[Outcome, str]:
    if transcript.stop == "error" or not transcript.rounds:
        return "failed", transcript.stop
    if unclear(transcript, decision):
        return "failed", "unclear"
    changed = transcript.rounds[-1].answer != transcript.rounds[0].answer
    reason = decision.reason if transcript.stop == "rounds" else transcript.stop
    return ("corrected" if changed else "kept"), reason


def unclear(transcript: Transcript, decision: Decision) -> bool:
    """Whether a critic that has to state a verdict stated none."""
    states = bool(decision.prompt.verdicts) or decision.prompt.scale is not None
    critiques = [round_.critique for round_ in transcript.rounds if round_.critique is not None]
    return states and any(critique.verdict == "unclear" for critique in critiques)


def answer_of(looked: Looked, chat: Chat) -> dict[str, Any]:
    """The answer in hand as the upstream gave it, with what all calls cost, and the conversation if it is wanted."""
    assert looked.reply is not None
    answer: dict[str, Any] = json.loads(looked.reply.body)
    if looked.spent.usages:
        items = [{"call": kind, **_tokens(usage)} for kind, usage in looked.spent.usages]
        total = summed(usage for _, usage in looked.spent.usages)
        answer["usage"] = {**total, EXTENSION: {"calls": looked.spent.tally.calls, "items": items}}
    if chat.transcript:
        answer[EXTENSION] = {"transcript": json.loads(looked.transcript.to_json())}
    return answer


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


def tokens_of(spent: Spent) -> tuple[int | None, int | None]:
    """Prompt and generated tokens of all calls; ``None`` where the upstream does not tell."""
    total = summed(usage for _, usage in spent.usages)
    counts = [total.get(name) for name in ("prompt_tokens", "completion_tokens")]
    found = [count if isinstance(count, int) else None for count in counts]
    return found[0], found[1]


def failure_of(error: Exception | None) -> tuple[int, str, str]:
    """Status, code and sentence for a client whose first answer never came."""
    if isinstance(error, UpstreamError):
        return (504 if error.kind == "timeout" else 502), f"upstream_{error.kind}", str(error)
    if error is None:
        return 504, "budget", "the budget was spent before there was an answer"
    return 502, "upstream_failed", " ".join(str(error).split()) or type(error).__name__


def _tokens(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {name: usage[name] for name in ("prompt_tokens", "completion_tokens") if name in usage}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
