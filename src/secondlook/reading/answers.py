"""Answers: which of the options a reply finally asserts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from secondlook.reading.mentions import LETTERS, TOO_MANY, Mention, mentions, unknown_option
from secondlook.reading.plain import plain, spelled_out
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Reading, settle
from secondlook.reading.stance import Sentences, Weight
from secondlook.reading.standings import option_standings

if TYPE_CHECKING:
    from secondlook.correction.chat import Finish

# An option ends where its line ends or the next letter begins; an A begins another list and ends none.
_OPTION = re.compile(
    r"(?:^|(?<=\s))\(?(?P<letter>[A-Z])[).:]\s+(?P<text>[^\n]+?)(?=\s+\(?[B-Z][).:]\s|\s*$)", re.MULTILINE
)
_TRUTH = re.compile(r"[(\[]?(?P<letter>[A-Za-z])[)\]]?[.:]?|[(\[]?(?P<letter2>[A-Za-z])[)\].:]\s.+")
_HEDGED = re.compile(r"\A\s*(?:perhaps|maybe|possibly),? (?=\([A-Z]\)[^\n?]*\Z)", re.IGNORECASE)
"""A hedge before the one lettered option that is all a reply says: a hesitant answer is one."""
_OTHER = re.compile(r"\W*[A-Z][).:]+ *(?:yes|no|true|false|\d[\d.,]*)\W*", re.IGNORECASE)
"""A letter with a text that answers another question, and is all that a reply says."""
_WORD = re.compile(r"[a-z\u00e0-\uffff]{3,}")
_IDLE = re.compile(
    r"the|and|who|whom|whose|which|what|was|were|are|does|did|has|had|have|been|being|not|that|this|with|for|from|more|most|likely"
    r"|person|people|one|him|her|his|their|they|about|because|into|than"
)
"""Words of a question that an answer need not repeat."""


def read_answer(
    reply: str,
    options: Sequence[str],
    *,
    finish: Finish = "stop",
    unknown: int | None = None,
    question: str | None = None,
) -> Reading[int]:
    """The option that a reply finally asserts.

    Args:
        reply: The reply, as it came.
        options: One to 26 option texts, in the order shown.
        finish: Why the reply ended; one that was cut is read only by a complete declared form.
        unknown: Index of the option that says it cannot be told, whatever its words; found by its words by default.
        question: What was asked; a statement that repeats it ("The grandson was not comfortable.") then answers it,
            and one that says the opposite does not.

    Raises:
        ValueError: No option, or more than 26.
    """
    if not 1 <= len(options) <= len(LETTERS):
        raise ValueError(f"cannot letter {len(options)} options — pass one to {len(LETTERS)}")
    if unknown is None:
        unknown = _unknown(tuple(options))
    return _read(reply, tuple(options), finish, unknown, question, len(options))


def read_choice(reply: str, *, finish: Finish = "stop", prompt: str = "") -> Reading[str]:
    """The letter that a reply finally asserts.

    Args:
        reply: The reply, as it came.
        finish: Why it ended.
        prompt: What was asked; the options that it lists ("A) Paris") are then read by their texts too, and a letter
            that stands by another option's text names nothing.
    """
    options = lettered_options(prompt)
    read = _read(reply, options, finish, None, None, len(options) or len(LETTERS))
    return Reading(None if read.value is None else LETTERS[read.value], read.form, read.words)


def lettered_options(prompt: str) -> tuple[str, ...]:
    """The options that a prompt lists from A on, each on its line or all on one; none if there are fewer than two."""
    options: list[str] = []
    for option in _OPTION.finditer(prompt):
        if len(options) < len(LETTERS) and option["letter"] == LETTERS[len(options)]:
            options.append(option["text"].strip())
        # Of several lists the last counts.
        elif option["letter"] == "A":
            options = [option["text"].strip()]
    return tuple(options) if len(options) > 1 else ()


def choice_letter(truth: object) -> str | None:
    """The letter of a right choice, e.g. of ``"B"``, ``"(b)"`` or ``"B) Paris"``; ``None`` where it names none."""
    found = _TRUTH.fullmatch(str(truth).strip())
    return (found["letter"] or found["letter2"]).upper() if found else None


_unknown = lru_cache(maxsize=4096)(unknown_option)


def _read(
    reply: str, options: tuple[str, ...], finish: Finish, unknown: int | None, question: str | None, letters: int
) -> Reading[int]:
    spoken = set_aside_reasoning(reply)
    text = _HEDGED.sub("", spelled_out(plain(spoken.text)))
    found = mentions(text, tuple((option,) for option in options), letters, unknown)
    if not 0 < len(found) <= TOO_MANY:
        return Reading()
    if options and len(found) == 1 and found[0].end - found[0].start <= 2 and _OTHER.fullmatch(text):
        return Reading()
    sentences = Sentences(text)
    asked = _Echo(question) if question else None
    standing = option_standings(found, sentences, [asked.of(one, sentences) for one in found] if asked else ())
    read = settle(standing, sentences.text, cut=spoken.cut(finish), ends_line=spoken.ends_line)
    if read is None or (spoken.cut(finish) and _names_another(text, read.mention, options)):
        return Reading()
    words = text[max(sentences.start(read.mention.start), read.mention.start - 120) : read.mention.end].strip()
    return Reading(read.mention.index, "declared" if read.weight == Weight.DECLARED else "asserted", words)


def _names_another(text: str, mention: Mention, options: tuple[str, ...]) -> bool:
    """Whether a letter at the end of a reply that was cut is followed by the beginning of another option's text."""
    rest = text[mention.end :].lower().strip(" )].:\"'")
    if not mention.letter or not rest or "\n" in rest or not options:
        return False
    texts = [plain(option).lower() for option in options]
    return not texts[mention.index].startswith(rest) and any(option.startswith(rest) for option in texts)


class _Echo:
    """Whether a sentence repeats what was asked about an option, or says the opposite."""

    def __init__(self, question: str) -> None:
        words = spelled_out(plain(question)).lower()
        self._words = {_stem(word) for word in _WORD.findall(words) if not _IDLE.fullmatch(word)}
        self._negated = _negated(words)

    def of(self, mention: Mention, sentences: Sentences) -> int:
        """1 if the sentence of a mention repeats the question, -1 if it says the opposite, 0 if neither."""
        after = sentences.after(mention.end)
        # An option repeats the question as the subject of a sentence, so words have to follow it.
        if not self._words or mention.letter or not re.match(r"[\"')]* \w", after):
            return 0
        said = {_stem(word) for word in _WORD.findall(after)}
        if len(self._words & said) < max(1, 0.6 * len(self._words)):
            return 0
        return 1 if _negated(after) == self._negated else -1


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ed|es|s)$", "", word)


def _negated(words: str) -> bool:
    return bool(re.search(r"\b(?:not|never|no|cannot|nothing)\b", words))
