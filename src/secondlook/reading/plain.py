"""Plain text: what is left of a reply when its typography, Markdown, LaTeX, HTML and tables are undone.

Every stage is one pass over the text, with bounded look-around, so that a hostile reply costs linear time.
"""

from __future__ import annotations

import re
import unicodedata

BOX = "boxed:"
"""Declared form that replaces a LaTeX box or an ``<answer>`` tag."""

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\ufe0e\ufe0f\u202a\u202b\u202c\u202d\u202e"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u300c\u300d\u300e\u300f\u301d\u301e\u2039\u203a", '"'),
        **dict.fromkeys("\u2010\u2011\u2212", "-"),
        **dict.fromkeys("\u2012\u2013\u2014\u2015", "\u2014"),
        **dict.fromkeys("\u2192\u21d2\u27a1\u2794", "="),
        **dict.fromkeys("\u2705\u2714\u2611\u2713", "\u2714"),
        **dict.fromkeys("\u274c\u2717\u2718\u274e", "\u2718"),
        **dict.fromkeys("\u2028\u2029\u0085\x0b\x0c", "\n"),
        **dict.fromkeys("\u3010\u27e6", "["),
        **dict.fromkeys("\u3011\u27e7", "]"),
        "\u0130": "I",  # the one letter whose small form is two characters
        "\u3002": ". ",
        "\u2044": "/",
        "\u00d7": " \u00d7 ",
        "\u22c5": " \u00d7 ",
    }
)
# Letters in black circles and squares, and those of flags, which compatibility normalisation leaves alone.
_LETTERS = str.maketrans({first + step: chr(65 + step) for first in (0x1F150, 0x1F170, 0x1F1E6) for step in range(26)})
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED = re.compile("[⁰¹²³⁴-⁹⁻⁺]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")

_LATEX = re.compile(
    r"\\(?:(?P<box>boxed|fbox)\b\s*(?P<filled>\{)?|[dt]?frac\{(?P<over>[^{}]{1,40})\}\{(?P<under>[^{}]{1,40})\}"
    r"|(?:(?P<times>times|cdot)|(?P<pi>pi)|(?P<root>sqrt|ln|log|exp|sin|cos|tan))(?![a-zA-Z])"
    r"|(?P<line>\\)|[,;:! ()\[\]]|(?P<char>[$%&#_{}])|[a-zA-Z]{1,20}(?![a-zA-Z])\*?)"
)
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>answer|final_answer|verdict|score|result|b|i|u|em|strong|p|br|div|span|su[bp]|li|[uo]l|h[1-6]|code|pre|table|t[rdh]|hr)"
    r"\b[^<>\n]{0,80}>",
    re.IGNORECASE,
)
_INLINE = frozenset(["b", "i", "u", "em", "strong", "span", "sup", "sub", "code"])
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]{0,20}[ \t]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]?){3,}$", re.MULTILINE)
_ROW = re.compile(r"^[ \t]*\|(?P<cells>[^\n]*)$", re.MULTILINE)
_SEPARATOR = re.compile(r"[ \t|:-]*")
_FOUR = re.compile(r"^[ \t]*####[ \t]*(?=[^\n]{1,40}\s*\Z)", re.MULTILINE)
_LEAD = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[*+\u2022\u25cf\u25e6-][ \t]+|\d{1,2}[.)][ \t]+(?=\D))+", re.MULTILINE
)
_POWER = re.compile(r"(?<=\d)(?:\*\*| \*\* )(?=\d)")
_PRODUCT = re.compile(r"(?<=[\d)])[ ]?\*[ ]?(?=[\d($-])")
_EMPHASIS = re.compile(r"\*+|`+|(?<![^\W_])_+|_+(?![^\W_])")
_ARROW = re.compile(r"[-=]{1,3}>")
_BLANKS = re.compile(r"[^\S\n]+")

_CONTRACTED = re.compile(r"\b(?:[A-Za-z]{1,7}'[A-Za-z]{1,2}|[Cc][Aa][Nn] [Nn][Oo][Tt]|[A-Za-z]{1,6}[Nn][Tt])\b")
_SPELT = {
    "can't": "cannot",
    "can not": "cannot",
    "cant": "cannot",
    "won't": "will not",
    "wont": "will not",
    "shan't": "shall not",
}
_WHO = frozenset(
    ["i", "you", "we", "they", "he", "she", "it", "that", "there", "this", "who", "what", "here", "let", "answer"]
)
_VERBS = frozenset(
    ["do", "does", "did", "is", "was", "are", "were", "has", "have", "had", "would", "could", "should", "need", "must"]
)
_TAILS = {"m": "am", "re": "are", "ll": "will", "d": "would", "ve": "have", "s": "is"}


