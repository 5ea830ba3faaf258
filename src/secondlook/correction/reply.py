"""Reply of a chat completion: an answer in words, or something that is never taken for one.

One rule for each odd body, on decoded JSON alone, so that an evaluation and the gateway read servers alike:

==================================================  ==================================================================
a body that is no object, or with an ``error``      ``error``, in the server's own words
``choices`` missing, ``null``, empty or odd         ``error``
several choices                                     the one of the lowest ``index``
``finish_reason`` of a failure (``error``, …)       ``error``, whatever the text
``finish_reason`` of a filter                       ``refused``, whatever the text
``finish_reason`` missing, ``null``, empty, odd     read on; why it stopped is ``other``
``refusal`` in words                                ``refused``
calls of tools or functions                         ``call``
``content`` a string, or ``<think>…</think>`` text  its text; thoughts that stand before it are set apart
``content`` in parts                                the text of its text parts, thoughts set apart
``content`` missing, ``null``, empty, thoughts only  ``empty``; at the token limit, the sentence says so
``usage`` missing, ``null``, odd in a count         unknown, not zero
``role``, ``id``, ``object``, ``created``           not looked at
==================================================  ==================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from secondlook.correction.chat import Finish, TokenLogprob, Usage

ReplyKind = Literal["words", "empty", "refused", "call", "error"]

_FINISH: Mapping[str, Finish] = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "eos", "eos_token", "completed"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("content_filter", "filter", "safety", "refusal", "prohibited_content"), "filter"),
}
_FAILED = frozenset({"error", "abort", "aborted", "cancelled", "failed"})
_THOUGHTS = re.compile(r"\s*<(think|thinking|reasoning)>(.*?)(?:</\1>\s*|\Z)", re.S)


@dataclass(frozen=True, slots=True)
class ReadReply:
    """A reply as it was read.

    Attributes:
        kind: ``words``: an answer; ``empty``: none was given; ``refused``: by the model or a filter; ``call``: of a
            tool; ``error``: the server failed, or its reply is no completion.
        text: The answer; empty unless ``kind`` is ``words``.
        said: Why it is no answer, in one line, with the server's own words where there are any.
        thoughts: What the model thought before it answered, if that was told.
        finish: Why it stopped.
        usage: What it cost; ``None`` if the server does not say.
    """

    kind: ReplyKind
    text: str = ""
    said: str = ""
    thoughts: str = ""
    finish: Finish = "other"
    usage: Usage | None = None


def read_completion(body: object) -> ReadReply:
    """Read the body of a chat completion."""
    if (said := error_of(body)) is not None or not isinstance(body, Mapping):
        return ReadReply("error", said=said or "the reply is no chat completion")
    if (choice := choice_of(body)) is None:
        return ReadReply("error", said="the reply has no choices")
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return ReadReply("error", said="the reply has no message")
    called = bool(message.get("tool_calls") or message.get("function_call"))
    thoughts = next((message[name] for name in ("reasoning_content", "reasoning") if _words(message.get(name))), "")
    usage = usage_of(body.get("usage"))
    return judged(message.get("content"), choice.get("finish_reason"), usage, message.get("refusal"), thoughts, called)


def choice_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The choice that is read: the one of the lowest ``index``; ``None`` if there is none."""
    choices = [choice for choice in _list(body.get("choices")) if isinstance(choice, Mapping)]
    return min(choices, key=lambda each: _count(each.get("index")) or 0, default=None)


