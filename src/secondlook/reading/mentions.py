"""Mentions: where a reply names an option, by its text, by its letter, or by saying that it cannot be told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from secondlook.reading.plain import plain, spelled_out

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOWHERE = -1
"""The index of a mention that names no option on offer, or two at once."""

_TOLD = (
    r"(?:determined?|known?|answered|answer|told|tell|said|say|inferred|infer|concluded?|established|decided?|identif(?:y|ied)"
    r"|judged?|ascertain(?:ed)?|deduced?|specified|verified)"
)
_MATTER = r"(?:info(?:rmation)?|context|evidence|details?|data|clues?)"
_WHO = r"(?:who\b|whom\b|whose\b|which\b|whether\b|either\b|enough|sufficient)"
_ADVERBS = r"(?:(?:be|really|reliably|definitively|clearly|be|accurately|actually|explicitly|possible|directly|fully|easily) )*"
# "not enough information", "cannot be determined", "no way to tell", "it is impossible to say".
UNKNOWABLE = re.compile(
    rf"\b(?:cannot {_ADVERBS}{_TOLD}\b(?! (?:that )?(?:this|you|it)\b)"
    rf"|not (?:\w+ ){{0,3}}?(?:enough|sufficient|adequate) (?:\w+ )?{_MATTER}\b|insufficient (?:\w+ )?{_MATTER}\b"
    rf"|(?:lack of|lacks?|without) (?:enough |sufficient |more )?{_MATTER}\b(?= to\b)|(?:not|no) (?:any )?(?:way|possible|basis)"
    rf" (?:to|of) {_ADVERBS}{_TOLD}\b|impossible to {_ADVERBS}{_TOLD}\b"
    rf"|not {_ADVERBS}(?:known|answerable|determinable|determined|specified|stated|given)\b(?= ?(?:$|[.,;:!)\"']|who|which|in the|by the|from|whether|based))"
    rf"|(?:unknown|undetermined|undeterminable|indeterminate|unanswerable|unspecified)\b(?! \w+(?: person| man| woman))"
    rf"|(?:unclear|ambiguous|not clear)(?= (?:from |in )?(?:the \w+ )?{_WHO})"
    rf"|no (?:\w+ ){{0,2}}(?:{_MATTER}|indication|mention|way)(?: (?:is |was )?(?:given|provided|available))?(?: in the \w+)?"
    rf"(?: about| on| of| as to| regarding| to \w+)? {_WHO}"
    rf"|does not (?:\w+ )?(?:say|specify|state|indicate|tell|mention|provide|give|reveal|clarify|identify|make clear|explain)"
    rf"(?: us)?(?: \w+)? {_WHO})",
    re.IGNORECASE | re.MULTILINE,
)
_WEAK = re.compile(r"(?:unclear|ambiguous|not clear|does not|no (?!way))", re.IGNORECASE)

# A letter: a capital standing alone, or any letter in brackets.
_LETTER = re.compile(
    r"(?<!\w')(?<![\w.+/-])[A-Z](?![\w+]|'\w|-\w|\.\w|/\w)|(?<=[(\[{])[ ]?[a-z](?=[ ]?[)\]}])"
    r"|(?<![\w'.+-])[A-Z](?=/[A-Z](?!\w))|(?<=[A-Z]/)[A-Z](?!\w)"
)
_SMALL = re.compile(r"(?:^(?=[a-z][).:] )|(?:answer|choice|option|boxed|letter)\b[\"']?(?: is)?[ ]?[:=]?[ ]?[\"'(]?)(?P<letter>[a-z])(?=[).:]|[\"']?[ ]*$)", re.MULTILINE | re.IGNORECASE)
_OPENS = re.compile(r"[\"'(\[{ ]*$")
_AFTER_LETTER = re.compile(r"\.\.\.|[)\]}.:,](?:\s|$|[\"'(])|[ ]?(?:[\u2014=-])(?:[ ]|$)|[ ]?[\"'(]|[\"'. ]*$|[ ](?:because|since|as|is|was|it is)\b", re.MULTILINE)
_FRAME = re.compile(
    r"\b(?:answers?|options?|choices?|letters?|choose|chose|chosen|choosing|pick|picked|picking|select|selected|selecting|go|going"
    r"|is|was|be|are|remains|stays|ist|est|es|è|é|so|therefore|thus|hence|not|neither|nor|or|and|than|of|with|for|to|say|saying|said|but|mean|instead|only|only|prefer"
    r"|between|either|both|boxed|now|because|since|that|correct|yes|okay|\w+ly)\b[ ]?[\"']?[ ]?(?:[:=\u2014-]+[ ]?)?[\"'(\[{ ]*$|[=:,/\u2014&.!?;][ \n]*[\"'(\[{ ]*$|[\u3040-\ud7af][ ]*$",
    re.IGNORECASE,
)
_JUDGED = re.compile(r"[\"')\]]{0,2} (?:is|was|would be|seems|looks|remains)\b|[\"')\]]{0,2}(?:,| (?:or|and|nor|because|since|as)\b)")
_I = re.compile(r"[\"')\].:]*(?:\n|$)")
_ARTICLE = re.compile(r" (?!(?:is|was|because|since|as|or|and|nor|would|should|seems|looks|appears|rests|relies|assumes|cannot|can|could|must|has|does|but|for|from|based|the|in)\b)[a-z\u00df-\u024f]")
# A bare noun stands for "The noun" only where nothing else can go before it.
_BARE = re.compile(r"(?:^|[:(\"'\[=\u2014.,;{]|\b(?:is|was|be|answer|option|choose|pick|say|therefore|so|or|nor|not|and)) ?[\"'(]*$", re.IGNORECASE)
_ARTICLE_FIRST = re.compile(r"^(?:the|an?) (?=\S)", re.IGNORECASE)
_GAP = re.compile(r"[)\]}]?[\"']?[ ]?(?:[.:,=\u2014-]|is|\()?[ ]?[\"'(]*(?:the |an? )?", re.IGNORECASE)
_ENDS = re.compile(r"[\"')\]}.,;:!]*(?:$|\n|[ ]?[,;(\u2014:]|[.!][\"')\]]*[ ])")


@dataclass(frozen=True, slots=True)
class Mention:
    """A place where an option is named.

    Attributes:
        start: Where it begins in the plain text.
        end: Where it ends.
        index: The option; :data:`NOWHERE` where it names none on offer, or a letter and a text that disagree.
        letter: Whether a letter names it, with or without its text.
        weak: Whether it only suggests the option ("the text does not say who").
        stray: Whether it is a capital letter that names nothing ("Plan B").
        unknowable: Whether it says, in whatever words, that it cannot be told.
    """

    start: int
    end: int
    index: int
    letter: bool = False
    weak: bool = False
    stray: bool = False
    unknowable: bool = False


def mentions(text: str, forms: tuple[tuple[str, ...], ...], letters: int = 0, unknown: int | None = None) -> list[Mention]:
    """Every mention of an option in a plain, spelled-out text, in order.

    Args:
        text: The text.
        forms: The texts of each option.
        letters: How many letters name options.
        unknown: Index of the option that says it cannot be told.
    """
    found = list(_texts(text, forms))
    if unknown is not None:
        found = _without_inner([*found, *_unknowable(text, unknown)])
    if letters:
        found = _joined(text, found, list(_letters(text, letters, found)))
    return sorted(found, key=lambda mention: mention.start)


def unknown_option(options: Sequence[str]) -> int | None:
    """The one option whose text says that it cannot be told, e.g. "Not enough info"; ``None`` if none or several do."""
    found = [i for i, option in enumerate(options) if _says_unknown(spelled_out(plain(option)).strip(" .!"))]
    return found[0] if len(found) == 1 else None


def _says_unknown(option: str) -> bool:
    match = UNKNOWABLE.search(option)
    return match is not None and len(option.split()) <= 8 and match.start() <= len(option) // 2


@lru_cache(maxsize=4096)
def _pattern(forms: tuple[tuple[str, ...], ...]) -> tuple[re.Pattern[str] | None, dict[str, list[int]], dict[str, list[int]]]:
    """A pattern that finds every option's text, the longest first; whose text each is, and whose without its article."""
    whole: dict[str, list[int]] = {}
    bare: dict[str, list[int]] = {}
    surfaces: set[str] = set()
    for index, texts in enumerate(forms):
        for text in texts:
            words = " ".join(spelled_out(plain(text)).split())
            words = words.strip(".,;:!? ") or words
            core = _ARTICLE_FIRST.sub("", words)
            for owners, surface in ((whole, words), (bare, core)):
                if surface and index not in owners.setdefault(_key(surface), []):
                    owners[_key(surface)].append(index)
                    surfaces.add(surface.lower())
    if not surfaces:
        return None, {}, {}
    found = "|".join(_loosely(surface) for surface in sorted(surfaces, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?<!\w-)(?:{found})(?!\w|['-]\w)", re.IGNORECASE), whole, bare


def _loosely(form: str) -> str:
    """A pattern for a text, whatever its hyphens, spaces and apostrophes."""
    return r"[-\s]+".join(re.escape(word).replace("'", "'?") for word in re.split(r"(?<=\w)-(?=\w)| ", form))


def _key(words: str) -> str:
    return re.sub(r"[-\s]+", " ", words.replace("'", "")).lower().strip()


def _texts(text: str, forms: tuple[tuple[str, ...], ...]) -> Iterator[Mention]:
    pattern, whole, bare = _pattern(forms)
    for match in pattern.finditer(text) if pattern else ():
        key = _key(match.group())
        owners = whole.get(key)
        if owners is None:
            owners = bare[key]
            if not _BARE.search(text, max(0, match.start() - 40), match.start()):
                continue
        index = owners[0] if len(owners) == 1 else NOWHERE
        # Options of one text are told apart by their letters alone; one whose text is a letter must agree with it.
        if len(key) == 1 and key.upper() in LETTERS and index != LETTERS.index(key.upper()):
            index = NOWHERE
        yield Mention(match.start(), match.end(), index, unknowable=bool(UNKNOWABLE.match(match.group())))


def _unknowable(text: str, unknown: int) -> Iterator[Mention]:
    for match in UNKNOWABLE.finditer(text):
        yield Mention(match.start(), match.end(), unknown, weak=bool(_WEAK.match(match.group())), unknowable=True)


def _without_inner(found: list[Mention]) -> list[Mention]:
    """The mentions that do not overlap a longer or earlier one."""
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


def _letters(text: str, on_offer: int, texts: Iterable[Mention]) -> Iterator[Mention]:
    spans = iter(sorted((one.start, one.end) for one in texts))
    span = next(spans, None)
    small = {match.start("letter") for match in _SMALL.finditer(text)} if on_offer else set()
    places = sorted({*(m.end() - 1 for m in _LETTER.finditer(text)), *small})
    for place in places:
        while span and span[1] <= place:
            span = next(spans, None)
        if span and span[0] <= place:
            continue
        letter = text[place].upper()
        index = LETTERS.index(letter) if LETTERS.index(letter) < on_offer else NOWHERE
        before = text[max(0, place - 40) : place]
        line = before.rsplit("\n", 1)[-1] if "\n" in before or place <= 40 else before
        bracketed = bool(re.search(r"[(\[{][ ]?$", before)) and bool(re.match(r"[ ]?[)\]}]", text[place + 1 : place + 3]))
        opens_line = ("\n" in before or place <= 40) and bool(_OPENS.fullmatch(line))
        article = letter == "A" and text[place] == "A" and not bracketed and bool(_ARTICLE.match(text, place + 1))
        named = bracketed or place in small or (opens_line and bool(_AFTER_LETTER.match(text, place + 1)))
        if letter == "I" and not bracketed and not _I.match(text, place + 1):
            continue
        if article and not re.search(r"\b(?:option|choice|letter) [\"']?$", before, re.IGNORECASE):
            text_after = next((one for one in (span,) if one and one[0] - place <= 6), None)
            if text_after is None or not opens_line:
                continue
        named = named or bool(_FRAME.search(before)) or bool(re.search(r"\b(?:option|choice|letter) [\"']?$", before, re.IGNORECASE)) or (bool(re.match(r"[\"')\]]{0,2} (?:is|was|would be|seems|looks|remains)(?: \w+)? (?:the )?(?:\w+ )?(?:correct|right|best|answer|wrong|incorrect|false|not)\b", text[place + 1 : place + 60])) and not re.search(r"\w $", before))
        near = bool(span) and span[0] - place <= 6 and opens_line
        if named or near:
            yield Mention(place, place + 1, index, letter=True)
        elif index != NOWHERE:
            yield Mention(place, place + 1, index, letter=True, stray=True)


def _joined(text: str, texts: list[Mention], letters: list[Mention]) -> list[Mention]:
    """Letters and texts as one, where a text follows its letter ("B. The grandson") or is followed by it ("The grandson (B)")."""
    ordered = sorted([*texts, *letters], key=lambda one: one.start)
    joined: list[Mention] = []
    for one in ordered:
        last = joined[-1] if joined else None
        if last is not None and last.letter != one.letter and one.start - last.end <= 12 and not (last.stray or one.stray):
            gap = text[last.end : one.start]
            after = _ENDS.match(text, one.end)
            tight = not re.search(r"[.,]", gap) or after
            if last.letter and _GAP.fullmatch(gap) and tight and "\n" not in gap:
                same = one.index if one.index == last.index or (one.index == NOWHERE and last.index != NOWHERE) else NOWHERE
                same = last.index if one.index == NOWHERE else same
                joined[-1] = Mention(last.start, one.end, same, letter=True)
                continue
            if one.letter and re.fullmatch(r"[\"']? ?[(\[]\s?(?:option )?", gap) and text[one.end : one.end + 1] in ")]":
                same = one.index if last.index in (one.index, NOWHERE) else NOWHERE
                joined[-1] = Mention(last.start, one.end, same, letter=True)
                continue
        joined.append(one)
    return joined
