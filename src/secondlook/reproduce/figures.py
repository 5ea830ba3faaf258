"""Figures of every claim as files: PNG and SVG for screens, PDF in the size of a paper's column or page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from secondlook.evidence import figures
from secondlook.machine import whole
from secondlook.reproduce.run import Entry

COLUMN, PAGE = 3.25, 6.75
"""Widths of a paper's column and page, in inches."""
_DRAWING = (Path(__file__), Path(figures.__file__))
"""Code that a figure depends on, beside its numbers."""


def draw_all(entries: Sequence[Entry], folder: Path) -> None:
    """Write `T3.png`, `T3.svg` and `T3.pdf`, and so on; what is there and has not changed is left.

    Raises:
        OSError: They cannot be written.
    """
    code = b"".join(file.read_bytes() for file in _DRAWING)
    for entry in entries:
        if not entry.finding.get("panels"):
            continue
        record = entry.record
        result = {name: entry.finding[name] for name in ("panels", "curves")}
        result |= {"id": record["id"], "title": record["title"], "profile": record["profile"]}
        mark, digest = folder / f".{record['id']}", hashlib.sha256(code + json.dumps(result).encode()).hexdigest()
        if mark.is_file() and mark.read_text("utf-8") == digest:
            continue
        path, width = folder / record["id"], PAGE if len(result["panels"]) > 1 else COLUMN
        figures.draw(result, path)
        figures.draw(result, path, endings=(".pdf",), width=width)
        # Written last, so that a mark means that its files are there.
        with whole(mark) as file:
            file.write(digest.encode())
