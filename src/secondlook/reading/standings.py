"""Standings: how all mentions of a text stand, after they have been looked at together.

Options joined by "or" are asserted by nobody, lists only go through them, and "This is correct" is said of the last.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from secondlook.reading.mentions import Mention
from secondlook.reading.stance import Sentences, Standing, Weight, alone, heads_line, option_stance, verdict_stance
from secondlook.reading.words import CUES


def option_standings(found: Sequence[Mention], sentences: Sentences, echoes: Sequence[int] = ()) -> list[Standing]:
    """Standings of all mentions of options.

    Args:
        found: The mentions, in order.
        sentences: The sentences of the plain, spelled-out text.
        echoes: For each mention 1 where its sentence repeats what was asked, -1 where it says the opposite, else 0;
            empty where it is not known what was asked.
    """
    text = sentences.text
    lasts = [None, *found]
    limits = [*(mention.start for mention in found[1:]), len(text)]
    standings = [
        option_stance(mention, lasts[place], limits[place], sentences, echoes[place] if echoes else None)
        for place, mention in enumerate(found)
    ]
    return _referred_to(_listed(_coordinated(standings, sentences), text), text)


def verdict_standings(found: Sequence[Mention], sentences: Sentences) -> list[Standing]:
    """Standings of all mentions of a verdict's word."""
    return _coordinated([verdict_stance(mention, sentences) for mention in found], sentences)


def _coordinated(found: list[Standing], sentences: Sentences) -> list[Standing]:
    """Neighbours joined by "and", "or" or a comma stand alike, and two different ones are asserted by nobody.

    Where the last word is both of them ("Therefore, both A and B are"), what was asserted before is no single answer.
    """
    result, text = list(found), sentences.text
    # From the end, so that in "A or B or C" the stance that B took from C reaches A.
    for place in range(len(found) - 2, -1, -1):
        one, other = result[place], result[place + 1]
        gap = text[one.mention.end : min(other.mention.start, one.mention.end + 30)]
        if _equated(one.mention, other.mention, gap):
            result[place : place + 2] = replace(one, stance="open"), replace(other, stance="open")
            continue
        if not CUES["joins"].fullmatch(gap):
            continue
        if one.stance != "asserted":
            if one.stance == "open" and other.stance == "asserted" and not one.mention.stray and gap.strip() != ",":
                result[place + 1] = replace(other, stance="open")
        elif other.stance == "asserted" and one.mention.index != other.mention.index:
            lead = sentences.before(one.mention.start)
            if place == len(found) - 2 and CUES["both"].search(lead) and CUES["concludes"].search(lead):
                result[place : place + 2] = [
                    replace(each, weight=max(each.weight, Weight.CONCLUDED), final=True) for each in (one, other)
                ]
                continue
            result[place : place + 2] = replace(one, stance="open"), replace(other, stance="open")
        elif other.stance != "asserted" and gap.strip() != ",":
            result[place] = replace(one, stance=other.stance)
    return result


def _equated(one: Mention, other: Mention, gap: str) -> bool:
    """Whether one option is said to be another ("the writer is the one with the cane"): no answer, also if labelled."""
    named = not (one.letter or other.letter or one.unknowable or other.unknowable)
    return named and one.index != other.index and gap in (" is ", " was ", " is also ", " was also ")


def _listed(found: list[Standing], text: str) -> list[Standing]:
    """The standings, after those that only go through the options ("(A) The grandfather: ...") became open."""
    heads = [place for place, one in enumerate(found) if _titles(text, one.mention)]
    asserted = [place for place in heads if found[place].stance == "asserted" and found[place].weight < Weight.DECLARED]
    several = len({found[place].mention.index for place in asserted}) > 1
    pairs = [*pairwise(range(len(found))), *pairwise(heads)]
    items = {place for pair in pairs if _next_item(found, *pair, text) for place in pair}
    through = CUES["goes_through"].search(text) if ":" in text or "\u2014" in text else None
    result = list(found)
    for place, one in enumerate(found):
        if one.stance != "asserted" or one.judged or (one.final and place not in items):
            continue
        weighed = one.weight < Weight.DECLARED and through is not None and through.start() < one.mention.start
        gone_through = weighed and text[one.mention.end : one.mention.end + 2].strip()[:1] in (":", "\u2014", "-")
        in_list = place in asserted and several and not _closes(found, asserted, place, items, text)
        if place in items or in_list or gone_through:
            result[place] = replace(one, stance="open")
    return result


def _titles(text: str, mention: Mention) -> bool:
    after = text[mention.end : mention.end + 24]
    return heads_line(text, mention) and (mention.letter or not re.match(r"[\"')]*,? \w", after))


def _next_item(found: Sequence[Standing], place: int, after: int, text: str) -> bool:
    """Whether two letters open items of a list, one right after the other, on lines of their own or on one."""
    one, other = found[place].mention, found[after].mention
    if "denied" in (found[place].stance, found[after].stance):
        return False
    if one.index == other.index or not (one.letter and other.letter):
        return False
    first, *lines = text[one.end : other.start].split("\n")
    if not lines:
        return not first.strip(" ,;()[]")
    opens = not lines[-1].strip(" \"'([{") and not any(line.strip() for line in lines[:-1])
    return opens and other.index == one.index + 1


def _closes(found: Sequence[Standing], heads: Sequence[int], place: int, items: set[int], text: str) -> bool:
    """Whether a line of its own at the very end is more than the last item of the list before it."""
    mention, order = found[place].mention, heads.index(place)
    if place != len(found) - 1 or not alone(text, mention) or re.search(r"\w", text[mention.end : mention.end + 40]):
        return False
    if order == 0 or heads[order - 1] in items:
        return True
    last = found[heads[order - 1]].mention
    return last.index == mention.index or bool(re.search(r"\w", text[last.end : mention.start]))


def _referred_to(found: list[Standing], text: str) -> list[Standing]:
    """The standings, after "This is correct" and "This is wrong" have been referred to the mention before them."""
    right = [match.start() for match in CUES["says_right"].finditer(text)]
    wrong = [match.start() for match in CUES["says_wrong"].finditer(text)]
    limits = [*(one.mention.start for one in found[1:]), len(text) + 1]
    result = []
    for one, limit in zip(found, limits, strict=True):
        if _within(wrong, one.mention.end, limit):
            result.append(replace(one, stance="denied"))
        elif _within(right, one.mention.end, limit) and not one.mention.stray and one.stance != "denied":
            result.append(
                replace(one, stance="asserted", weight=max(one.weight, Weight.CONCLUDED), final=True, judged=True)
            )
        else:
            result.append(one)
    return result


def _within(places: Sequence[int], start: int, end: int) -> bool:
    following = bisect_left(places, start)
    return following < len(places) and places[following] < end
