"""Words for what a block did, made from its numbers; the sentences stand in ``assets/words.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources

import torch
from torch import Tensor

from secondlook.construct.show.exhibits import Role, Stage
from secondlook.construct.show.record import SUBSCRIPTS, Recording, label

ASSETS = resources.files("secondlook.construct.show") / "assets"
TEXT = tomllib.loads((ASSETS / "words.toml").read_text("utf-8"))
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def describe(recording: Recording, stage: Stage | None, block: int, token: int, length: int) -> tuple[str, list[str]]:
    """Headline and sentences for a block as the token sees it that asks about the first ``length`` responses."""
    if stage is None:
        return _read_in(recording)
    if stage.step is None:
        return _prepared(recording, block)
    if "even" in stage.heads:
        return _all_terms(recording, stage.step)
    return _term(recording, stage, stage.step, block, token, length)


def start(step: int) -> str:
    """Name of the prediction at the start of a step, counted from 0: f₀ = W₀x, then f₁."""
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
    """``three responses``."""
    word = _COUNTS[many] if many < len(_COUNTS) else str(many)
    return f"{word} {noun}{'' if many == 1 else 's'}"


def names(responses: Sequence[int]) -> str:
    """``y₁, y₃ and y₆``."""
    *most, last = [label(response) for response in responses]
    return f"{', '.join(most)} and {last}" if most else last


def caption(recording: Recording, role: Role, row: Tensor) -> str:
    """Caption of the asking token's attention [n]."""
    told = TEXT["told"].get(recording.construction.result)
    # The row holds attention to responses only: what is missing from 1 is BOS's.
    text: str = TEXT["captions"]["bos" if row.sum() < 0.5 else role]
    return text.format(spread=_spread(row), focus=_focus(row), told=told)


def _read_in(recording: Recording) -> tuple[str, list[str]]:
    slots, text = recording.construction.layout.fed, TEXT["read-in"]
    extra = "".join(known for slot, known in text["extra"].items() if slot in slots)
    bos = [text["bos"]] if "bos" in slots else []
    return text["headline"], [text["holds"].format(extra=extra), *bos, text["unseen"]]


def _term(recording: Recording, stage: Stage, step: int, block: int, token: int, length: int) -> tuple[str, list[str]]:
    result, steps = recording.construction.result, recording.construction.promise.steps
    hidden = recording.hidden(stage, block - 1, token)[:length]
    live = [response for response in range(length) if hidden[response] < 0.5]
    asks = label(token - recording.construction.first)
    if len(live) < 2:
        return _nothing_left(result, live, asks, length, block)
    pick = recording.picked(block, token)
    rivals = [response for response in live if response != pick]
    known = {
        "pick": label(pick),
        "asks": asks,
        "reward": number(float(recording.rewards[pick])),
        "whom": f"the {count(len(live), 'live response')}" if len(live) > 2 else names(live),
        "them": "them all" if len(live) > 2 else "both",
        "start": start(step),
        "factor": number(2 * recording.construction.promise.eta),
        "term": stage.terms.start + 1,
        "terms": 1 if result == "T2" else length - 1,
        "against": names(rivals) if len(rivals) < 5 else f"{count(len(rivals), 'other')}",
    }
    text, after = TEXT["term"], TEXT["afterwards"]
    lines = [text["heads"].format(**known)]
    if result != "T2" or recording.n > 2:
        last = f"{result}-last" if stage.last else result
        lines.append(after.get(last, after[result]).format(**known))
    if stage.last and step + 1 < steps:
        lines.append(after["onward"].format(start=start(step + 1)))
    return text["headline"].format(**known), lines


def _nothing_left(result: str, live: list[int], asks: str, length: int, block: int) -> tuple[str, list[str]]:
    text = TEXT["nothing"]
    if live:
        where = text["one"].format(left=names(live), asks=asks)
    else:
        where = text["none"].format(asks=asks, to=text[result].format(asks=asks))
    line = text["ranking" if length > 1 else "single"].format(
        responses=count(length, "response"), terms=count(length - 1, "term"), block=block, where=where
    )
    return text["headline"].format(asks=asks), [line, text["longer"]]


def _prepared(recording: Recording, block: int) -> tuple[str, list[str]]:
    """The two blocks of T8 that add nothing yet."""
    ranks = recording.slot("rank", 1)[:, 0].round().int().tolist()
    found = ", ".join(f"{label(response)} {rank}" for response, rank in enumerate(ranks))
    known = {"many": 2 * recording.n, "found": found, "units": count(recording.n - 1, "ReLU unit")}
    text = TEXT["ranks" if block == 1 else "flags"]
    return text["headline"], [line.format(**known) for line in text["lines"]]


def _all_terms(recording: Recording, step: int) -> tuple[str, list[str]]:
    many, promise, text = recording.n - 1, recording.construction.promise, TEXT["all-terms"]
    *picks, lowest = recording.order(recording.n)
    known = {
        "heads": count(many, "head").capitalize(),
        "start": start(step),
        "lowest": label(lowest),
        "many": many,
        "picks": names(sorted(picks)),
        "factor": number(2 * promise.eta),
    }
    lines = [line.format(**known) for line in text["lines"]]
    if step + 1 < promise.steps:
        lines.append(text["onward"].format(start=start(step + 1)))
    return text["headline" if many > 1 else "single"].format(terms=count(many, "term")), lines


def _focus(weights: Tensor) -> str:
    """Focus of the attention [n] of a head that should attend to one response."""
    best = int(weights.argmax())
    rest = float(weights[torch.arange(len(weights)) != best].sum())
    text: str = TEXT["captions"]["rest" if rest else "all"]
    return text.format(best=label(best), rest=number(rest))


def _spread(weights: Tensor) -> str:
    """Shares of attention [n], most first."""
    order = weights.argsort(descending=True).tolist()
    return ", ".join(f"{label(at)} {float(weights[at]):.2f}" for at in order if weights[at] > 5e-3)
