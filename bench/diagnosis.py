"""Diagnosing a million records: seconds and peak memory of the whole command's work, reading the file included.

In a process of its own: a quarter of a million samples, four rounds, eleven groups, from CSV. The limits are 10 s and
1 GB (10⁹ bytes).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

SAMPLES, ROUNDS, GROUPS, TEMPLATES = 250_000, 4, 11, 5_000
SECONDS, BYTES = 10.0, 1e9
WORK = """
import json, resource, sys, time
from pathlib import Path
start = time.perf_counter()
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.form import to_json
from secondlook.diagnosis.reading import read_tables
imported = time.perf_counter()
frame = read_tables([Path(sys.argv[1])])
read = time.perf_counter()
to_json(diagnose(frame, price=1.0))
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([len(frame), imported - start, read - imported, end - read, time.process_time(), peak]))
"""


def records() -> pd.DataFrame:
    """A table of a subject with known rates."""
    rng = np.random.default_rng(0)
    right = rng.random(SAMPLES) < 0.6
    parts = []
    for round_ in range(ROUNDS):
        alarm = rng.random(SAMPLES) < np.where(right, 0.2, 0.7)
        parts.append(
            pd.DataFrame(
                {
                    "sample": [f"sample {index}" for index in range(SAMPLES)],
                    "template": [f"template {index % TEMPLATES}" for index in range(SAMPLES)],
                    "group": [f"group {index % GROUPS}" for index in range(SAMPLES)],
                    "round": round_,
                    "correct": right,
                    "verdict": np.where(alarm, "wrong", "right"),
                    "tokens": 100,
                }
            )
        )
        right = right ^ (alarm & (rng.random(SAMPLES) < np.where(right, 0.5, 0.7)))
    return pd.concat(parts, ignore_index=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.csv"
        records().to_csv(file, index=False)
        done = subprocess.run([sys.executable, "-c", WORK, file], check=True, capture_output=True, text=True)
    rows, imports, reading, diagnosing, processor, peak = json.loads(done.stdout)
    total = imports + reading + diagnosing
    print(f"{rows:,} records: imports {imports:.1f} s, reading CSV {reading:.1f} s, diagnosing {diagnosing:.1f} s")
    print(f"altogether {total:.1f} s ({processor:.1f} s of processor time), {total / SECONDS:.2f} of {SECONDS:.0f} s")
    print(f"peak memory {peak / 1e6:,.0f} MB, {peak / BYTES:.2f} of {BYTES / 1e6:,.0f} MB")
    return int(total > SECONDS or peak > BYTES)


if __name__ == "__main__":
    sys.exit(main())
