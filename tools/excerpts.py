"""Show in the README what a page of the documentation shows, or check that it does (``--check``)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from evidence_tables import block, refresh

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXCERPTS = {"served": "docs/own-task.md"}
"""Blocks of the README, and the pages with a block of the same name, which a tool checks by running the page."""


def filled(text: str) -> str:
    """The README with every excerpt as its page has it."""
    for name, page in EXCERPTS.items():
        (found,) = re.findall(
            rf"<!-- {name}:start -->\n(.*?)<!-- {name}:end -->", (ROOT / page).read_text("utf-8"), re.DOTALL
        )
        text = block(text, name, found)
    return text


if __name__ == "__main__":
    sys.exit(refresh(README, filled, "README.md does not show what its pages show; run: python tools/excerpts.py"))
