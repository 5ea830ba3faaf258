"""A request that the gateway itself refuses, in a form that OpenAI's and Anthropic's clients read."""

from __future__ import annotations

from typing import Any

RETRY_AFTER = 1
"""Seconds after which a client may come back, where that may help."""


class RefusalError(Exception):
    """A request that is refused.

    Attributes:
        status: Of the HTTP answer.
        code: In a word.
        retry_after: Seconds after which it may be asked again.
    """

    def __init__(self, status: int, code: str, said: str, retry_after: int | None = None) -> None:
        super().__init__(said)
        self.status, self.code, self.retry_after = status, code, retry_after


def error(code: str, said: str) -> dict[str, Any]:
    """The body of an error; its own type is what Anthropic's clients read."""
    return {"type": "error", "error": {"message": said, "type": "secondlook_error", "param": None, "code": code}}
