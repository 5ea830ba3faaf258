"""Write the table of docs/compare.md from results/diagnosis/coverage.json, or check it (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from evidence_tables import block, refresh

ROOT = Path(__file__).parent.parent
PAGE, RESULT = ROOT / "docs/compare.md", ROOT / "results/diagnosis/coverage.json"


def clusters(result: dict[str, Any]) -> str:
    """A line for each cell: how often each method's interval holds the truth, and its half width in points."""
    rows = result["clusters"]
    names = [name for name, found in rows[0].items() if isinstance(found, dict)]
    lines = [f"| flips | templates | correlation | {' | '.join(names)} |", f"|---|---|---|{'---|' * len(names)}"]
    for row in rows:
        cells = [_cell(row[name]) for name in names]
        lines.append(f"| {row['flips']} | {row['templates']} | {row['icc']:g} | {' | '.join(cells)} |")
    seen = {name: rows[0][name]["datasets"] for name in names}
    told = ", ".join(f"{name} {count:,}" for name, count in seen.items())
    versions = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    return "\n".join([*lines, "", f"Datasets of a cell: {told}. Packages: {versions}."]) + "\n"


def repeats(result: dict[str, Any]) -> str:
    """Likewise, of our own intervals for epochs and for partial credit."""
    lines = ["| templates | epochs | chances | epochs as repeats | partial credit |", "|---|---|---|---|---|"]
    for row in result["repeats"]:
        kind = "near 0 and 1" if row["spread"] < 1 else "in between"
        cells = (
            f"{row['epochs'][0]} and {row['epochs'][1]}",
            kind,
            _cell(row["epochs as repeats"]),
            _cell(row["partial credit"]),
        )
        lines.append(f"| {row['templates']} | {' | '.join(cells)} |")
    means = (
        sum(row[name]["coverage"] for row in result["repeats"]) / len(result["repeats"])
        for name in ("epochs as repeats", "partial credit")
    )
    lines.append(f"| mean | | | {' | '.join(f'{100 * mean:.1f}%' for mean in means)} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, float]) -> str:
    return f"{100 * found['coverage']:.1f}% ±{50 * found['width']:.1f}"


def filled(text: str) -> str:
    """The page as it should be."""
    result = json.loads(RESULT.read_text("utf-8"))
    return block(block(text, "coverage", clusters(result)), "coverage-repeats", repeats(result))


if __name__ == "__main__":
    sys.exit(refresh(PAGE, filled, f"{PAGE.name} does not show {RESULT.name}; run: python tools/coverage_table.py"))
