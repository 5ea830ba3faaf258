"""Write the ledger from ``results/claims.json``: compact into the README, in full into docs/ledger.md (``--check``)."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from evidence_tables import block, refresh

from secondlook.reproduce.ledger import LEDGER
from secondlook.reproduce.words import called, outcome_of, worded

ROOT = Path(__file__).parent.parent
README, PAGE, RESULT = ROOT / "README.md", ROOT / "docs" / "ledger.md", ROOT / "results" / "claims.json"


def compact(records: list[dict[str, Any]]) -> str:
    """A line for each claim: a few words, the outcome, the deciding number; real models before planted ones."""
    lines = ["| id | claim | outcome | deciding number [95%], claimed |", "|---|---|---|---|"]
    for record in records:
        real = record.get("real", ())
        outcomes = [f"{called(subject['model'])}: {subject['outcome']}" for subject in real] + [outcome_of(record)]
        numbers = [worded(subject) for subject in real] + [worded(record)]
        lines.append(f"| {record['id']} | {LEDGER[record['id']].title} | {'; '.join(outcomes)} | {_numbers(numbers)} |")
    return "\n".join(lines) + "\n"


def full(records: list[dict[str, Any]]) -> str:
    """A line for each claim and each real model: the whole statement, the outcome, the number and its evidence."""
    lines = ["| id | claim | outcome | deciding number | evidence |", "|---|---|---|---|---|"]
    for record in records:
        evidence = f"profile {record['profile']}" if record["evidence"] else "–"
        number = _numbers([worded(record)])
        lines.append(f"| {record['id']} | {record['statement']} | {outcome_of(record)} | {number} | {evidence} |")
        for subject in record.get("real", ()):
            asked = f"{subject['model']}, n = {subject['n']}, {subject['date']}"
            lines.append(f"| | the same, of a real model | {subject['outcome']} | {worded(subject)} | {asked} |")
    return "\n".join(lines) + "\n"


def _numbers(texts: list[str]) -> str:
    return "; ".join(text for text in texts if text).replace("|", "\\|") or "–"


def main() -> int:
    """Rewrite the blocks, or compare them; the first page that differs is told."""
    records = json.loads(RESULT.read_text("utf-8"))
    for page, name, content in ((README, "claims", compact(records)), (PAGE, "ledger", full(records))):
        otherwise = f"{page.name} does not show results/claims.json; run: python tools/claims_table.py"
        if refresh(page, partial(block, name=name, content=content), otherwise):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
