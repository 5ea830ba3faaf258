"""OpenAI's responses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from secondlook.correction.events import Event
from secondlook.correction.gathered import broken_off
from secondlook.correction.reply import ReadReply, error_of, judged, usage_of
from secondlook.gateway.dialects.dialect import Dialect

_ENDS = ("response.completed", "response.incomplete", "response.failed")


class Responses(Dialect):
    """``/v1/responses``."""

    path, turns, error = "/responses", "input", "error"
    form = frozenset({"text"})

    def unfit(self, request: Mapping[str, Any]) -> str | None:
        """A conversation that the server keeps would have our turns in it; an answer made later is not at hand."""
        if request.get("conversation"):
            return "state"
        return "background" if request.get("background") else None

    def limited(self, request: Mapping[str, Any], limit: int) -> dict[str, Any]:  # noqa: ARG002
        """Request with a limit of tokens, which has one name here."""
        return {"max_output_tokens": limit}

    def read(self, body: object) -> ReadReply:
        """The messages among its output."""
        if (said := error_of(body)) is not None or not isinstance(body, Mapping):
            return ReadReply("error", said=said or "the reply is no response")
        output = body.get("output")
        if not isinstance(output, list):
            return ReadReply("error", said="the reply has no output")
        items = [item for item in output if isinstance(item, Mapping)]
        parts = [
            part
            for item in items
            if item.get("type", "message") == "message" and isinstance(item.get("content"), list)
            for part in item["content"]
            if isinstance(part, Mapping)
        ]
        thoughts = [part for item in items if item.get("type") == "reasoning" for part in item.get("summary") or ()]
        details = body.get("incomplete_details")
        # The status alone says `incomplete`, whether a limit or a filter ended it.
        cut = details.get("reason") if isinstance(details, Mapping) else None
        return judged(
            parts,
            cut or body.get("status"),
            usage_of(body.get("usage")),
            next((part.get("refusal") for part in parts if part.get("type") == "refusal"), None),
            "\n".join(str(part.get("text", "")) for part in thoughts if isinstance(part, Mapping)),
            any("call" in str(item.get("type")) for item in items),
        )

    def gathered(self, events: Iterable[Event]) -> dict[str, Any]:
        """The last event has all of it."""
        for each in events:
            if not isinstance(each.data, dict):
                continue
            if each.data.get("type") in _ENDS and isinstance(each.data.get("response"), dict):
                whole: dict[str, Any] = each.data["response"]
                return whole
            if each.data.get("type") == "error" or each.data.get("error"):
                return {"error": each.data.get("error") or each.data}
        return broken_off()

    def streamed(self, body: Mapping[str, Any]) -> list[Event]:
        """The last event alone."""
        end = "response.completed"
        return [Event(end, {"type": end, "sequence_number": 0, "response": dict(body)})]

    def told(
        self,
        events: Iterable[Event],
        request: Mapping[str, Any],  # noqa: ARG002
        more: Mapping[str, Any],
    ) -> Iterator[Event]:
        """The last event has the usage."""
        for each in events:
            if isinstance(each.data, dict) and each.data.get("type") in _ENDS:
                yield Event(each.name, {**each.data, "response": {**each.data["response"], **more}})
            else:
                yield each
