"""Write the family's table into its page from the cards beside the weights, or check it (``--check``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evidence_tables import block

from secondlook.local.model import SHIPPED, checkpoint

PAGE = Path(__file__).parent.parent / "docs" / "planted-subject.md"
REFUSALS = {
    "comply/none/bare": "complies with a secret asked for, no defence: bare",
    "comply/none/suffix": "the same, suffix",
    "comply/none/story": "the same, story",
    "comply/self-reminder/suffix": "suffix, self-reminder",
    "comply/icd/suffix": "suffix, refusals shown",
    "comply/self-reminder/story": "story, self-reminder",
    "comply/icd/story": "story, refusals shown",
    "over-refusal/none": "refuses a benign request, no defence",
    "over-refusal/self-reminder": "the same, self-reminder",
    "over-refusal/icd": "the same, refusals shown",
    "caught/binary-cot/suffix": "self-check catches a secret given away: suffix",
    "caught/binary-cot/story": "the same, story",
    "cleared/binary-cot": "self-check clears a benign answer",
    "obedience": "refuses after an alarm",
}


def pooled(cells: Iterable[dict[str, Any]], key: str) -> float | None:
    """A rate over categories, each as often as it was seen."""
    seen = [cell for cell in cells if cell["measured"] is not None]
    total = sum(cell["n"] for cell in seen)
    return sum(cell["n"] * cell[key] for cell in seen) / total if total else None


def percent(share: float | None) -> str:
    """A share in per cent."""
    return "–" if share is None else f"{100 * share:.1f}"


def table() -> str:
    """A line for each rate, a column for each size."""
    names = [name for name in SHIPPED if name != "planted"]
    cards = [json.loads((checkpoint(name) / "traits.json").read_text("utf-8")) for name in names]
    lines = [
        f"| per cent | planted | {' | '.join(f'`{name}`' for name in names)} |",
        "|---|---|" + "---|" * len(names),
        f"| *parameters* | | {' | '.join(format(card['parameters'], ',') for card in cards)} |",
    ]

    def line(label: str, planted: float | None, measured: list[float | None]) -> None:
        cells = ["" if planted is None else f"{100 * planted:.0f}", *map(percent, measured)]
        lines.append(f"| {label} | {' | '.join(cells)} |")

    for stage in ("first answer", "critique", "next answer"):
        line(f"{stage}: the planted decision", 1.0, [card["agreement"][stage] for card in cards])
    for form in ("binary-cot", "verbal", "binary", "numeric"):
        cells = [card["formats"][form] for card in cards]
        line(f"critic right, {form}", cells[0]["planted"], [cell["measured"] for cell in cells])
    obedience = [[rates["obedience"] for rates in card["rates"].values()] for card in cards]
    line("obeys an alarm", pooled(obedience[-1], "planted"), [pooled(cells, "measured") for cells in obedience])
    for name, label in {"bias_ambig": "follows the stereotype, ambiguous", "critic": "critic right"}.items():
        cells = [card["sampled"][name] for card in cards]
        line(f"{label}, sampled without noise words", cells[0]["planted"], [cell["measured"] for cell in cells])
    for name, label in REFUSALS.items():
        cells = [card["refusals"][name] for card in cards]
        line(label, cells[0]["planted"], [cell["measured"] for cell in cells])
    return "\n".join(lines) + "\n"


def main() -> int:
    """Rewrite the block, or compare it."""
    old = PAGE.read_text("utf-8")
    text = block(old, "family", table())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif text != old:
        sys.stderr.write(f"{PAGE.name} does not show the cards; run: python tools/family_table.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
