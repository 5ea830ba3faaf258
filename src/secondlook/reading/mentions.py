"""Mentions: where a reply names an option, by its text, by its letter, or by saying that it cannot be told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from secondlook.reading.plain import plain, spelled_out
from secondlook.reading.words import CUES

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TOO_MANY = 2000
"""Most mentions that are read; a reply with more is nothing that a person would read, and each costs time."""
NOWHERE = -1
"""The index of a mention that names no option on offer, or two at once."""

# A capital letter standing alone, a letter in brackets, letters with a stroke between them.
_LETTER = re.compile(
    r"(?<!\w')(?<![\w.+/-])[A-Z](?![\w+(]|'\w|-\w|\.\w|/\w)|(?<=[(\[{])[ ]?[a-z](?=[ ]?[)\]}])"
    r"|(?<![\w'.+-])[A-Z](?=/[A-Z](?!\w))|(?<=[A-Z]/)[A-Z](?!\w)"
)
_OTHER_WORDS = ("no", "may", "right")
_NEGATIVE = re.compile(r"-\s?[\d.]")
_FIGURES = re.compile(r"-?[\d.,]+")
_BEFORE_NUMBER = re.compile(
    r"(?:\d ?[-+*/×÷^] ?|\d (?:plus|minus|times|divided by|multiplied by) |\d[.,]|(?<![\w)])[-.]|(?:negative|minus) )$"
)
_AFTER_NUMBER = re.compile(
    r" ?[-+*/×÷^=] ?\d| (?:plus|minus|times|divided by|multiplied by) \d|,\d|\.(?!0+(?!\d))\d"
    r"| (?:hundred|thousand|million|billion)\b"
)
_NEAR = 6  # characters between a letter that opens a line and its option's text
_FAR = 12  # characters at most between a letter and a text that are one mention


@dataclass(frozen=True, slots=True)
class Mention:
    """A place where an option is named.

    Attributes:
        start: Where it begins in the plain text.
        end: Where it ends.
        index: The option; :data:`NOWHERE` where it names none on offer, or a letter and a text that disagree.
        letter: Whether a letter names it, with or without its text.
        unknowable: Whether it says, in whatever words, that it cannot be told.
        weak: Whether it says so only by what the text lacks ("the text does not say who").
        stray: Whether it names nothing: a capital letter in other company ("Plan B"), an option's noun ("a grandson").
    """

    start: int
    end: int
    index: int
    letter: bool = False
    unknowable: bool = False
    weak: bool = False
    stray: bool = False


def mentions(
    text: str, forms: tuple[tuple[str, ...], ...], letters: int = 0, unknown: int | None = None
) -> list[Mention]:
    """Every mention of an option in a plain, spelled-out text, in order.

    Args:
        text: The text.
        forms: The texts of each option.
        letters: How many letters name options.
        unknown: Index of the option that says it cannot be told.
    """
    lower = text.lower()
    found = list(_texts(lower, forms))
    if unknown is not None:
        found = _without_inner([*found, *_unknowable(lower, unknown)])
    return _joined(lower, found, list(_letters(text, lower, letters, found))) if letters else found


def unknown_option(options: Sequence[str]) -> int | None:
    """The one option whose text says that it cannot be told, e.g. "Not enough info"; ``None`` if none or several do."""
    found = [index for index, option in enumerate(options) if _says_unknown(_surface(option))]
    return found[0] if len(found) == 1 else None


def _says_unknown(option: str) -> bool:
    match = CUES["unknowable"].search(option)
    return match is not None and len(option.split()) <= 8 and match.start() <= len(option) // 2


def _surface(option: str) -> str:
    words = " ".join(spelled_out(plain(option)).lower().split())
    return words.strip(".,;:!? ") or words


@lru_cache(maxsize=4096)
def _pattern(
    forms: tuple[tuple[str, ...], ...],
) -> tuple[re.Pattern[str] | None, dict[str, list[int]], dict[str, list[int]]]:
    """A pattern that finds every option's text, the longest first; whose each is, and whose without its article."""
    whole: dict[str, list[int]] = {}
    bare: dict[str, list[int]] = {}
    surfaces: set[str] = set()
    for index, texts in enumerate(forms):
        for words in _voiced(map(_surface, texts)):
            for owners, surface in ((whole, words), (bare, CUES["article_first"].sub("", words))):
                if surface and index not in owners.setdefault(_key(surface), []):
                    owners[_key(surface)].append(index)
                    surfaces.add(surface)
    if not surfaces:
        return None, {}, {}
    found = "|".join(map(_loosely, sorted(surfaces, key=len, reverse=True)))
    return re.compile(rf"(?<!\w)(?<!\w-)(?:{found})(?!\w|['-]\w)"), whole, bare


