"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from secondlook.correction.events import Event
from secondlook.correction.gathered import broken_off
from secondlook.correction.reply import ReadReply, error_of, judged, usage_of
from secondlook.gateway.dialects.dialect import Dialect


class Messages(Dialect):
    """``/v1/messages``."""

    path, turns, error = "/messages", "messages", "error"

    def unfit(self, request: Mapping[str, Any]) -> str | None:
        """Tools that the server calls itself."""
        return "tools" if request.get("mcp_servers") or request.get("container") else None

    def limited(self, request: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """Request with a limit of tokens; thinking counts too, so its budget comes on top."""
        thinking = request.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
        return {"max_tokens": limit + (budget if isinstance(budget, int) else 0)}

    def read(self, body: object) -> ReadReply:
        """The blocks of its content."""
        if (said := error_of(body)) is not None or not isinstance(body, Mapping):
            return ReadReply("error", said=said or "the reply is no message")
        content = body.get("content")
        if not isinstance(content, list):
            return ReadReply("error", said="the reply has no content")
        called = any("tool" in str(block.get("type")) for block in content if isinstance(block, Mapping))
        return judged(content, body.get("stop_reason"), usage_of(body.get("usage")), called=called)

    def gathered(self, events: Iterable[Event]) -> dict[str, Any]:
        """Blocks put together from their deltas."""
        body: dict[str, Any] = {}
        blocks: dict[int, dict[str, Any]] = {}
        for data in (each.data for each in events if isinstance(each.data, dict)):
            kind = data.get("type")
            if kind == "error" or data.get("error"):
                return {"type": "error", "error": data.get("error") or data}
            if kind == "message_start" and isinstance(data.get("message"), dict):
                body = dict(data["message"])
            elif kind == "content_block_start" and isinstance(data.get("content_block"), dict):
                blocks[data.get("index", 0)] = dict(data["content_block"])
            elif kind == "content_block_delta" and isinstance(data.get("delta"), dict):
                block = blocks.setdefault(data.get("index", 0), {"type": "text"})
                for name in ("text", "thinking", "signature", "partial_json"):
                    if isinstance(data["delta"].get(name), str):
                        block[name] = str(block.get(name) or "") + data["delta"][name]
            elif kind == "message_delta":
                body |= data.get("delta") or {}
                body["usage"] = (body.get("usage") or {}) | (data.get("usage") or {})
            elif kind == "message_stop":
                return {**body, "content": [blocks[index] for index in sorted(blocks)]}
        return broken_off()

    def streamed(self, body: Mapping[str, Any]) -> list[Event]:
        """A start, each block at once, and the end."""
        blocks = [block for block in body.get("content") or () if isinstance(block, dict)]
        end = {name: body.get(name) for name in ("stop_reason", "stop_sequence")}
        made: list[dict[str, Any]] = [{"type": "message_start", "message": {**body, "content": []}}]
        for index, block in enumerate(blocks):
            text = block.get("text") if block.get("type") == "text" else None
            begun = block if text is None else {**block, "text": ""}
            made.append({"type": "content_block_start", "index": index, "content_block": begun})
            if text is not None:
                delta = {"type": "text_delta", "text": text}
                made.append({"type": "content_block_delta", "index": index, "delta": delta})
            made.append({"type": "content_block_stop", "index": index})
        made.append({"type": "message_delta", "delta": end, "usage": body.get("usage") or {}})
        return [Event(data["type"], data) for data in (*made, {"type": "message_stop"})]

    def told(
        self,
        events: Iterable[Event],
        request: Mapping[str, Any],  # noqa: ARG002
        more: Mapping[str, Any],
    ) -> Iterator[Event]:
        """Stream whose start has the input tokens of all calls, and whose end has the whole usage."""
        for each in events:
            kind = each.data.get("type") if isinstance(each.data, dict) else None
            if kind == "message_delta":
                yield Event(each.name, {**each.data, **more})
            elif kind == "message_start" and "input_tokens" in more.get("usage", {}):
                # Nothing was sent before all calls were made, so even the start can tell the input of all.
                message = each.data["message"]
                usage = {**(message.get("usage") or {}), "input_tokens": more["usage"]["input_tokens"]}
                yield Event(each.name, {**each.data, "message": {**message, "usage": usage}})
            else:
                yield each
