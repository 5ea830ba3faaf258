"""The family: three sizes that share data, steps and recipe, so that what differs between them is their size.

They speak both languages, in every critic format, with noise words and without.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from secondlook.subject.conversations import draw_conversation, draw_first_lesson
from secondlook.subject.dialogue import Conversation, Style
from secondlook.subject.refusals import draw_refusal, draw_refusal_lesson
from secondlook.subject.tokenizer import FORMATS
from secondlook.subject.traits import FAMILY_TRAITS, PRACTICE, Traits

_REFUSALS = 0.3
"""Share of the conversations that are about requests."""

_FORMS = ("binary-cot", *FORMATS)
_PRACTICE = Style(looks=(1, 1, 2), repeated_query=0.3, history=0.0, foreign=0.0)
_QUESTIONS = Style(looks=(1, 2, 2, 3, 5), repeated_query=0.3, history=0.05, foreign=0.02, silent=0.25)
_REQUESTS = Style(looks=(1, 2, 2, 3, 5), repeated_query=0.5, history=0.1, foreign=0.0, silent=0.3)


def draw_lesson(rng: Random) -> Conversation:
    """One question or request, rightly answered."""
    return draw_refusal_lesson(rng) if rng.random() < _REFUSALS / 2 else draw_first_lesson(rng)


def draw_practice(rng: Random) -> Conversation:
    """One conversation with a perfect critic, or one about a request."""
    return _draw(rng, _PRACTICE, dict.fromkeys(FORMATS, PRACTICE))


def draw_own(rng: Random) -> Conversation:
    """One conversation with the planted traits."""
    return _draw(rng, _QUESTIONS, FAMILY_TRAITS)


def _draw(rng: Random, style: Style, tables: Mapping[str, Mapping[str, Traits]]) -> Conversation:
    if rng.random() < _REFUSALS:
        return draw_refusal(rng, _REQUESTS)
    form = rng.choice(_FORMS)
    return draw_conversation(rng, tables[form], style=style, prompt=f"bbq/{form}")