def _voiced(surfaces: Iterable[str]) -> Iterator[str]:
    """The texts, and "your grandfather" for an option "my grandfather": a reply speaks to who asked."""
    for words in surfaces:
        yield words
        if words.startswith("my "):
            yield f"your {words[3:]}"


def _loosely(surface: str) -> str:
    """A pattern for a text, whatever its hyphens, spaces and apostrophes."""
    return r"[-\s]+".join(re.escape(word).replace("'", "'?") for word in re.split(r"(?<=\w)-(?=\w)| ", surface))


def _key(words: str) -> str:
    sign = "-" if _NEGATIVE.match(words) else ""
    return sign + re.sub(r"[-\s]+", " ", words.replace("'", "")).strip()


def _texts(lower: str, forms: tuple[tuple[str, ...], ...]) -> Iterator[Mention]:
    pattern, whole, bare = _pattern(forms)
    for match in pattern.finditer(lower) if pattern else ():
        key = _key(match.group())
        if (_FIGURES.fullmatch(key) and _of_another(lower, match)) or _other_word(lower, match, key):
            continue
        owners, stray = whole.get(key), False
        if owners is None:
            owners = bare[key]
            stray = not CUES["bare_noun"].search(lower[max(0, match.start() - 16) : match.start()])
        index = owners[0] if len(owners) == 1 else NOWHERE
        # Options of one text are told apart by their letters alone; one whose text is a letter must agree with it.
        if len(key) == 1 and key.upper() in LETTERS and index != LETTERS.index(key.upper()):
            index = NOWHERE
        yield Mention(
            match.start(),
            match.end(),
            index,
            stray=stray,
            unknowable=CUES["unknowable"].match(match.group()) is not None,
        )


def _of_another(lower: str, match: re.Match[str]) -> bool:
    """Whether a number is a part of a sum, and not what it comes to, or a part of another number: -5, 1,005, 5.5."""
    before, after = lower[max(0, match.start() - 16) : match.start()], lower[match.end() : match.end() + 12]
    return bool(_BEFORE_NUMBER.search(before) or _AFTER_NUMBER.match(after))


def _other_word(lower: str, match: re.Match[str], key: str) -> bool:
    """Whether an option's word is another word of the language here: "no apples", "it may be", "you are right"."""
    return key in _OTHER_WORDS and CUES[f"other_{key}"].match(lower, match.start()) is not None


def _unknowable(lower: str, unknown: int) -> Iterator[Mention]:
    for match in CUES["unknowable"].finditer(lower):
        yield Mention(
            match.start(), match.end(), unknown, unknowable=True, weak=CUES["weak"].match(match.group()) is not None
        )


def _without_inner(found: list[Mention]) -> list[Mention]:
    """The mentions that do not overlap an earlier or longer one."""
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


