"""Stance: how a mention stands in its sentence. Asserted, and how firmly; or denied; or open, asserted by nobody."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise
from typing import Literal

from secondlook.reading.mentions import Mention
from secondlook.reading.words import CUES

Stance = Literal["asserted", "denied", "open"]

# Characters that are looked at before a mention in its sentence, after it, and before it for the declared form.
_BEFORE, _AFTER, _FORM = 240, 160, 120
_EXPLANATION = re.compile(r"\n\s*(?:explanation|reason(?:ing)?|justification|rationale|this is because|because)\b")
_JOINS = re.compile(
    r"[\"')\]]*(?: ?(?:,|/|&)|,? ?\b(?:and|or|nor|as well as)\b)[ ]?(?:option |choice |both |the )?[\"'(\[]*"
)


class Weight(IntEnum):
    """How firmly a mention is asserted; what is said more firmly is what is read."""

    STATED = 1
    """In passing, or in a statement: "The grandson was not comfortable."."""
    CONCLUDED = 2
    """As what the reply comes to: "so (C)", "I choose (C)", "(C) is correct", a line of its own."""
    DECLARED = 3
    """In the form that was asked for: "Answer: C", "the answer is C", a box, a field of JSON."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A mention and how it stands.

    Attributes:
        mention: The mention.
        stance: Whether it is asserted.
        weight: How firmly, where it is.
        final: Whether it is said to be the last word ("final answer", "therefore", "instead").
    """

    mention: Mention
    stance: Stance
    weight: Weight = Weight.STATED
    final: bool = False


class Sentences:
    """Where the sentences of a text, in lower case, begin and end; finding them takes one pass."""

    def __init__(self, text: str) -> None:
        self.text = text.lower()
        self._ends = [match.end() for match in CUES["sentence"].finditer(self.text)]

    def start(self, place: int) -> int:
        """Where the sentence of a place begins."""
        before = bisect_right(self._ends, place)
        return self._ends[before - 1] if before else 0

    def end(self, place: int) -> int:
        """Where it ends, its mark included."""
        after = bisect_right(self._ends, place)
        return self._ends[after] if after < len(self._ends) else len(self.text)

    def before(self, place: int) -> str:
        """What goes before a place in its sentence."""
        return self.text[max(self.start(place), place - _BEFORE) : place]

    def after(self, place: int) -> str:
        """What follows a place in the sentence of the character before it."""
        return self.text[place : min(self.end(max(place - 1, 0)), place + _AFTER)]


def standings(found: Sequence[Mention], sentences: Sentences, echoes: Sequence[int] = ()) -> list[Standing]:
    """How each mention of an option stands.

    Args:
        found: The mentions, in order.
        sentences: The sentences of the plain, spelled-out text.
        echoes: For each mention 1 where its sentence repeats what was asked, -1 where it says the opposite, else 0; empty
            where it is not known what was asked.
    """
    text = sentences.text
    result = []
    for place, mention in enumerate(found):
        last = found[place - 1] if place else None
        limit = found[place + 1].start if place + 1 < len(found) else len(text)
        result.append(_standing(mention, last, limit, sentences, echoes[place] if echoes else None))
    return _referred_to(_listed(_coordinated(result, text), text), text)


def verdict_standings(found: Sequence[Mention], sentences: Sentences) -> list[Standing]:
    """How each mention of a verdict's word stands: the declared form apart, only what states it of something counts.

    An earlier answer, a stereotype and what rests on one are what verdicts are about, so they take nothing back.
    """
    text = sentences.text
    result = []
    for mention in found:
        before, after = sentences.before(mention.start), sentences.after(mention.end)
        begin = _form(mention, text)
        lead = before if begin is None else sentences.before(begin)
        clause = _clause(lead + text[begin : mention.start] if begin is not None else before, None, mention)
        if _denied(clause, mention):
            result.append(Standing(mention, "denied"))
        elif (
            (_asks(after) and "\n" not in after)
            or CUES["open_after"].search(after)
            or CUES["quoted"].search(after)
            or CUES["or_before"].search(lead)
            or CUES["open_sentence"].search(lead)
            or CUES["open_verdict"].search(clause)
        ):
            result.append(Standing(mention, "open"))
        elif begin is not None:
            result.append(Standing(mention, "asserted", Weight.DECLARED, bool(CUES["final"].search(clause))))
        elif alone(text, mention) or CUES["predicates"].search(before):
            firm = alone(text, mention) or CUES["concludes"].search(clause)
            weight = Weight.CONCLUDED if firm else Weight.STATED
            result.append(Standing(mention, "asserted", weight, bool(CUES["final"].search(clause))))
        else:
            result.append(Standing(mention, "open"))
    return _coordinated(result, text)


def _form(mention: Mention, text: str) -> int | None:
    """Where the declared form begins that a mention completes; ``None`` where there is none."""
    first = max(0, mention.start - _FORM)
    form = CUES["declares"].search(text[first : mention.start])
    return None if form is None or CUES["no_label"].search(form.group()) else first + form.start()


def _standing(mention: Mention, last: Mention | None, limit: int, sentences: Sentences, echo: int | None) -> Standing:
    text = sentences.text
    before, after = sentences.before(mention.start), sentences.after(mention.end)
    begin = _form(mention, text)
    lead = before
    if begin is not None:
        # The label may stand lines before; what goes before it in its own sentence may still take it back.
        lead = sentences.before(begin)
        before = lead + text[begin : mention.start]
    clause = _clause(before, last, mention)
    near = text[mention.end : min(limit, mention.end + len(after))]
    boundary = CUES["clause"].search(near, 3)
    near = near[: boundary.start()] if boundary else near
    if _asks(after) and not (begin is not None and "\n" in after):
        return Standing(mention, "open")
    right, wrong = CUES["judged_right"].search(near), CUES["judged_wrong"].search(near)
    if wrong and not (right and right.end() <= wrong.end()):
        return Standing(mention, "denied")
    if _denied(clause, mention):
        return Standing(mention, "denied")
    if mention.unknowable and CUES["declines"].search(before) and CUES["declined"].match(after):
        return Standing(mention, "open")
    if (
        mention.stray
        or CUES["open_after"].search(text[mention.end : mention.end + 60])
        or CUES["or_before"].search(lead)
    ):
        return Standing(mention, "open")
    if right and not CUES["supposes"].search(clause):
        return Standing(mention, "asserted", Weight.CONCLUDED, True)
    if _open(clause, mention) or CUES["open_sentence"].search(before):
        return Standing(mention, "open")
    final = bool(CUES["final"].search(clause))
    if begin is not None:
        return Standing(mention, "asserted", Weight.DECLARED, final)
    if (
        echo == -1
        or (echo == 0 and CUES["negated"].match(near))
        or (echo is None and CUES["twice_negated"].match(near))
    ):
        return Standing(mention, "denied")
    firm = (
        echo == 1
        or CUES["concludes"].search(clause)
        or alone(text, mention)
        or _leads(text, before, mention)
        or _explained(text, mention)
    )
    firm = firm and (not mention.weak or alone(text, mention))
    if not firm and not mention.unknowable and CUES["background"].search(clause):
        return Standing(mention, "open")
    return Standing(mention, "asserted", Weight.CONCLUDED if firm else Weight.STATED, final)


def _clause(before: str, last: Mention | None, mention: Mention) -> str:
    """What goes before a mention in its own clause; a comma ends the clause of a mention that has its verb."""
    start = 0
    for boundary in CUES["clause"].finditer(before):
        if boundary.end() < len(before.rstrip(" \"'([{")) or boundary.group().strip() not in (";", ":", "\u2014"):
            start = boundary.start()
        else:
            start = boundary.end() if boundary.group().strip() != ":" else start
    comma = before.rfind(", ", start)
    first = mention.start - len(before)
    if last is not None and comma >= 0 and first <= last.start and last.end <= first + comma:
        if re.search(r"\b(?:is|was|are|were|has|does|did|would|cannot)\b", before[last.end - first : comma]):
            start = comma
    return before[start:]


def _denied(clause: str, mention: Mention) -> bool:
    if mention.unknowable:
        # "Who was not comfortable cannot be determined" does not deny that it cannot.
        return bool(re.search(r"\bnot (?:\w+ )?(?:that )?(?:it |this |the answer )?[\"'(]*$", clause))
    meant = CUES["idle"].sub(" ", clause)
    if CUES["prefers_another"].search(meant):
        return True
    words = CUES["negates"].findall(meant)
    return "nor" in words or len(words) % 2 == 1


def _open(clause: str, mention: Mention) -> bool:
    loose = CUES["open_verdict"] if mention.unknowable else CUES["open"]
    return bool(loose.search(clause)) and not (CUES["firm"].search(clause) and not CUES["not_firm"].search(clause))


def _asks(after: str) -> bool:
    return after.rstrip(" \n\"')").endswith("?")


def alone(text: str, mention: Mention) -> bool:
    """Whether the mention is all there is on its line."""
    return not re.search(r"\w", _line_before(text, mention) + text[mention.end : mention.end + 24].split("\n", 1)[0])


def heads_line(text: str, mention: Mention) -> bool:
    """Whether nothing but "option" goes before the mention on its line."""
    return not re.search(r"\w", re.sub(r"^\W*(?:option|choice)\b", "", _line_before(text, mention)))


def _line_before(text: str, mention: Mention) -> str:
    return text[max(0, mention.start - 24) : mention.start].rsplit("\n", 1)[-1]


def _leads(text: str, before: str, mention: Mention) -> bool:
    """Whether a letter opens its sentence, and at most a few words that may be its option's text follow on its line."""
    if not mention.letter or re.search(r"\w", before):
        return False
    rest = text[mention.end : mention.end + 80].split("\n", 1)[0]
    return (
        bool(re.match(r"[\"')\]}]*(?:[.,;:]?(?:\s|$)|[\u2014-])", rest)) and len(rest) < 80 and len(rest.split()) <= 8
    )


