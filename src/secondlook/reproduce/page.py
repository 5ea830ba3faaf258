"""All entries as one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from secondlook.construct.show.page import render
from secondlook.machine import whole
from secondlook.pages import html
from secondlook.reproduce import chart, words
from secondlook.reproduce.ledger import LEDGER
from secondlook.reproduce.run import Entry

SIGNS = {
    "proved": "∎",
    "verified": "✓",
    "supported": "✓",
    "undecided": "≈",
    "not reproduced at reduced size": "≉",
    "refuted": "✕",
    "base not trained": "∅",
    "planted": "◇",
    "not run here": "–",
}
"""Every outcome with a sign, so that none is told by its colour alone."""
MEANINGS = {
    "proved": "a written proof, and numbers within their bounds",
    "verified": "numbers within their bounds, in every context that was run",
    "supported": "the whole interval where the claim puts it",
    "undecided": "the interval does not decide",
    "refuted": "the whole interval where the claim denies it",
    "base not trained": "what variants are compared with had not learned the task: nothing is said",
    "not reproduced at reduced size": "the whole interval where the claim denies it, of a study too small or a scale "
    "too kind to refute it",
    "planted": "the instrument found it on a planted subject; nothing is said of real models",
    "not run here": "with the command and the hardware that would",
}
_FLOORS = {
    "real": (
        "A real model",
        "SmolLM2-135M-Instruct, four bits a weight, asked on this machine. What is found holds for this model.",
    ),
    "theory": ("The proof, runnable", "Weights placed by hand, beside automatic differentiation."),
    "laboratory": ("The experiments, made fair", "Transformers trained from scratch, with baselines and intervals."),
    "studies": (
        "Language models, the instrument",
        "Planted subjects with known traits: what is found is what was put in.",
    ),
}


def write_page(entries: Sequence[Entry], profile: str, path: Path) -> Path:
    """Write the page, which is there afterwards in whole or not at all.

    Args:
        entries: What is on it.
        profile: Of the run.
        path: Its file.

    Returns:
        The path.

    Raises:
        OSError: It cannot be written.
    """
    folder = resources.files("secondlook.reproduce") / "assets"
    own, script = ((folder / name).read_text("utf-8") for name in ("ledger.css", "ledger.js"))
    style = html.style(own)
    viewer = render("plackett-luce") if any(entry.record["floor"] == "theory" for entry in entries) else ""
    environment = html.environment()
    environment.globals.update(strip=chart.strip, lines=chart.lines, colours=chart.COLOURS, many=chart.MANY)
    environment.filters.update(
        number=words.number,
        threshold=words.threshold,
        estimate=words.estimate,
        worded=words.worded,
        whose=words.whose,
    )
    page = environment.from_string((folder / "ledger.html.j2").read_text("utf-8")).render(
        cards=[_card(entry) for entry in entries],
        all=len(LEDGER),
        some=len(entries) < len(LEDGER),
        counts=_counts(entries),
        here=sum(entry.record["evidence"] == "this run" for entry in entries),
        floors=_FLOORS,
        signs=SIGNS,
        meanings=MEANINGS,
        profile=profile,
        viewer=viewer,
        # What is inside a frame obeys the page around it, too.
        styles=[html.digest(style), *_allowed(viewer, "style")],
        scripts=[html.digest(script), *_allowed(viewer, "script")],
        style=style,
        script=script,
    )
    with whole(path) as file:
        file.write(page.encode())
    return path


def _card(entry: Entry) -> dict[str, Any]:
    record, finding = entry.record, entry.finding
    curves = finding.get("curves", [])
    panels = [
        (panel, [curve for curve in curves if curve["panel"] == panel["name"]]) for panel in finding.get("panels", [])
    ]
    versions = ", ".join(f"{name} {version}" for name, version in finding.get("versions", {}).items())
    shown = finding.get("parts", []) if record["outcome"] == "not run here" else record["parts"]
    old = entry.earlier
    earlier = f"{old['profile']}, {words.code(old)}: {old['outcome']}" if old else ""
    otherwise = words.otherwise(record, old)
    return {
        **record,
        "panels": [each for each in panels if each[1]],
        "versions": versions,
        "shown": shown,
        "decided": words.decided(record),
        "earlier": earlier,
        "otherwise": otherwise,
    }


def _counts(entries: Sequence[Entry]) -> dict[str, int]:
    found = Counter(entry.record["outcome"] for entry in entries)
    return {outcome: found[outcome] for outcome in SIGNS if found[outcome]}


def _allowed(page: str, kind: str) -> list[str]:
    return re.findall(rf"{kind}-src '(sha256-[^']+)'", page)
