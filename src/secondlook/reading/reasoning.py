"""Reasoning set aside: what a model thought is kept, and never read as what it said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secondlook.correction.chat import Finish


_NAMES = "think|thinking|thought|thoughts|reasoning|reason|analysis|scratchpad|reflection|seed:think"
# [THINK] is Magistral's, the triangles are Kimi's, seed:think is Seed-OSS's. Channels are gpt-oss's: analysis and
# commentary open a thought, any other channel ends it.
_TAG = re.compile(
    rf"<(?P<end>/?)(?:{_NAMES})>|\[(?P<end2>/?)THINK\]|\u25c1(?P<end3>/?)think\u25b7"
    r"|<\|(?:(?P<open4>begin)|end)_of_thought\|>"
    r"|<\|channel\|>(?P<open5>analysis|commentary)?(?:final)?(?:<\|message\|>)?",
    re.IGNORECASE,
)
_MARKS = re.compile(r"<\|[a-z_]{1,30}\|>(?:assistant)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reply, its reasoning set aside.

    Attributes:
        text: What was said.
        thought: What was thought, in order.
        unfinished: Whether the last thought was never closed.
    """

    text: str
    thought: str = ""
    unfinished: bool = False

    def cut(self, finish: Finish) -> bool:
        """Whether what was said was cut off, by a limit, by a filter, or because the thought never ended."""
        return finish in ("length", "filter") or self.unfinished

    @property
    def ends_line(self) -> bool:
        """Whether what was said ends with a whole line, so that its last word is whole even if the reply was cut."""
        return self.text.rstrip(" ").endswith("\n")


def set_aside_reasoning(reply: str, reasoning: str = "") -> Spoken:
    """A reply without its reasoning.

    ``<think>…</think>`` and its relatives are set aside wherever they stand; what stands before an end without a
    beginning was thought, and so was what follows a beginning without an end.

    Args:
        reply: The reply's text.
        reasoning: What the server gave apart from it, as ``reasoning_content`` or ``reasoning``.
    """
    said: list[str] = []
    thoughts = [reasoning] if reasoning.strip() else []
    depth, position = 0, 0
    for tag in _TAG.finditer(reply) if "<" in reply or "[" in reply or "\u25c1" in reply else ():
        part = reply[position : tag.start()]
        opens = tag["open4"] or tag["open5"] or not _closes(tag)
        if opens:
            (thoughts if depth else said).append(part)
            depth += 1
        elif depth:
            thoughts.append(part)
            # One end closes all, so that a thought opened twice and closed once does not swallow the answer.
            depth = 0
        else:
            thoughts += [*said, part]
            said = []
        position = tag.end()
    (thoughts if depth else said).append(reply[position:])
    text = "".join(said)
    return Spoken(_MARKS.sub("", text) if "<|" in text else text, "\n".join(thoughts).strip(), depth > 0)


def _closes(tag: re.Match[str]) -> bool:
    if tag.group().startswith("<|"):
        return True  # its openings are told apart before
    return "/" in (tag["end"] or "") + (tag["end2"] or "") + (tag["end3"] or "")
