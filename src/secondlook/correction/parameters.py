"""Parameters of a request that are about the form of an answer, and parameters that a model refuses.

On decoded JSON alone, so that an evaluation and the gateway treat servers alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from secondlook.correction.reply import error_of

_FORM = re.compile(
    r"format|schema|guided|grammar|regex|ebnf|json|structur|choice|stop|prefix|suffix|echo|logprob|logit|n_probs|bad_words"
    r"|token_ids|eos|beam|prediction|verbosity|modalit|audio|tools|functions?|parallel_tool|^n$|best_of|min_length"
    r"|max_length|(min|max)_\w*tokens|n_predict|num_predict|continue_final|add_generation_prompt"
)
_NESTED = ("extra_body", "options", "parameters", "sampling_params", "generation_config")
# Some models refuse the older name, some servers do not know the newer one.
_SWAPPED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_ESSENTIAL = frozenset({"model", "messages", "input", "stream"})
# Fewer than held.REFUSES: what is changed here is found in the words of the refusal, and those of a 404 or 501 name a
# model or a path, whose parts may be called like a field (`user`, `n`).
_REFUSING = frozenset({400, 422})


def without_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a request without those about the form of its answer, which a check does without.

    A check that has to be one of two choices, or JSON, or at least a thousand tokens, cannot state its verdict. They
    are known by their names (``response_format``, ``guided_json``, ``grammar``, ``stop``, ``min_tokens``, …), since
    every server has some of its own.
    """
    kept = {name: value for name, value in fields.items() if not _FORM.search(name.lower())}
    return {
        name: without_form(value) if name in _NESTED and isinstance(value, Mapping) else value
        for name, value in kept.items()
    }


def adapted(
    request: Mapping[str, Any], status: int, answer: object, own: Sequence[str] | None = None
) -> tuple[dict[str, Any], str] | None:
    """A request without what its model refuses, and what was changed; ``None`` if it is refused for another reason.

    Args:
        request: As it was sent.
        status: Of the answer.
        answer: Its decoded body.
        own: Names of the fields that may be changed; all but the essential ones by default.
    """
    said = error_of(answer)
    if status not in _REFUSING or said is None:
        return None
    error = answer.get("error") if isinstance(answer, Mapping) else None
    param = error.get("param") if isinstance(error, Mapping) else None
    names = [name for name in request if name not in _ESSENTIAL and (own is None or name in own)]
    named = [name for name in names if re.search(rf"\b{re.escape(name)}\b", said)]
    if param in names or named:
        # Without `param` the first name in the message counts: a later one may be advice on what to use instead.
        return _changed(request, param if param in names else min(named, key=said.find))
    if own is None and re.search(r"\b(system|developer)\b", said, re.I):
        return _without_system(request)
    return None


def repeated(request: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A request with changes that an earlier one of the same model needed."""
    made = dict(request)
    for change in changes:
        if change == "system":
            made = (_without_system(made) or (made, ""))[0]
        elif change in made:
            made = _changed(made, change)[0]
    return made


def _changed(request: Mapping[str, Any], name: str) -> tuple[dict[str, Any], str]:
    other = _SWAPPED.get(name)
    made = {
        (other if field == name and other else field): value
        for field, value in request.items()
        if field != name or (other is not None and other not in request)
    }
    return made, name


def _without_system(request: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """System messages put before the first words of the user."""
    messages = request.get("messages")
    if not isinstance(messages, list):
        return None
    told = [m for m in messages if isinstance(m, Mapping) and m.get("role") in ("system", "developer")]
    rest = [m for m in messages if not (isinstance(m, Mapping) and m.get("role") in ("system", "developer"))]
    if not told or not rest or not isinstance(rest[0], Mapping):
        return None
    first = rest[0].get("content")
    words = [part for message in told for part in _parts(message.get("content"))]
    content: Any = "\n\n".join([*(part["text"] for part in words), first]) if isinstance(first, str) else None
    if content is None:
        content = [*words, *_parts(first)]
    return {**request, "messages": [{**rest[0], "content": content}, *rest[1:]]}, "system"


def _parts(content: object) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())  # type: ignore[call-overload]
