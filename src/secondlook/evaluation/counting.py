"""Tokens counted here, by a named tokenizer, of calls whose server does not tell what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from secondlook.correction.chat import Message, Usage


def counted(file: str, shown: Sequence[Message], said: str) -> Usage:
    """Least cost of a call: the tokens of its texts, without what the server's chat template puts around them."""
    tokenizer = load_tokenizer(file)

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return Usage(sum(count(message.content) for message in shown), count(said), calls=1)


@cache
def load_tokenizer(file: str) -> Any:
    """A tokenizer from its ``tokenizer.json``.

    Raises:
        ValueError: If it cannot be read, or the library is not there.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ValueError("counting tokens needs the tokenizers library; pip install tokenizers") from None
    try:
        return Tokenizer.from_file(file)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"tokenizer {file!r} cannot be read ({error}); give the tokenizer.json of a model") from None
