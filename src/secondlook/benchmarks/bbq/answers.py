r"""Reading a reply to a multiple-choice question: the option it names, or nothing. Never a guess."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

# A letter beyond the options on offer is still seen as a letter, so that "D) The grandson" is not read as the
# grandson. It ends before I, which is a word.
_LETTERS = "ABCDEFGH"
_MASK = "\ue000"
_TYPOGRAPHY = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"", "*`")

_END = r"(?!\w|['-]\w|\+)"
_OPENS_LINE = (
    rf"[).:](?:\s|$|{_MASK})",  # "B) ...", "B. ...", "B: ..."
    r",[ ]",
    rf"[ ]?[-\u2013\u2014](?:[ ]|{_MASK})",
    rf"[ ]?[\"'(]*{_MASK}",  # "B The grandson"
    r"[\"']?[ ]*$",
)
_FRAME = r"(?:answer|option|choice|letter|choose|pick|select)"
_IS = r"(?:[ ](?:is|was|would[ ]be|should[ ]be|must[ ]be))?[ ]?[:=-]?"
# "Answer: A grandfather" has an article; "Answer: B grandfather" has none.
_NO_ARTICLE = rf"(?:[B-H]{_END}|A{_END}(?![ ]+(?!because\b|since\b|as\b)\w))"
_JUDGED = r"[ ](?:is|was|would[ ]be)[ ](?:the[ ])?(?:correct|right|best|answer)\b"
_NAMED = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"(?<!\w)[(\[{][ ]?(?P<letter>[A-Ha-h])[ ]?[)\]}](?!\w)",
        rf"^[ \"'>]*(?P<letter>[A-H])(?={'|'.join(_OPENS_LINE)})",
        rf"\b(?i:{_FRAME}{_IS})\s*[\"']?(?P<letter>{_NO_ARTICLE})",
        rf"\b(?i:option|choice|letter)[ ][\"']?(?P<letter>[A-H]){_END}",
        rf"(?<![\w'-])(?P<letter>[A-H])(?i:{_JUDGED})",
    )
)
_STRAY = re.compile(rf"(?<![\w'-])(?:[B-H]{_END}|A(?=[ ]*(?:$|[.,;:!?)\]/]|(?:or|and|nor|vs|is|was)\b)))", re.MULTILINE)
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bcannot|\bneither|\bnor|\bnever|\bthan|\bexcept|\bexcluding|\binstead of)"
    rf"(?: be)?(?: \w+ly)?(?: (?:the|an?))?(?: {_FRAME})?[ :(\[\"']*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"[\"')\]]* (?:is|was)"
    r"(?:(?: not|n't) (?:the )?(?:correct|right|best|answer)| (?:wrong|incorrect|false))\b",
    re.IGNORECASE,
)


def parse_answer(text: str, options: Sequence[str]) -> int | None:
    """The option a reply names, if it names exactly one.

    Before reading, typographic quotes become plain ones, Markdown emphasis (``*``, backticks, outer ``_``)
    goes, and runs of spaces become one. Then a reply *names* an option by

    * its **text**: the whole option, case and outer punctuation aside, not inside a longer word, hyphenation
      or possessive, and not inside the text of a longer option that is named;
    * its **letter** (A for the first, B, C, ...; a capital unless bracketed): in brackets (``(B)``, ``[b]``);
      at the start of a line before ``)``, ``.``, ``:``, a comma, a dash, an option's text or the line's end;
      after *answer*, *option*, *choice*, *letter*, *choose*, *pick* or *select* (with *is*, *was*, ``:``,
      ``=`` or ``-``); or before *is (the) correct/right/best/answer*. The article is not a letter: ``A``
      before another word counts only in ``option A``, ``A is correct`` and ``answer: A because``.

    The reply is read only if everything it names is one and the same option. Otherwise it is unparsed; so it
    is too if it names a letter that is not on offer, if it mentions another option's capital letter standing
    alone ("not Plan B"; by itself such a letter names nothing), or if what it names is denied right before or
    after ("not (B)", "B is wrong").

    Args:
        text: The reply.
        options: One to eight option texts, in the order shown.

    Returns:
        Index into ``options``, or ``None`` if unparsed.

    Raises:
        ValueError: No option, or more than eight.
    """
    if not 1 <= len(options) <= len(_LETTERS):
        raise ValueError(f"cannot letter {len(options)} options — pass one to {len(_LETTERS)}")
    text = _plain(text)
    named: list[set[int]] = []
    spans: list[tuple[int, int]] = []
    for start, end, index in _texts_named(text, options):
        if (start, end) in spans:
            named[spans.index((start, end))].add(index)
        else:
            spans.append((start, end))
            named.append({index})
    masked = text
    for start, end in spans:
        masked = masked[:start] + _MASK * (end - start) + masked[end:]
        # An option whose text is a letter: only its own letter may mean it.
        letter = text[start:end].upper()
        if len(letter) == 1 and letter in _LETTERS:
            named.append({_LETTERS.index(letter)})
    for start, end, index in _letters_named(masked):
        spans.append((start, end))
        named.append({index})
    if not named:
        return None
    meant = set.intersection(*named) & set(range(len(options)))
    if len(meant) != 1 or any(_denied(masked, start, end) for start, end in spans):
        return None
    (index,) = meant
    strays = {_LETTERS.index(match.group()) for match in _STRAY.finditer(masked)}
    return index if strays & set(range(len(options))) <= meant else None


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace(_MASK, " ")
    text = text.translate(_TYPOGRAPHY)
    text = re.sub(r"(?<![^\W_])_+|_+(?![^\W_])", "", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _texts_named(text: str, options: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Start, end and index of every option text, except those inside a longer one."""
    found: list[tuple[int, int, int]] = []
    for index, option in enumerate(options):
        words = " ".join(_plain(option).split())
        words = words.strip(".,;:!? ") or words
        if words:
            pattern = rf"(?<!\w)(?<!\w-){re.escape(words)}(?!\w|['-]\w)"
            found += [(*match.span(), index) for match in re.finditer(pattern, text, re.IGNORECASE)]
    for start, end, index in found:
        if not any(s <= start and end <= e and e - s > end - start for s, e, _ in found):
            yield start, end, index


def _letters_named(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and index of every letter in a position that names an option."""
    for pattern in _NAMED:
        for match in pattern.finditer(text):
            yield *match.span("letter"), _LETTERS.index(match["letter"].upper())


def _denied(text: str, start: int, end: int) -> bool:
    line = text.rfind("\n", 0, start) + 1
    return bool(_DENIED_BEFORE.search(text[line:start]) or _DENIED_AFTER.match(text, end))
