"""Show in a page what another page shows, or check that it does (``--check``)."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

from evidence_tables import block, refresh

ROOT = Path(__file__).parent.parent
EXCERPTS = {
    "README.md": {"served": "docs/own-task.md"},
    "docs/gateway.md": {"served": "docs/own-task.md"},
    "docs/diagnosis.md": {"finding": "docs/read-a-diagnosis.md"},
}
"""By page, its blocks and the pages with a block of the same name, which a tool checks by running the page."""


def filled(page: str, text: str) -> str:
    """A page with every excerpt as its source has it."""
    for name, source in EXCERPTS[page].items():
        (found,) = re.findall(
            rf"<!-- {name}:start -->\n(.*?)<!-- {name}:end -->", (ROOT / source).read_text("utf-8"), re.DOTALL
        )
        text = block(text, name, found)
    return text


def main() -> int:
    """Fill the pages, or compare them; the first that differs is told."""
    return max(
        refresh(ROOT / page, partial(filled, page), f"{page} is not what it quotes; run: python tools/excerpts.py")
        for page in EXCERPTS
    )


if __name__ == "__main__":
    sys.exit(main())
