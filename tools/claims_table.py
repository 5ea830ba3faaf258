"""Write the ledger's table into the README from ``results/claims.json``, or check that it is there (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from secondlook.reproduce.words import outcome_of, worded

ROOT = Path(__file__).parent.parent
README, RESULT = ROOT / "README.md", ROOT / "results" / "claims.json"
START, END = "<!-- claims:start -->\n", "<!-- claims:end -->\n"


def table() -> str:
    """A line for each claim: what it says, the outcome, the number that decides, and where the evidence is from."""
    lines = ["| id | claim | outcome | deciding number | evidence |", "|---|---|---|---|---|"]
    for record in json.loads(RESULT.read_text("utf-8")):
        number = worded(record).replace("|", "\\|") or "–"
        evidence = f"profile {record['profile']}" if record["evidence"] else "–"
        lines.append(f"| {record['id']} | {record['statement']} | {outcome_of(record)} | {number} | {evidence} |")
        for subject in record.get("real", ()):
            asked = f"{subject['model']}, n = {subject['n']}, {subject['date']}"
            lines.append(f"| | the same, of a real model | {subject['outcome']} | {worded(subject)} | {asked} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Rewrite the block, or compare it."""
    text = README.read_text("utf-8")
    head, found, rest = text.partition(START)
    old, ended, tail = rest.partition(END)
    if not (found and ended):
        sys.stderr.write(f"README.md has no block {START.strip()} … {END.strip()}\n")
        return 1
    if "--check" in sys.argv[1:]:
        if old != table():
            sys.stderr.write("README.md does not show results/claims.json; run: python tools/claims_table.py\n")
            return 1
        return 0
    README.write_text(f"{head}{START}{table()}{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
