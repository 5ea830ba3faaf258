"""What `secondlook plan` says of larger studies from a pilot, beside what these studies then take.

Every run is an ordinary `secondlook eval planted` as a process of its own, on one core and one thread; wall time is
the process's, from its start to its end. The predictions are made from the pilot's folder alone. Runs that are
finished are kept and measured once: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from secondlook.benchmarks.bbq.load import data_folder
from secondlook.correction.chat import Usage
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import Evaluation
from secondlook.evaluation.logs import read_logged
from secondlook.evaluation.planning.counting import calls_of, count
from secondlook.evaluation.planning.pilot import Pilot, read_pilot, study_of
from secondlook.evaluation.planning.plan import plan
from secondlook.evaluation.planning.schedule import Site
from secondlook.evaluation.planning.timing import fit_clock

COMMAND = [sys.executable, "-m", "secondlook.cli"]
IN_FLIGHT = 32
WITHIN = 0.15


@dataclass(frozen=True, slots=True)
class Size:
    """Of a study: its name, questions of each of eleven categories, second looks."""

    name: str
    per_category: int
    rounds: int


PILOTS = tuple(Size(f"pilot-{number}", 8, 1) for number in range(3))
"""The same three times: the one of median wall time is used, whatever it predicts."""
DRIVER = Size("driver", 20, 3)
STUDIES = (Size("small", 20, 3), Size("middle", 40, 1), Size("large", 100, 1))

# Of the extrapolation: nobody measured these, a reader puts those of their own pilot in their place.
ASSUMED = {
    "questions": 58_492,
    "rounds": 3,
    "characters_per_token": 4,
    "answer_tokens": 8,
    "critique_tokens": 150,
    "prompt_rate": 20_000.0,
    "reply_rate": 2_000.0,
    "in_flight": 64,
    "longest": 2.0,
    "opening": 120.0,
}


def timed(
    size: Size, folder: Path, core: int, seed: int, model: str = "secondlook/planted", *more: str
) -> dict[str, float]:
    """Run a study to its end, or read what it took; seconds of wall and processor."""
    kept = folder / f"{size.name}.json"
    if kept.is_file():
        return json.loads(kept.read_text("utf-8"))
    out = folder / size.name
    shutil.rmtree(out, ignore_errors=True)
    words = ["eval", "planted", "--model", model, "--reply-tokens", 16, "--no-diagnose", "--seed", seed]
    words += ["--critic", "self", "--critic", "none", "--critic", "vote", "--max-connections", IN_FLIGHT]
    words += ["--per-category", size.per_category, "--rounds", size.rounds, "--out", out, *more]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        ["taskset", "-c", str(core), *COMMAND, *map(str, words)],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    measured = {"seconds": wall, "processor_seconds": spent}
    kept.write_text(json.dumps(measured), encoding="utf-8")
    return measured


def serve(port: int) -> None:
    """A server on loopback that answers every request at once, in canned words."""
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "stop"}
    answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "canned", "usage": usage}

    async def complete(_: Request) -> JSONResponse:
        return JSONResponse({**answer, "choices": [choice]})

    listen(port, complete)


def listen(port: int, complete: Callable[[Request], Awaitable[JSONResponse]]) -> None:
    """Answer requests for completions on loopback."""
    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


@contextmanager
def serving(program: str = __file__) -> Iterator[str]:
    """The address of such a server, a process of its own that a program runs with --serve PORT."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, program, "--serve", str(port)])
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def spent_by(folder: Path) -> dict[str, float]:
    """Calls and tokens of a run, from its logs."""
    usages = [logged.transcript.usage for logged in read_logged(folder)]
    total = sum(usages, Usage())
    return {
        "calls": total.calls,
        "tokens_in": total.input,
        "tokens_out": total.output,
        "tokens_cached": total.cached,
    }


def compared(size: Size, pilot: Pilot, folder: Path, took: dict[str, float]) -> dict[str, Any]:
    """A study as it was planned and as it went."""
    study = study_of(pilot.evaluation, per_category=size.per_category, rounds=size.rounds)
    planned = plan(pilot, study, Site())
    predicted = {name: getattr(planned.total, name) for name in ("calls", "tokens_in", "tokens_out", "tokens_cached")}
    predicted |= {"seconds": planned.wall.seconds, "processor_seconds": planned.processor or 0.0}
    measured = spent_by(folder / size.name) | took
    return {
        **asdict(size),
        "questions": planned.arms[0].questions,
        "predicted": predicted,
        "measured": measured,
        "ratio": {name: predicted[name] / measured[name] for name in predicted if measured[name]},
        "intervals": {arm.name: arm.intervals for arm in planned.arms},
    }


