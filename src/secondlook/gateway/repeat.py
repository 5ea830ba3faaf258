"""Rules for repeating a call to the upstream, and the pauses between repeats."""

from __future__ import annotations

import random
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from time import time

FREE = frozenset({429, 503})
"""Statuses of calls that surely were not answered: said before anything was computed."""
UNCERTAIN = frozenset({500, 502, 504})
"""Statuses of calls that may have been answered, and billed."""
LONGEST_WAIT = 30.0
"""Seconds; an upstream that asks for a longer pause is not asked again."""


def asked_to_wait(headers: Iterable[tuple[str, str]]) -> float | None:
    """Seconds of ``Retry-After``, a number or a date; ``None`` where nothing, or nothing readable, is asked."""
    value = next((value for name, value in headers if name.lower() == "retry-after"), "")
    try:
        # 0.0 first: max(0.0, nan) is 0.0, but max(nan, 0.0) is nan.
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None


def pause(attempt: int, asked: float | None) -> float:
    """Seconds before the call after this one: what the upstream asks for and up to a second more, else up to a bound.

    Args:
        attempt: Calls made so far, from 1; the bound doubles with each, from 0.25 s to 8 s.
        asked: Seconds that the upstream asks for.
    """
    # Drawn from the whole range, so that requests which failed together do not come back together.
    jitter = random.uniform(0.0, min(8.0, 0.25 * 2 ** (attempt - 1)))  # noqa: S311 - no secret
    return jitter if asked is None else asked + min(jitter, 1.0)