def _explained(text: str, mention: Mention) -> bool:
    """Whether the mention begins the reply, and its explanation follows in a paragraph of its own."""
    return mention.start <= 2 and bool(_EXPLANATION.search(text, mention.end, mention.end + _AFTER + 20))


def _coordinated(found: list[Standing], text: str) -> list[Standing]:
    """Neighbours joined by "and", "or" or a comma stand alike, and two different ones are asserted by nobody."""
    result = list(found)
    for place in range(len(found) - 2, -1, -1):
        one, other = result[place], result[place + 1]
        gap = text[one.mention.end : min(other.mention.start, one.mention.end + 30)]
        if one.stance != "asserted" or not _JOINS.fullmatch(gap):
            continue
        if other.stance == "asserted" and one.mention.index != other.mention.index:
            result[place : place + 2] = replace(one, stance="open"), replace(other, stance="open")
        elif other.stance != "asserted" and gap.strip() != ",":
            result[place] = replace(one, stance=other.stance)
    return result


def _listed(found: list[Standing], text: str) -> list[Standing]:
    """The standings, after those that only go through the options ("(A) The grandfather: ...") became open."""
    heads = [place for place, one in enumerate(found) if _titles(text, one.mention)]
    asserted = [place for place in heads if found[place].stance == "asserted" and found[place].weight < Weight.DECLARED]
    several = len({found[place].mention.index for place in asserted}) > 1
    items = {place for pair in pairwise(range(len(found))) if _next_item(found, *pair, text) for place in pair}
    through = CUES["goes_through"].search(text) if ":" in text or "\u2014" in text else None
    result = list(found)
    for place, one in enumerate(found):
        if one.stance != "asserted" or (one.final and place not in items) or _judged(one):
            continue
        weighed = one.weight < Weight.DECLARED and through is not None and through.start() < one.mention.start
        gone_through = weighed and text[one.mention.end : one.mention.end + 2].strip()[:1] in (":", "\u2014", "-")
        in_list = place in asserted and several and not _closes(found, asserted, place, items, text)
        if place in items or in_list or gone_through:
            result[place] = replace(one, stance="open")
    return result