def judged(
    content: object,
    reason: object,
    usage: Usage | None,
    refusal: object = None,
    thoughts: str = "",
    called: bool = False,
) -> ReadReply:
    """Read a message by its content and why it stopped.

    Args:
        content: A string, parts, or nothing.
        reason: Why it stopped, in the server's word.
        usage: What it cost.
        refusal: The model's refusal, where the server sets it apart.
        thoughts: What the model thought, where the server sets it apart.
        called: Whether a tool is called.
    """
    name = reason.lower() if isinstance(reason, str) else ""
    finish = _FINISH.get(name, "other")
    text, more = text_of(content)
    thoughts = "\n".join(filter(None, (thoughts, more)))

    def reply(kind: ReplyKind, said: str = "", text: str = "") -> ReadReply:
        return ReadReply(kind, text, said, thoughts, finish, usage)

    if name in _FAILED:
        return reply("error", f"the server stopped with {reason!r}")
    if called:
        return reply("call", "the reply calls a tool")
    if _words(refusal):
        return reply("refused", f"the model refused: {_line(str(refusal))}")
    if finish == "filter":
        return reply("refused", f"the server withheld the reply ({reason})")
    if text.strip():
        return reply("words", text=text)
    if finish == "length":
        what = "thoughts alone" if thoughts else "no words"
        return reply("empty", f"the reply came to its token limit with {what}; allow more tokens")
    return reply("empty", "the reply is empty")


def likely_tokens(body: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    """Log-probabilities of a chat completion's tokens, where it tells; empty where any of it cannot be read."""
    try:
        told = (choice_of(body) or {})["logprobs"]["content"]
        return tuple([TokenLogprob(one["token"], one["logprob"], _Top(one)) for one in told])
    except (LookupError, TypeError):
        return ()


class _Top(Mapping[str, float]):
    """The likeliest tokens of a place, read when they are asked for: of a critique's hundreds of places one is."""

    __slots__ = ("_told",)

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    def _read(self) -> dict[str, float]:
        try:
            return {other["token"]: float(other["logprob"]) for other in self._told.get("top_logprobs") or ()}
        except (LookupError, TypeError, ValueError, AttributeError):
            return {}

    def __getitem__(self, token: str) -> float:
        return self._read()[token]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def error_of(body: object) -> str | None:
    """A server's own words of what went wrong; ``None`` if its body tells of no error."""
    if not isinstance(body, Mapping):
        return None
    error = body.get("error")
    if not error:
        # Some servers put `message` or `detail` at the top; in a body that holds an answer, neither tells of an error.
        told = body.get("object") == "error" or not {"choices", "output", "content"} & body.keys()
        error = next((body[name] for name in ("message", "detail") if body.get(name)), None) if told else None
    if isinstance(error, Mapping):
        error = next((error[name] for name in ("message", "type", "code") if error.get(name)), error)
    return None if not error else _line(str(error))


def text_of(content: object) -> tuple[str, str]:
    """Text and thoughts of a message's content."""
    if isinstance(content, str):
        found = _THOUGHTS.match(content)
        return (content[found.end() :], found[2].strip()) if found else (content, "")
    texts, thoughts = list[str](), list[str]()
    for part in _list(content):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            kind = str(part.get("type", "text"))
            told = next((part[name] for name in ("text", "thinking", "reasoning") if part.get(name)), "")
            inner = told if isinstance(told, str) else "".join(text_of(told))
            if kind in ("text", "output_text"):
                texts.append(inner)
            elif kind in ("thinking", "reasoning"):
                thoughts.append(inner)
    text, more = text_of("".join(texts))
    return text, "\n".join(filter(None, (*thoughts, more)))


def usage_of(usage: object) -> Usage | None:
    """Usage of a call, by chat completions' names or responses' and messages'; ``None`` where that cannot be told."""
    if not isinstance(usage, Mapping):
        return None
    whole = _count(usage.get("prompt_tokens"))
    given = _count(usage.get("input_tokens")) if whole is None else whole
    made = next(
        (n for name in ("completion_tokens", "output_tokens") if (n := _count(usage.get(name))) is not None), None
    )
    if given is None or made is None:
        return None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = (_count(details.get("cached_tokens")) if isinstance(details, Mapping) else None) or 0
    if whole is None:
        # Messages leave out of their input what was read from a cache or written to one; ours holds both.
        read, written = (_count(usage.get(f"cache_{name}_input_tokens")) or 0 for name in ("read", "creation"))
        given, cached = given + read + written, cached or read
    return Usage(given, made, cached, calls=1)


def _count(value: object) -> int | None:
    # A number beyond all counts, which no database could hold, is none.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _line(text: str) -> str:
    return " ".join(text.split())
