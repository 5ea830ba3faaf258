"""What two recordings of one code do not share, and texts without it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Any

# Fields of JSON and columns of CSV that no two runs share.
VARYING = {"seconds", "latency", "rates", "wall", "processor", "gpu_hours", "time", "opening", "asking", "reporting"}
VARYING |= {
    "versions",
    "commit",
    "machine",
    "salt",
    "hash",
    "hash of the questions",
    "hash of the words",
    "hash of the exchanges shown",
}
UNREAD = {"logs.json", "eval-set.json", "times.json", ".driver.json", "index.html"}
PLAIN = [
    (r"127\.0\.0\.1:\d{5}", "127.0.0.1:<port>"),
    (r"(?m)^(seconds per answer) .*", r"\1 <seconds>"),
    (r"(?m)(?<=\d) +\d+\.(\d|\d{3}) *$", " <seconds>"),  # the last column of refusal's tables, and of audit's
    (r"(?m)(at profile \w+), [\d.]+ s$", r"\1, <seconds>"),
    (r"(?s)\npart +seconds .*(?=\nNothing was sent)", "\n<seconds>"),
    (r"\d{4}-\d\d-\d\dT[\d:-]+_(\w+)_\w{22}\.eval", r"<date>_\1_<id>.eval"),
    (r"\b(\d{4}-)?\d\d-\d\d[ T]\d\d:\d\d:(\d\d|…)", "<date>"),
    (r"\bsl-[\w-]{43}", "<key>"),
    (r"\b[0-9a-f]{32}\b", "<id>"),
]


def steady(text: str, places: Mapping[str, str]) -> str:
    """A text in which what varies, and paths by the names of their places, say what they are."""
    for path, name in places.items():
        text = text.replace(path, name)
    try:
        text = json.dumps(without(json.loads(text)), indent=1, ensure_ascii=False)
    except ValueError:
        lines = text.splitlines()
        if lines and all(line.startswith("{") for line in lines):
            text = "\n".join(json.dumps(without(json.loads(line)), ensure_ascii=False) for line in lines)
    for pattern, told in PLAIN:
        text = re.sub(pattern, told, text)
    return text.rstrip("\n")


def without(value: Any) -> Any:
    """A value of JSON in which the varying fields say so."""
    if isinstance(value, dict):
        varying = {name for name, part in value.items() if name in VARYING and part is not None}
        return {name: f"<{name}>" if name in varying else without(part) for name, part in value.items()}
    return [without(part) for part in value] if isinstance(value, list) else value


def steady_table(text: str) -> str:
    """A CSV file in which the varying columns say so."""
    rows = list(csv.reader(io.StringIO(text)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, row in enumerate(rows):
        cells = zip(rows[0], row, strict=True)
        writer.writerow(f"<{name}>" if number and name in VARYING and cell else cell for name, cell in cells)
    return out.getvalue()