def _judged(one: Standing) -> bool:
    """Whether what follows a mention says that it is right."""
    return one.final and one.weight == Weight.CONCLUDED


def _next_item(found: Sequence[Standing], place: int, after: int, text: str) -> bool:
    """Whether two letters open items of a list, one right after the other, on lines of their own or on one."""
    one, other = found[place].mention, found[after].mention
    between = text[one.end : other.start].split("\n")
    if other.index != one.index + 1 or not (one.letter and other.letter):
        return False
    return not any(line.strip() for line in between[1:-1]) if len(between) > 1 else not between[0].strip(" ,;([")


def _titles(text: str, mention: Mention) -> bool:
    after = text[mention.end : mention.end + 24]
    return heads_line(text, mention) and (mention.letter or not re.match(r"[\"')]*,? \w", after))


def _closes(found: Sequence[Standing], heads: Sequence[int], place: int, items: set[int], text: str) -> bool:
    """Whether a line of its own at the very end is more than the last item of the list before it."""
    mention = found[place].mention
    if place != len(found) - 1 or not alone(text, mention) or re.search(r"\w", text[mention.end : mention.end + 40]):
        return False
    if heads.index(place) == 0 or heads[heads.index(place) - 1] in items:
        return True
    last = found[heads[heads.index(place) - 1]].mention
    return last.index == mention.index or bool(re.search(r"\w", text[last.end : mention.start]))


def _referred_to(found: list[Standing], text: str) -> list[Standing]:
    """The standings, after "This is correct" and "This is wrong" have been referred to the mention before them."""
    right = [match.start() for match in CUES["says_right"].finditer(text)]
    wrong = [match.start() for match in CUES["says_wrong"].finditer(text)]
    if not right and not wrong:
        return found
    result = []
    for place, one in enumerate(found):
        limit = found[place + 1].mention.start if place + 1 < len(found) else len(text) + 1
        if _within(wrong, one.mention.end, limit):
            one = replace(one, stance="denied")
        elif _within(right, one.mention.end, limit) and not one.mention.stray and one.stance != "denied":
            one = replace(one, stance="asserted", weight=max(one.weight, Weight.CONCLUDED), final=True)
        result.append(one)
    return result


def _within(places: Sequence[int], start: int, end: int) -> bool:
    following = bisect_right(places, start - 1)
    return following < len(places) and places[following] < end