def plain(text: str) -> str:
    r"""The words of a text, line by line, with nothing of how they were set.

    Compatibility characters (full-width, circled, bold letters) become ordinary ones, quotes and hyphens plain,
    invisible characters go, and so does Markdown, LaTeX and HTML. What is struck through is gone. A box
    (``\boxed{C}``, ``<answer>C</answer>``) and a last line ``#### C`` become ``boxed: C``; a row of a table becomes
    ``cell: cell``.
    """
    if not text.isascii():
        # Before NFKC, which would make "11\u20442" of 1½, "103" of 10³, and a space with an accent of U+00B4.
        text = _VULGAR.sub(r" \g<0>", text.translate(_LETTERS))
        text = _RAISED.sub(lambda raised: "^" + raised.group().translate(_SUPERSCRIPTS), text)
        # Again after it, since NFKC makes dashes, quotes and full stops of this table out of half-width and small ones.
        text = unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS)
        # These scripts put no space before a Latin letter, and their characters are \w: the letter would be no word.
        text = _CJK.sub(r" \g<0> ", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("[...]", "\u2026").replace("{,}", ",")
    if "\\" in text or "$" in text:
        text = _LATEX.sub(_without_latex, text)
        # A dollar before a number is money; any other belongs to LaTeX.
        text = re.sub(r"\$(?!\d|\.\d|-\d| \d)", "", text)
    if "<" in text:
        text = _TAG.sub(_without_tag, text)
    if "~~" in text:
        text = _STRUCK.sub(" ", text)
    if "|" in text:
        text = _ROW.sub(_without_bars, text)
    if "`" in text or "~" in text:
        text = _FENCE.sub("", text)
    if ">" in text:
        text = _ARROW.sub("=", text)
    text = _RULE.sub("", text)
    # _FOUR goes first, since _LEAD takes #### for a heading; powers and products before _EMPHASIS, which drops every *.
    text = _LEAD.sub("", _FOUR.sub(f"{BOX} ", text))
    text = _EMPHASIS.sub("", _PRODUCT.sub(" \u00d7 ", _POWER.sub("^", text)))
    return _BLANKS.sub(" ", text).strip()


def spelled_out(text: str) -> str:
    """Plain text with its contractions undone: "can't" is "cannot", "isn't" is "is not", "I'm" is "I am"."""
    return _CONTRACTED.sub(_expanded, text)


def folded(text: str) -> str:
    """Plain text for comparing: without case, runs of spaces, and closing punctuation."""
    return " ".join(plain(text).casefold().split()).rstrip(".!;, ").strip("\"'")


def _expanded(found: re.Match[str]) -> str:
    word = found.group()
    lower = word.lower()
    if lower in _SPELT:
        return _SPELT[lower]
    head, apostrophe, tail = lower.partition("'")
    if apostrophe and head in _WHO and tail in _TAILS:
        return f"{word[: len(head)]} {_TAILS[tail]}"
    verb = lower.replace("'", "").removesuffix("nt")
    return f"{word[: len(verb)]} not" if lower.endswith(("n't", "nt")) and verb in _VERBS else word


def _without_latex(found: re.Match[str]) -> str:
    if found["box"]:
        return f"\n{BOX} {found['filled'] or ''}"
    if found["over"]:
        # 1\frac{1}{2} is one and a half.
        mixed = " " * found.string[max(0, found.start() - 1) : found.start()].isdigit()
        return f"{mixed}{found['over']}/{found['under']}"
    if found["times"]:
        return " \u00d7 "
    # A number beside one of these is not the value.
    if found["pi"] or found["root"]:
        return "\u03c0" if found["pi"] else "\u221a"
    return "\n" if found["line"] else found["char"] or ""


def _without_tag(found: re.Match[str]) -> str:
    name = found["name"].lower()
    if name in ("answer", "final_answer", "verdict", "score", "result"):
        return "\n" if found["end"] else f"\n{BOX} "
    return "" if name in _INLINE else "\n"


def _without_bars(row: re.Match[str]) -> str:
    if _SEPARATOR.fullmatch(row["cells"]):
        return ""
    return ": ".join(cell for part in row["cells"].split("|") if (cell := part.strip()))
