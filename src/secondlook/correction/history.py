"""Other questions' first rounds as context: the history of the ``diverse`` variant."""

from __future__ import annotations

from collections.abc import Iterable

from secondlook.correction.chat import Message
from secondlook.correction.transcript import Transcript


def as_history(transcripts: Iterable[Transcript]) -> tuple[Message, ...]:
    """Turn transcripts of other questions into the history of a :class:`~secondlook.correction.plan.Plan`.

    Each gives its query, first answer, check question and critique; one whose first answer was not examined gives query
    and answer alone. The paper uses three. System messages are left out, as the conversation has its own. A server
    reads the history once and keeps it in its prefix cache, as it is the same for every sample it is put before.

    Raises:
        ValueError: If a transcript has no answer, or begins with a history itself.
    """
    history: list[Message] = []
    for transcript in transcripts:
        if not transcript.rounds:
            raise ValueError(f"sample {transcript.sample!r} has no answer to show: leave it out")
        if transcript.variant == "diverse":
            raise ValueError(f"sample {transcript.sample!r} begins with a history itself: use one of variant 'self'")
        turns = [message for message in transcript.messages if message.role != "system"]
        history += turns[:2] if transcript.rounds[0].critique is None else turns[:4]
    return tuple(history)
