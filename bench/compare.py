"""Comparing two logs of 20,000 samples: seconds and peak memory of the whole command, in a process of its own.

The logs are a few samples of a run by Inspect, as it wrote them, copied under other names and with other scores. The
limits are 20 s and 1 GB (10⁹ bytes).
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import inspect_ai
import zipfile_zstd  # noqa: F401 - as Inspect writes: zipfile then reads Zstandard
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import match
from inspect_ai.solver import Generate, Solver, TaskState, solver

SAMPLES, TEMPLATES, FEW, WORDS = 20_000, 500, 50, 300
SECONDS, BYTES = 20.0, 1e9


@solver
def answers() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        del generate  # nothing is asked: only the log matters
        state.output = ModelOutput.from_content("mockllm/model", "word " * WORDS + "4")
        state.messages.append(state.output.message)
        return state

    return solve


def log_of(folder: Path, name: str, right: float) -> Path:
    """A log whose answers are right so often, and more alike within a template than between."""
    samples = [Sample(id=i, input=f"Question {i}: " + "why " * WORDS, target="4", metadata={}) for i in range(FEW)]
    (made,) = inspect_ai.eval(
        inspect_ai.Task(dataset=samples, solver=answers(), scorer=match(), name="sums"),
        model=f"mockllm/{name}",
        log_dir=str(folder / "few"),
        display="none",
    )
    rng = random.Random(name)
    # Beta(a, b) with a + b = 9 has the intra-cluster correlation 1 / (a + b + 1) = 0.1.
    rates = [rng.betavariate(9 * right, 9 * (1 - right)) for _ in range(TEMPLATES)]
    path = folder / f"{name}.eval"
    # Inspect's own writer takes quadratic time for samples that come all at once.
    with (
        zipfile.ZipFile(made.location) as few,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as many,
    ):
        written = [json.loads(few.read(f"samples/{index}_epoch_1.json")) for index in range(FEW)]
        summaries = sorted(json.loads(few.read("summaries.json")), key=lambda one: one["id"])
        copied = []
        for index in range(SAMPLES):
            own = {"id": index, "input": f"Question {index}: " + "why " * WORDS}
            own["metadata"] = {"template": f"template {index % TEMPLATES}", "note": "x" * 200}
            value = "C" if rng.random() < rates[index % TEMPLATES] else "I"
            for held in (written[index % FEW], summaries[index % FEW]):
                held["scores"]["match"]["value"] = value
            many.writestr(f"samples/{index}_epoch_1.json", json.dumps(written[index % FEW] | own))
            copied.append(json.dumps(summaries[index % FEW] | own))
        many.writestr("summaries.json", f"[{','.join(copied)}]")
        header = json.loads(few.read("header.json"))
        header["eval"]["dataset"] |= {"samples": SAMPLES, "sample_ids": [*range(SAMPLES)]}
        many.writestr("header.json", json.dumps(header))
    return path


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        logs = [log_of(Path(name), *one) for one in (("first", 0.60), ("second", 0.63))]
        sizes = [path.stat().st_size / 1e6 for path in logs]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "secondlook.cli", "compare", *logs, "--cluster", "template", "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    # macOS tells bytes, Linux kilobytes.
    peak = after.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (found,) = json.loads(done.stdout)["against"]
    assert found["change"]["n"] == SAMPLES
    assert found["change"]["clusters"] == TEMPLATES
    print(f"two logs of {SAMPLES:,} samples, {sizes[0]:.0f} and {sizes[1]:.0f} MB: {found['standing']}")
    print(f"{seconds:.1f} s ({processor:.1f} s of processor time), {seconds / SECONDS:.2f} of {SECONDS:.0f} s")
    print(f"peak memory {peak / 1e6:,.0f} MB, {peak / BYTES:.2f} of {BYTES / 1e6:,.0f} MB")
    return int(seconds > SECONDS or peak > BYTES)


if __name__ == "__main__":
    sys.exit(main())
