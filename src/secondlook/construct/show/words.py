"""What a block did, in words made from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from secondlook.construct.show.exhibits import Stage
from secondlook.construct.show.record import SUBSCRIPTS, Recording, label

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def describe(recording: Recording, stage: Stage | None, block: int, token: int, length: int) -> tuple[str, list[str]]:
    """Headline and sentences for a block as the token sees it that asks about the first `length` responses."""
    if stage is None:
        return _read_in(recording)
    if stage.step is None:
        return _prepared(recording, block)
    if "even" in stage.heads:
        return _all_terms(recording, stage)
    return _term(recording, stage, block, token, length)


def start(step: int) -> str:
    """The name of the prediction at which a step starts, counted from 0: f₀ = W₀x, then f₁."""
    return f"f{step}".translate(SUBSCRIPTS)


def number(value: float) -> str:
    """Three significant digits; very small ones as 5.6 × 10⁻¹⁷."""
    if abs(value) >= 1e3:
        return f"{value:,.0f}".replace("-", "−")
    if value == 0 or abs(value) >= 1e-3:
        return f"{value:.3g}".replace("-", "−")
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}\u00a0×\u00a010{str(int(power)).translate(_SUPERSCRIPTS)}".replace("-", "−")


def count(many: int, noun: str) -> str:
    """`three responses`."""
    word = _COUNTS[many] if many < len(_COUNTS) else str(many)
    return f"{word} {noun}{'' if many == 1 else 's'}"


def names(responses: Sequence[int]) -> str:
    """`y₁, y₃ and y₆`."""
    *most, last = [label(response) for response in responses]
    return f"{', '.join(most)} and {last}" if most else last


def _read_in(recording: Recording) -> tuple[str, list[str]]:
    slots = recording.construction.layout.fed
    known = {"position": ", its position, one-hot", "own": ", its reward at its own position"}
    extra = "".join(text for slot, text in known.items() if slot in slots)
    lines = [
        f"Every token holds what it knows of itself: the prediction f₀ = W₀x, its response y, ‖x‖²·y, its reward r, "
        f"‖y‖²{extra} and a constant 1. The slots that blocks write to are zero.",
        "No token has seen another. The blocks have to find the ranking, and to take the step that it asks for.",
    ]
    if "bos" in slots:
        lines.insert(1, "A BOS token before them carries nothing: attention falls to it when no response is left.")
    return "Read-in: the tokens before the first block", lines


def _term(recording: Recording, stage: Stage, block: int, token: int, length: int) -> tuple[str, list[str]]:
    result = recording.construction.result
    hidden = recording.hidden(stage, block - 1, token)[:length]
    live = [response for response in range(length) if hidden[response] < 0.5]
    asks = label(token - recording.construction.first)
    if len(live) < 2:
        return _nothing_left(result, live, asks, length, block)
    pick = recording.picked(block, token)
    reward, at = number(float(recording.rewards[pick])), start(stage.step or 0)
    whom, them = (f"the {count(len(live), 'live response')}", "them all") if len(live) > 2 else (names(live), "both")
    lines = [
        f"{label(pick)} has the highest reward, {reward}, of {whom}: the first head carries it. The second carries the "
        f"average of {them}, in which those nearer to {at} weigh more. The difference, times 2η‖x‖² = "
        f"{number(2 * recording.construction.promise.eta)}, joins the step.",
        *_afterwards(recording, stage, pick, asks),
    ]
    rivals = [response for response in live if response != pick]
    against = names(rivals) if len(rivals) < 5 else f"{count(len(rivals), 'other')}"
    terms = 1 if result == "T2" else length - 1
    return f"Term {stage.terms.start + 1} of {terms}: {label(pick)} against {against}", lines


def _nothing_left(result: str, live: list[int], asks: str, length: int, block: int) -> tuple[str, list[str]]:
    about = (
        f"The ranking of the first {count(length, 'response')}" if length > 1 else "The ranking of a single response"
    )
    if live:
        where = f"only {names(live)} is left, so both heads of {asks} carry it"
    else:
        to = "the BOS token, which carries nothing" if result == "T7" else f"{asks} itself"
        where = f"nobody is left, and both heads of {asks} attend to {to}"
    lines = [
        f"{about} has {count(length - 1, 'term')}. In block {block} {where}: their difference is zero.",
        "Longer prefixes have terms to add.",
    ]
    return f"Nothing to add for {asks}", lines


def _afterwards(recording: Recording, stage: Stage, pick: int, asks: str) -> list[str]:
    """How the pick is retired, or, in the last block of a step, how all are set live again."""
    result, step, name = recording.construction.result, stage.step or 0, label(pick)
    more = step + 1 < recording.construction.promise.steps
    onward = [f"The next step starts at {start(step + 1)}, with everyone live."] if more and stage.last else []
    if result == "T2":
        ranked = ["That is the first factor of the likelihood: how the others rank plays no part."]
        return [*(ranked if recording.n > 2 else []), *onward]
    if result == "T7":
        return [f"The same head carries {name}'s position into {asks}'s mask: no third head, no feed-forward.", *onward]
    if stage.last:
        what = "sets every token live again" if result == "T3" else "clears every token's mask"
        return [f"It is the last block of the step: its feed-forward network {what}.", *onward]
    if result == "T3":
        reward = number(float(recording.rewards[pick]))
        told = f"The third head tells every token that the top live reward is {reward}."
        return [f"{told} In {name}'s feed-forward network that meets its own reward: {name} retires."]
    told = f"The third head tells {asks} the position of its pick"
    return [f"{told}; the feed-forward network adds it to {asks}'s own mask of whom it has used."]


def _prepared(recording: Recording, block: int) -> tuple[str, list[str]]:
    """The two blocks of T8 that add nothing yet."""
    if block == 1:
        ranks = recording.slot("rank", 1)[:, 0].round().int().tolist()
        found = ", ".join(f"{label(response)} {rank}" for response, rank in enumerate(ranks))
        return "Ranks: every token counts who is better", [
            "One head attends to all alike and so gathers every reward into every token, side by side.",
            f"{2 * recording.n} ReLU units compare them with the token's own and count how many are higher: {found}.",
        ]
    return "Flags: every token works out where it is missing", [
        f"No attention: {count(recording.n - 1, 'ReLU unit')} a token. From its rank it finds the terms from which it "
        "is missing, because it ranks before them, and whether it is the lowest of all. Flags are 0, or at least 1.",
        "A token needs only its own rank for that, not anybody else's.",
    ]


def _all_terms(recording: Recording, stage: Stage) -> tuple[str, list[str]]:
    many, promise, step = recording.n - 1, recording.construction.promise, stage.step or 0
    *picks, lowest = recording.order(recording.n)
    lines = [
        f"{count(many, 'head').capitalize()} average by distance from {start(step)}: head k over the responses that "
        "term k still has.",
        f"One more averages all but the lowest, {label(lowest)}, evenly; times {many} that is the sum of all picks, "
        f"{names(sorted(picks))}.",
        f"The difference of the sums, times 2η‖x‖² = {number(2 * promise.eta)}, is the whole step.",
    ]
    if step + 1 < promise.steps:
        lines.append(f"The next step takes one more block like this, from {start(step + 1)}: ranks do not change.")
    return f"All {count(many, 'term')} at once" if many > 1 else "The one term there is", lines


def focus(weights: Tensor) -> str:
    """Where the attention [n] of a head lies that should attend to one response."""
    best = int(weights.argmax())
    rest = float(weights[torch.arange(len(weights)) != best].sum())
    if rest == 0:
        return f"All attention is on {label(best)}, to the last bit."
    return f"All but {number(rest)} of the attention is on {label(best)}."


def spread(weights: Tensor) -> str:
    """How attention [n] is shared out, most first."""
    order = weights.argsort(descending=True).tolist()
    return ", ".join(f"{label(at)} {float(weights[at]):.2f}" for at in order if weights[at] > 5e-3)
