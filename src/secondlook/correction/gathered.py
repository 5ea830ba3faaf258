"""Gathering a stream of chat completion chunks into one completion, on decoded JSON alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def broken_off() -> dict[str, Any]:
    """The body of a stream without its end."""
    return {"error": {"message": "the stream broke off", "type": "upstream_error"}}


def gathered(chunks: Iterable[object]) -> dict[str, Any]:
    """The body that the deltas of the first choice put together; one that broke off is an ``error``.

    Args:
        chunks: Data of the stream's events, decoded; text where they are no objects.
    """
    body: dict[str, Any] = {}
    message: dict[str, Any] = {}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
    # Either end is enough, [DONE] or a reason to stop: a server may leave out one of them.
    ended = False
    for chunk in chunks:
        if not isinstance(chunk, dict):
            ended = ended or str(chunk).strip() == "[DONE]"
            continue
        if chunk.get("error"):
            return chunk
        body |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for found in chunk.get("choices") or ():
            if not isinstance(found, dict) or found.get("index", 0) != 0:
                continue
            _merge(message, found.get("delta") or {})
            ended = ended or found.get("finish_reason") is not None
            more = {name: found[name] for name in ("logprobs", "finish_reason") if found.get(name) is not None}
            _merge(choice, more)
    if not ended:
        return broken_off()
    return {**body, "object": "chat.completion", "choices": [choice]}


def _parts(content: str | list[Any]) -> list[Any]:
    """Content in parts, which may begin as a string or go on as one."""
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _merge(into: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Put a delta to what came before: texts and lists grow, a call of a tool by its index."""
    for name, value in delta.items():
        before = into.get(name)
        if value is None:
            into.setdefault(name, None)
        # A role or an id that comes again is the same one, and no more of it.
        elif isinstance(value, str) and isinstance(before, str) and name not in ("role", "finish_reason", "id", "type"):
            into[name] = before + value
        elif isinstance(value, list) and isinstance(before, list):
            for each in value:
                at = each.get("index") if isinstance(each, dict) else None
                same = [b for b in before if at is not None and isinstance(b, dict) and b.get("index") == at]
                if same:
                    _merge(same[0], each)
                else:
                    before.append(each)
        elif isinstance(value, str | list) and isinstance(before, str | list):
            into[name] = [*_parts(before), *_parts(value)]
        elif isinstance(value, Mapping):
            into[name] = dict(before) if isinstance(before, Mapping) else {}
            _merge(into[name], value)
        else:
            into[name] = list(value) if isinstance(value, list) else value
