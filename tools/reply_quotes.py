"""Take what a reply quotes of a data set out of it, so that replies may stand in a repository without the data.

`python tools/reply_quotes.py --data DATA < raw.jsonl > replies.jsonl`. Six words in a row of a BBQ context or question,
of a GSM8K question or worked answer, or five of an XSTest prompt (the whole of a shorter one), are a quotation,
whatever their case and punctuation; "[...]" stands for each. The names of a reply's own options may stand.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

GAP = "[...]"
_WORD = re.compile(r"\w+(?:'\w+)*")
_WORKING = re.compile(r"<<.*?>>")
_LONG, _SHORT = 6, 5
Run = tuple[str, ...]


def words(text: str) -> list[tuple[str, int, int]]:
    """The words of a text in lower case, with where each begins and ends."""
    return [(m[0].lower(), m.start(), m.end()) for m in _WORD.finditer(text.replace("\u2019", "'"))]


def runs(texts: Iterable[str], length: int, *, whole: bool = False) -> Iterator[Run]:
    """Every run of so many words; with ``whole``, shorter texts are runs too."""
    for text in texts:
        plain = [word for word, _, _ in words(text)]
        size = min(length, len(plain)) if whole else length
        yield from (tuple(plain[at : at + size]) for at in range(len(plain) - size + 1) if size)


def quotable(data: Path) -> set[Run]:
    """Every run of words that counts as a quotation of a data set."""
    found: set[Run] = set()
    for path in sorted((data / "bbq").rglob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found |= set(runs((row[name] for row in rows for name in ("context", "question")), _LONG))
    rows = [json.loads(line) for line in (data / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines()]
    found |= set(runs((_WORKING.sub("", row[name]) for row in rows for name in ("question", "answer")), _LONG))
    with (data / "xstest" / "xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
        found |= set(runs((row["prompt"] for row in csv.DictReader(file)), _SHORT, whole=True))
    return found


def quoted(reply: str, quotes: set[Run], options: Sequence[str]) -> list[tuple[int, int]]:
    """Where a reply quotes a data set, as (beginning, end), its own options' names left out."""
    said = words(reply)
    plain = [word for word, _, _ in said]
    named, taken = [False] * len(said), [False] * len(said)
    for option in options:
        name = [word for word, _, _ in words(option)]
        for at in range(len(plain) - len(name) + 1):
            if name and plain[at : at + len(name)] == name:
                named[at : at + len(name)] = [True] * len(name)
    for size in sorted({len(run) for run in quotes}):
        for at in range(len(plain) - size + 1):
            if tuple(plain[at : at + size]) in quotes and not all(named[at : at + size]):
                taken[at : at + size] = [True] * size
    spans: list[tuple[int, int]] = []
    last = None
    for at, (_, start, end) in enumerate(said):
        if taken[at] and not named[at]:
            if last == at - 1:
                start, _ = spans.pop()
            spans.append((start, end))
            last = at
    return spans


def without_quotes(reply: str, quotes: set[Run], options: Sequence[str]) -> str:
    """The reply with a gap for each quotation."""
    # From the end, so that the places before a gap stay what they were.
    for start, end in reversed(quoted(reply, quotes, options)):
        reply = reply[:start] + GAP + reply[end:]
    return reply


def main() -> None:
    """Read replies, write them without quotations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds bbq/, gsm8k/ and xstest/")
    quotes = quotable(parser.parse_args().data)
    for line in map(json.loads, sys.stdin):
        line["reply"] = without_quotes(line["reply"], quotes, line.get("options") or ())
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
