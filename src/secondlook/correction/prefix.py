"""Whether a chat template keeps earlier turns as they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from secondlook.correction.chat import Message


def rewritten_turn(
    render: Callable[[Sequence[Message]], Sequence[int] | str], messages: Sequence[Message]
) -> int | None:
    """Index of the first user message whose rendering no longer begins with that of the user message before.

    Servers keep what they computed for a prompt and reuse it for the next one as far as the two begin with the same
    tokens. The loop only ever appends turns, so each of its prompts can be served from the one before, unless the
    template changes earlier turns as the conversation grows (some drop earlier reasoning, or move the system message).
    Then caches miss, and every round pays for the whole conversation.

    Args:
        render: Gives the tokens (or the text) of a conversation as the model is shown it, with the generation prompt;
            only called on conversations that end with a user message.
        messages: A conversation.

    Returns:
        Its index; ``None`` if there is none.
    """
    earlier: tuple[object, ...] = ()
    for index, message in enumerate(messages):
        if message.role != "user":
            continue
        later = tuple(render(messages[: index + 1]))
        if later[: len(earlier)] != earlier:
            return index
        earlier = later
    return None
