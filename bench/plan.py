"""What `secondlook plan` says of larger studies from a pilot, beside what these studies then take.

Every run is an ordinary `secondlook eval planted` as a process of its own, on one core and one thread; wall time is
the process's, from its start to its end. The predictions are made from the pilot's folder alone. Runs that are
finished are kept and measured once: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from secondlook.correction.chat import Usage
from secondlook.evaluation.logs import read_logged
from secondlook.evaluation.planning.pilot import read_pilot, resized
from secondlook.evaluation.planning.study_plan import Site, plan

WITHIN = 0.15
PILOTS = {f"pilot-{number}": (8, 1) for number in range(3)}
"""Questions of each of eleven categories, second looks. The one of median wall time is used, whatever it predicts."""
STUDIES = {"small": (20, 3), "middle": (40, 1), "large": (100, 1)}


def taken(name: str, size: tuple[int, int], folder: Path, core: int) -> dict[str, float]:
    """Run a study to its end, or read what it took: calls, tokens, seconds of wall and processor."""
    kept, out = folder / f"{name}.json", folder / name
    if kept.is_file():
        return json.loads(kept.read_text("utf-8"))
    shutil.rmtree(out, ignore_errors=True)
    words = "eval planted --model secondlook/planted --reply-tokens 16 --no-diagnose --max-connections 32"
    words += f" --critic self --critic none --critic vote --per-category {size[0]} --rounds {size[1]} --out"
    command = ["taskset", "-c", str(core), sys.executable, "-m", "secondlook.cli", *words.split(), str(out)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    usage = sum((logged.transcript.usage for logged in read_logged(out)), Usage())
    took = {"calls": usage.calls, "tokens_in": usage.input, "tokens_out": usage.output, "seconds": wall}
    took["processor_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    kept.write_text(json.dumps(took), encoding="utf-8")
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/plan"), help="where the runs are kept")
    parser.add_argument("--out", type=Path, default=Path("results/scale/plan.json"))
    parser.add_argument("--core", type=int, default=1)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    took = {name: taken(name, size, asked.folder, asked.core) for name, size in (PILOTS | STUDIES).items()}
    median = sorted(PILOTS, key=lambda name: took[name]["seconds"])[len(PILOTS) // 2]
    pilot, studies, off = read_pilot(asked.folder / median), [], 0
    for name, (questions, rounds) in STUDIES.items():
        planned = plan(pilot, resized(pilot, per_category=questions, rounds=rounds), Site())
        found = planned.total | {"seconds": planned.wall["seconds"], "processor_seconds": planned.processor}
        ratios = {what: found[what] / measured for what, measured in took[name].items()}
        off += sum(abs(ratio - 1) > WITHIN for ratio in ratios.values())
        studies.append({"questions": 11 * questions, "rounds": rounds, "planned": found, "measured": took[name]})
        print(name, {what: round(ratio, 3) for what, ratio in ratios.items()})
    print(f"{off} numbers are further than {WITHIN:.0%} from what was measured")
    result = {"pilots": [took[name] for name in PILOTS], "within": WITHIN, "studies": studies}
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
