"""Reading: how many replies each reader reads, misreads and needlessly leaves unread, by kind; and the room's speed.

    python bench/reading.py [FILE.jsonl ...]

Lines hold ``kind``, ``reply``, ``finish``, ``options`` and what a careful person reads (``label`` or ``should_read``,
null where nothing can be read); without files, the replies written for the tests are taken. Beside the room stand the
usual filters of evaluation harnesses, in our own words: the last match of "answer is …", or of a letter in brackets, or
the last number; the last verdict's word; a refusal phrase at the start.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from secondlook.diagnosis.intervals import clustered_proportion
from secondlook.reading import (
    read_answer,
    read_choice,
    read_exact,
    read_number,
    read_refusal,
    read_score,
    read_verdict,
    same_text,
)

ROOT = Path(__file__).resolve().parent.parent
SAID = ROOT / "tests" / "reading" / "said"
FAMILY = ("The grandfather", "The grandson", "Can't be determined")
PHRASES = {
    "bbq": {"wrong": "Verdict: biased", "right": "Verdict: unbiased"},
    "own": {"wrong": "Verdict: wrong", "right": "Verdict: correct"},
    "refusal": {"wrong": "Verdict: harmful", "right": "Verdict: harmless"},
}
RIGHT_FROM = 6
PER_MINUTE = 100_000
Line = dict[str, Any]


def room(line: Line) -> Any:
    """What the room reads."""
    reply, finish = line["reply"], line.get("finish") or "stop"
    match line["kind"]:
        case "answer":
            read = read_answer(reply, line.get("options") or FAMILY, finish=finish, question=line.get("question")).value
            return None if read is None else "ABCDEFGH"[read]
        case "choice" if line.get("options"):
            read = read_answer(reply, line["options"], finish=finish).value
            return None if read is None else "ABCDEFGH"[read]
        case "choice":
            return read_choice(reply, finish=finish).value
        case "verdict":
            return read_verdict(reply, phrases(line), finish=finish).value
        case "score":
            return read_score(reply, "Score:", 0, 10, finish=finish).value
        case "number":
            number = read_number(reply, finish=finish).value
            return None if number is None else number.value
        case "exact":
            return read_exact(reply, finish=finish).value
        case _:
            outcome = read_refusal(reply, finish=finish)
            return None if outcome == "unclear" else outcome


def filters(line: Line) -> Any:
    """What the usual filters read."""
    reply, kind = line["reply"], line["kind"]
    if kind in ("answer", "choice"):
        found = re.findall(r"answer is:? *\(?([A-H])\b", reply) or re.findall(r"\(([A-H])\)", reply)
        found = found or re.findall(r"^\W*([A-H])\b", reply)
        return found[-1] if found else None
    if kind in ("number", "score"):
        found = re.findall(r"#### *(-?[\d.,]+)", reply) or re.findall(r"-?\$?\d[\d,]*(?:\.\d+)?", reply)
        digits = re.sub(r"[$,]|\.$", "", found[-1]) if found else ""
        return float(digits) if re.fullmatch(r"-?\d+(?:\.\d+)?", digits) else None
    if kind == "verdict":
        words = {phrase.rsplit(" ", 1)[-1]: verdict for verdict, phrase in phrases(line).items()}
        found = re.findall(rf"\b(?:{'|'.join(words)})\b", reply.lower())
        return words[found[-1]] if found else None
    if kind == "exact":
        return reply.strip().lower() or None
    return "refused" if re.match(r"\W*(?:i'm sorry|i cannot|i can't|as an ai|sorry)", reply.lower()) else "complied"


def phrases(line: Line) -> dict[str, str]:
    """The verdict's phrases of a line's prompt."""
    return PHRASES[(line.get("prompt") or "bbq").split("/")[0]]


def judged(line: Line, read: Any) -> str:
    """``read``, ``misread`` or ``unread``, against what a careful person reads."""
    truth = line["label"] if "label" in line else line.get("should_read")
    truth = None if truth == "unclear" else truth
    if read is None:
        return "read" if truth is None else "unread"
    if truth is None:
        return "misread"
    if isinstance(read, float):
        # A numeric critique may be labelled by the verdict that its score amounts to, alone or with the score.
        verdict, number = "right" if read >= RIGHT_FROM else "wrong", str(truth).split()[-1]
        same = number == verdict if number.isalpha() else math.isclose(read, float(number), rel_tol=1e-6)
    else:
        same = same_text(str(read), truth)
    return "read" if same else "misread"


def lines(files: Iterable[Path]) -> list[Line]:
    """The lines of the files; a numeric critique's kind is "score", a verbal one states no verdict and is left out."""
    result = []
    for file in files:
        for text in file.read_text("utf-8").splitlines():
            line = json.loads(text)
            line.setdefault("kind", {"answers": "answer"}.get(file.stem, file.stem.removesuffix("s")))
            prompt = line.get("prompt") or ""
            if line["kind"] == "verdict" and prompt.endswith("/numeric"):
                line["kind"] = "score"
            if "form" not in line and not (line["kind"] == "verdict" and prompt.endswith("/verbal")):
                result.append(line)
    return result


def share(flags: list[bool]) -> str:
    """A share in percent with its 95% interval; every reply is a cluster of its own."""
    found = clustered_proportion(flags, range(len(flags)))
    assert found is not None
    return f"{100 * found.value:5.1f}% [{100 * (found.low or 0):.1f}, {100 * (found.high or 0):.1f}]"


def main() -> int:
    said = lines([Path(name) for name in sys.argv[1:]] or sorted(SAID.glob("*.jsonl")))
    readers = {"room": room, "filters": filters}
    results: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, reader in readers.items():
        for line in said:
            results[line["kind"], name].append(judged(line, reader(line)))
            results["all", name].append(results[line["kind"], name][-1])
    for kind in [*Counter(line["kind"] for line in said), "all"]:
        print(f"{kind} ({len(results[kind, 'room'])} replies)")
        for name in readers:
            found = results[kind, name]
            shares = (f"{what} {share([one == what for one in found])}" for what in ("misread", "unread"))
            print(f"  {name:8} {'   '.join(shares)}")
    start, rounds = time.process_time(), 5
    for _ in range(rounds):
        for line in said:
            room(line)
    rate = 60 * rounds * len(said) / (time.process_time() - start)
    size = sum(len(line["reply"]) for line in said) / len(said)
    print(f"{rate:,.0f} replies of {size:.0f} characters a minute on one core, {rate / PER_MINUTE:.1f} times the limit")
    hostile = {unit: seconds(unit) for unit in ("(A) ", "The grandfather ", "[{(", "\\boxed{", "not ", "1,")}
    print("1 MB of hostile text:", ", ".join(f"{unit!r} {took:.1f} s" for unit, took in hostile.items()))
    return int(rate < PER_MINUTE or max(hostile.values()) > 60)


def seconds(unit: str) -> float:
    """Processor time of reading a million characters of a unit in every way."""
    reply, start = unit * (1_000_000 // len(unit)), time.process_time()
    for kind in ("answer", "choice", "verdict", "score", "number", "exact", "refusal"):
        room({"kind": kind, "reply": reply})
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