def driver_costs(folder: Path, core: int, seed: int) -> dict[str, float]:
    """Processor seconds of the harness alone, by a run whose model answers at once: for a question and for a call."""
    with serving() as address:
        took = timed(DRIVER, folder, core, seed, "openai-api/local/canned", "--base-url", address)
    run = read_pilot(folder / DRIVER.name)
    times = run.times
    if times is None:
        raise ValueError("the driver's run was not made in one go; remove its folder")
    questions = [len(samples) for samples in run.samples.values()]
    calls = [sum(len(calls_of(one.transcript)) for one in samples) for samples in run.samples.values()]
    spans = list(run.spans.values())
    busy = times.processor[1] / times.asking  # of the machine's time, what this process got
    law = fit_clock(questions, calls, [span * busy for span in spans])
    return {
        **took,
        "questions": sum(questions),
        "calls": sum(calls),
        "question": law.question,
        "call": law.work,
        "report": times.processor[2] / sum(questions),
        "opening": times.processor[0],
        "arm": (times.asking - sum(spans)) * busy / len(spans),
    }


def bbq_counts(data: Path, assumed: dict[str, float]) -> list[dict[str, float]]:
    """What full BBQ would ask, by a count of the questions here: calls and tokens of each arm, for a question."""
    characters = assumed["characters_per_token"]
    evaluation = Evaluation(
        benchmark="bbq",
        endpoint=Endpoint(model="nobody/nowhere"),
        arms=("self", "none", "vote"),
        study={"rounds": int(assumed["rounds"]), "prompt": "bbq/binary-cot"},
        questions={"data": str(data), "per_category": 40},
    )
    found = []
    for name in evaluation.names:
        answer, critique = (round(assumed[part] * characters) for part in ("answer_tokens", "critique_tokens"))
        counted = count(0, evaluation.arm(name), evaluation.task(name), answer, critique)
        calls = [call for transcript in counted.transcripts for call in calls_of(transcript)]
        size = len(counted.transcripts)
        found.append(
            {
                "arm": name,
                "counted": size,
                "calls": len(calls) / size,
                "tokens_in": sum(call.input for call in calls) / characters / size,
                "tokens_reusable": sum(call.cached for call in calls) / characters / size,
                "tokens_out": sum(call.output for call in calls) / characters / size,
            }
        )
    return found


def keep(result: dict[str, Any], file: Path) -> int:
    """Write a result, and say how far its studies are from what was planned: the exit code."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    off = 0
    for study in result["studies"]:
        print(study["name"], {name: round(ratio, 3) for name, ratio in study["ratio"].items()})
        off += sum(abs(ratio - 1) > WITHIN for ratio in study["ratio"].values())
    print(f"{off} numbers are further than {WITHIN:.0%} from what was measured")
    return int(off > 0)


def options(description: str | None, name: str) -> argparse.ArgumentParser:
    """What a comparison of this name may be told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, default=Path("runs") / name, help="where the runs are kept")
    parser.add_argument("--out", type=Path, default=Path("results/scale") / f"{name}.json")
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    return parser


def main() -> int:
    parser = options(__doc__, "plan")
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the BBQ files")
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
        return 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    took = {size.name: timed(size, asked.folder, asked.core, asked.seed) for size in (*PILOTS, *STUDIES)}
    median = sorted(PILOTS, key=lambda size: took[size.name]["seconds"])[len(PILOTS) // 2]
    pilot = read_pilot(asked.folder / median.name)
    result = {
        "pilot": {**asdict(median), **spent_by(asked.folder / median.name), **took[median.name]},
        "pilots": [took[size.name] for size in PILOTS],
        "in_flight": IN_FLIGHT,
        "within": WITHIN,
        "studies": [compared(size, pilot, asked.folder, took[size.name]) for size in STUDIES],
        "driver": driver_costs(asked.folder, asked.core, asked.seed),
        "assumed": ASSUMED,
        "bbq": bbq_counts(asked.data, ASSUMED),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    return keep(result, asked.out)


if __name__ == "__main__":
    sys.exit(main())
