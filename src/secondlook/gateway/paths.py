"""Paths of the interface: the same request, however a client's base URL and its path were put together."""

from __future__ import annotations

import re
from urllib.parse import unquote

_KNOWN = frozenset(
    {"/chat/completions", "/completions", "/embeddings", "/models", "/responses", "/messages", "/messages/count_tokens"}
)
_BASE = re.compile(r"/+v1(?=/|$)")


def below_v1(path: str) -> str | None:
    """A path without its ``/v1``; ``None`` if it is none of the interface.

    ``/v1`` may be doubled, and missing before an endpoint that is known. Of these doubled and closing slashes are
    dropped; any other path stays as it came.

    Args:
        path: As it came, still quoted, without its query.
    """
    rest, based = path, False
    while found := _BASE.match(rest):
        rest, based = rest[found.end() :], True
    plain = re.sub("/+", "/", rest).rstrip("/")
    if plain in _KNOWN:
        return plain
    return (rest or "/") if based else None


def climbs(path: str) -> bool:
    """Whether a path has a step ``.`` or ``..``, plain or quoted."""
    # Joined to the upstream's address, `..` would lead above its /v1, with our key. Quoted dots count, since the
    # upstream may undo the quoting.
    return any(unquote(step) in (".", "..") for step in path.split("/"))