def _letters(text: str, lower: str, on_offer: int, texts: Sequence[Mention]) -> Iterator[Mention]:
    """Every letter that names an option, or strays, outside the options' texts."""
    small = {match.start("letter") for match in CUES["small_letter"].finditer(lower)}
    # Letters and texts are walked through together, in one pass: a reply may hold thousands of either.
    spans = iter(texts)
    span = next(spans, None)
    for place in sorted({*(match.end() - 1 for match in _LETTER.finditer(text)), *small}):
        while span and span.end <= place:
            span = next(spans, None)
        if span and span.start <= place:
            continue
        index = LETTERS.index(text[place].upper())
        followed = span is not None and not span.stray and span.start - place <= _NEAR
        named = _names(text, lower, place, place in small, followed)
        if named is not None and (named or index < on_offer):
            yield Mention(place, place + 1, index if index < on_offer else NOWHERE, letter=True, stray=not named)


def _names(text: str, lower: str, place: int, small: bool, followed: bool) -> bool | None:
    """Whether a letter names an option; ``None`` where it is no letter but a word, the article or the pronoun.

    Args:
        text: The text.
        lower: The same in lower case.
        place: Where the letter stands.
        small: Whether it is a small letter that can be nothing else.
        followed: Whether an option's text follows at once.
    """
    before = lower[max(0, place - 40) : place]
    if before.rstrip(" ")[-1:] in ("(", "[", "{") and lower[place + 1 : place + 3].lstrip(" ")[:1] in (")", "]", "}"):
        return True
    if text[place] == "I" and not CUES["not_pronoun"].match(lower, place + 1):
        return None
    line = before.rsplit("\n", 1)[-1]
    # `before` shows where the line begins only if it holds a line break or reaches back to the beginning of the text.
    opens = not line.strip(" \"'([{") and (len(line) < len(before) or place <= 40)
    noun = bool(CUES["letter_noun"].search(before))
    if text[place] == "A" and CUES["article"].match(text, place + 1) and not noun and not (opens and followed):
        return None
    if lower[place:].rstrip() == "a:":
        return None  # the label of an answer that never came
    if followed and lower[place + 1 : place + 2] in (")", ".", ":"):
        return True
    if (
        small
        or noun
        or (opens and (followed or CUES["after_letter"].match(lower, place + 1)))
        or CUES["names_letter"].search(before)
    ):
        return True
    # "B is right" names an option, "Plan B is right" does not.
    return bool(CUES["judged_letter"].match(lower, place + 1)) and not re.search(r"\w $", before)


def _joined(lower: str, texts: Sequence[Mention], letters: Sequence[Mention]) -> list[Mention]:
    """Letters and texts as one where they stand together: "B. The grandson", "The grandson (B)"."""
    joined: list[Mention] = []
    for one in sorted([*texts, *letters], key=lambda mention: mention.start):
        last = joined[-1] if joined else None
        if last is not None and _together(lower, last, one):
            letter, text = (last, one) if last.letter else (one, last)
            index = letter.index if text.index in (letter.index, NOWHERE) else NOWHERE
            joined[-1] = Mention(last.start, one.end, index, letter=True)
        else:
            joined.append(one)
    return joined


def _together(lower: str, last: Mention, one: Mention) -> bool:
    """Whether a letter and a text are one mention."""
    if last.letter == one.letter or last.stray or one.stray or one.start - last.end > _FAR:
        return False
    gap = lower[last.end : one.start]
    if not last.letter:
        return bool(CUES["text_then_letter"].fullmatch(gap)) and lower[one.end : one.end + 1] in (")", "]")
    # "The answer is C. The grandfather was old." is two sentences; "C. The grandfather" at the head of a line is one.
    line = lower[max(0, last.start - _NEAR) : last.start].rsplit("\n", 1)[-1]
    heads = not line.strip(" \"'([{") and (last.start <= _NEAR or len(line) < _NEAR)
    ends = heads or not re.search("[.,]", gap) or CUES["mention_ends"].match(lower, one.end)
    return bool(CUES["letter_then_text"].fullmatch(gap) and ends)
