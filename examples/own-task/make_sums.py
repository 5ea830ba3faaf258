"""Writes sums.jsonl: additions, half of them with a carry."""

import json
import random
from pathlib import Path

rng = random.Random(1)
with Path("sums.jsonl").open("w", encoding="utf-8") as file:
    for index in range(120):
        carry = index % 2 == 1
        units = rng.randrange(1, 9)
        other = rng.randrange(10 - units, 10) if carry else rng.randrange(0, 10 - units)
        a, b = 10 * rng.randrange(1, 9) + units, 10 * rng.randrange(1, 9) + other
        row = {"prompt": f"What is {a} + {b}?", "answer": a + b, "group": "carry" if carry else "plain", "a": a, "b": b}
        file.write(json.dumps(row) + "\n")
print("120 sums in sums.jsonl")
