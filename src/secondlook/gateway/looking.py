"""A request that is looked at twice: kept waiting, concluded, or handed to a person."""

from __future__ import annotations

import json

import anyio

from secondlook.gateway.conversation import ReplyError, Spent
from secondlook.gateway.correct import Looked, answer_of, failure_of, look, tokens_of
from secondlook.gateway.escalate import hand_over
from secondlook.gateway.exchange import Exchange, RefusalError, error
from secondlook.gateway.limits import RETRY_AFTER
from secondlook.gateway.policy import Decision
from secondlook.gateway.request import Chat
from secondlook.gateway.settings import Settings
from secondlook.gateway.stream import DONE, comment, event, events
from secondlook.gateway.upstream import Headers, Reply, Upstream


class SecondLook:
    """Looks twice, and tells the client what came of it.

    Args:
        settings: Critic, budgets, and what to do on failure.
        upstream: The model's server.
    """

    def __init__(self, settings: Settings, upstream: Upstream) -> None:
        self.settings, self.upstream = settings, upstream

    async def answer(self, chat: Chat, headers: Headers, decision: Decision, exchange: Exchange) -> None:
        """Answer, check, answer again; where the answer is streamed, say now and then that we are still there."""
        done = anyio.Event()
        looked: list[Looked] = []
        spent = Spent(exchange.tally)

        async def work() -> None:
            name = exchange.row.id
            looked.append(await look(name, chat, headers, decision, self.settings, self.upstream, spent))
            done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            while chat.stream and not done.is_set():
                with anyio.move_on_after(self.settings.keep_alive):
                    await done.wait()
                    break
                exchange.note(reason="looking")
                await exchange.begin_events()
                await exchange.piece(comment("still here"))
        await self._conclude(chat, decision, looked[0], exchange)

    async def _conclude(self, chat: Chat, decision: Decision, looked: Looked, exchange: Exchange) -> None:
        tokens_in, tokens_out = tokens_of(looked.spent)
        exchange.note(
            status=looked.status,
            reason=looked.reason,
            rounds=looked.rounds,
            verdict=looked.verdict,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
        )
        if self.settings.audit_text or self.settings.log_text:
            exchange.note(transcript=looked.transcript.to_json())
        if looked.reply is None:
            status, code, said = failure_of(looked.error)
            raise RefusalError(status, code, said)
        doubtful = looked.status == "failed" or (looked.status != "passed" and decision.reason == "undecided")
        if doubtful and self.settings.on_failure == "closed":
            raise RefusalError(503, "second_look_failed", _why(looked), RETRY_AFTER)
        if doubtful and self.settings.on_failure == "escalate":
            await self._escalate(looked, exchange)
        if looked.reply.status != 200 or (isinstance(looked.error, ReplyError) and not _words(looked)):
            await self._reply(chat, looked.reply, exchange)
            return
        answer = answer_of(looked, chat)
        if not chat.stream:
            await exchange.whole(200, looked.reply.headers, json.dumps(answer, ensure_ascii=False).encode())
            return
        await exchange.begin_events(looked.reply.headers)
        for piece in events(answer, chat):
            await exchange.piece(piece)
        await exchange.finish(200, DONE)

    async def _reply(self, chat: Chat, reply: Reply, exchange: Exchange) -> None:
        """The upstream's first answer as it came: an error, or one that is not in words."""
        exchange.note(status="passed")
        if not chat.stream or (reply.status != 200 and not exchange.started):
            await exchange.whole(reply.status, reply.headers, reply.body)
            return
        try:
            answer = json.loads(reply.body)
        except ValueError:
            answer = {}
        await exchange.begin_events()
        if not isinstance(answer, dict) or reply.status != 200 or "choices" not in answer:
            own = answer.get("error") if isinstance(answer, dict) else None
            said = error("upstream_failed", f"the upstream answered with status {reply.status}")
            await exchange.finish(502, event({"error": own} if own else said))
            return
        for piece in events(answer, chat):
            await exchange.piece(piece)
        await exchange.finish(200, DONE)

    async def _escalate(self, looked: Looked, exchange: Exchange) -> None:
        """Hand the conversation to a person; if that fails nobody would know, so the request fails."""
        to = self.settings.escalate_to
        assert to is not None
        case = {
            "id": exchange.row.id,
            "time": exchange.row.time,
            "model": exchange.row.model,
            "task": exchange.row.task,
            "why": _why(looked),
            "transcript": json.loads(looked.transcript.to_json()),
        }
        try:
            await hand_over(to, case)
        except OSError as error:
            raise RefusalError(503, "escalation_failed", str(error), RETRY_AFTER) from None
        exchange.note(status="escalated")


def _words(looked: Looked) -> bool:
    return bool(looked.transcript.rounds)


def _why(looked: Looked) -> str:
    return looked.transcript.error or f"second look: {looked.reason}"
