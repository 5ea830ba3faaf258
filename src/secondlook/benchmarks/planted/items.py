"""Questions of the planted language as items, read by the very loader that reads the official files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secondlook.benchmarks.bbq.biased import biased_from_groups
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.bbq.load import to_item
from secondlook.benchmarks.bbq.rows import parse_row
from secondlook.benchmarks.planted.language import Split, draw_rows


def item_of(row: Mapping[str, Any]) -> Item:
    """Row of a file as an item."""
    line, file = json.dumps(row).encode(), Path(f"{row['category']}.jsonl")
    parsed = parse_row(line, file, row["example_id"] + 1)
    return to_item(parsed, biased_from_groups(parsed))


def draw_items(per_category: int, seed: int, split: Split = "held-out") -> list[Item]:
    """A balanced sample of questions, categories interleaved; see :func:`~.language.draw_rows`."""
    items = [item_of(row) for row in draw_rows(per_category, seed, split)]
    # Categories in turn, so that a limit takes of each.
    return sorted(items, key=lambda item: (int(item.id.rsplit("/", 1)[1]), item.category))


def write_files(folder: Path, per_category: int, seed: int, split: Split = "held-out") -> list[Path]:
    """Write a sample in BBQ's file format, one ``CATEGORY.jsonl`` each; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[Path, list[str]] = {}
    for row in draw_rows(per_category, seed, split):
        files.setdefault(folder / f"{row['category']}.jsonl", []).append(json.dumps(row))
    for path, lines in files.items():
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return list(files)
