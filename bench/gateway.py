"""The gateway beside going direct, LiteLLM's proxy and Portkey's gateway: the same upstream, on the same cores.

    python bench/gateway.py --litellm /opt/litellm/bin/litellm --portkey /opt/portkey/node_modules/.bin/gateway

Three parts. *one worker*: each program has a core of its own while it is measured; upstream and clients share another.
*N workers*: as many as there are cores, which all share; Portkey's is one process and not among them. *looked at*: as
the first, but every answer is examined and given again: by our gateway on its own, before the others by a client that
makes the three requests itself.

In every round each program is started alone, warmed up and asked: at a fixed rate, whether earlier requests were
answered or not, and with so many always in flight. Numbers are medians of the rounds, with the lowest and the highest;
what a program adds is counted against going direct in the same round. Memory: of all its processes, after that work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from traffic.client import Work, closed_loop, open_loop, percentile
from traffic.servers import Program, free_port, gateway, litellm, memory, portkey, running, upstream
from traffic.upstream import conversation

IN_FLIGHT, RATE = (50, 500), 100
MANY = 100_000
MEDIAN_MS, P99_MS, PER_SECOND, GROWTH, TIMES = 5.0, 25.0, 600.0, 0.05, 3.0

DIRECT, OURS, LITELLM, PORTKEY = "direct", "gateway", "LiteLLM", "Portkey"
Found = dict[str, float]


@dataclass(frozen=True)
class Part:
    """One comparison.

    Attributes:
        programs: That are measured, beside going direct.
        own: Cores of the program.
        rest: Cores of upstream and clients.
        bodies: Requests of one answer, where a client makes them.
        told: What our gateway's own head has to say of it.
        rate: Answers a second that are asked for at fixed times.
    """

    programs: Mapping[str, Program]
    own: set[int]
    rest: set[int]
    bodies: Sequence[bytes]
    told: bytes
    rate: float

    def work(self, name: str, port: int, headers: Sequence[str] = ()) -> Work:
        """What a client does for one answer; our gateway looks for itself."""
        ours = name == OURS
        return Work(port, self.bodies[:1] if ours else self.bodies, headers, self.told if ours else b"")


def parts(options: argparse.Namespace, behind: int, folder: Path) -> dict[str, Part]:
    """The comparisons, with the programs that are there."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("one core is not enough: a program needs one of its own; run it on a machine of two or more")
    own, rest, many = {cores[0]}, set(cores[1:]), options.workers or len(cores)

    def programs(policy: str, workers: int) -> dict[str, Program]:
        found = {OURS: gateway(behind, policy, workers)}
        if options.litellm:
            (beside := folder / f"{policy}-{workers}").mkdir(exist_ok=True)
            found[LITELLM] = litellm(options.litellm, behind, workers, beside)
        if options.portkey and workers == 1:
            found[PORTKEY] = portkey(options.portkey, behind)
        return found

    once, thrice = [conversation(0)], [conversation(answers) for answers in range(3)]
    passed, looked = b"x-secondlook-reason: never", b"x-secondlook-rounds: 1"
    return {
        "one worker": Part(programs("never", 1), own, rest, once, passed, RATE),
        f"{many} workers": Part(programs("never", many), set(cores), set(cores), once, passed, RATE),
        "looked at": Part(programs("always", 1), own, rest, thrice, looked, RATE / 3),
    }


def measure(work: Work, rate: float, seconds: float) -> Found:
    """One program at work."""
    seen = asyncio.run(open_loop(work, rate, seconds))
    found = {"median": percentile(seen.seconds, 0.5), "p99": percentile(seen.seconds, 0.99)}
    failed = seen.failed
    for many in IN_FLIGHT:
        found[f"{many}"], without = asyncio.run(closed_loop(work, many, seconds=seconds))
        failed += without
    return {**found, "failed": failed}


def rounds(part: Part, behind: Program, seconds: float, count: int) -> list[dict[str, Found]]:
    """Every program in turn, so often; another begins each round."""
    os.sched_setaffinity(0, part.rest)  # this process is the clients
    names, found = [DIRECT, *part.programs], list[dict[str, Found]]()
    with running(behind, part.rest):
        for number in range(count):
            seen: dict[str, Found] = {}
            for name in [*names[number % len(names) :], *names[: number % len(names)]]:
                program = part.programs.get(name)
                with running(program, part.own) if program else nullcontext() as process:
                    work = part.work(name, (program or behind).port, program.headers if program else ())
                    seen[name] = measure(work, part.rate, seconds)
                    if process is not None:
                        seen[name]["MB"] = memory(process)
                        print(f"    round {number + 1}, {program.name}: {told(seen[name])}", flush=True)  # type: ignore[union-attr]
            found.append(seen)
    return found


def told(found: Found) -> str:
    """Numbers in a line."""
    return ", ".join(f"{name} {value:,.1f}" for name, value in found.items())


def summary(found: Sequence[Mapping[str, Found]]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Median, lowest and highest of the rounds, for each program and number; times as what is added to going direct."""
    result: dict[str, dict[str, tuple[float, float, float]]] = {}
    for name in found[0]:
        for what in found[0][name]:
            values = [seen[name][what] for seen in found]
            if what in ("median", "p99") and name != DIRECT:
                values = [value - seen[DIRECT][what] for value, seen in zip(values, found, strict=True)]
            result.setdefault(name, {})[what] = (statistics.median(values), min(values), max(values))
    return result


def table(name: str, part: Part, found: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> None:
    """Say what was found."""
    heads = {"median": f"median at {part.rate:.0f}/s, ms", "p99": "p99, ms"}
    heads |= {f"{many}": f"{many} in flight, /s" for many in IN_FLIGHT} | {"MB": "MB", "failed": "failed"}
    print(f"\n{name}: {' | '.join(heads.values())}; times of programs are what they add")
    for program, numbers in found.items():
        label = part.programs[program].name if program in part.programs else DIRECT
        cells = [_cell(*numbers[what]) if what in numbers else "" for what in heads]
        print(f"  {label:18} {' | '.join(cells)}")


def _cell(middle: float, low: float, high: float) -> str:
    return f"{middle:,.1f} ({low:,.1f} to {high:,.1f})"


def verdict(what: str, good: bool) -> dict[str, Any]:
    """Say a bound and whether it holds."""
    print(f"  {what}: {'holds' if good else 'DOES NOT HOLD'}")
    return {"bound": what, "holds": good}


def bounds(found: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> list[dict[str, Any]]:
    """Bounds on our rate and on what we add, beside the programs that were measured."""

    def of(name: str, what: str) -> float:
        return found[name][what][0]

    def as_many(name: str, many: str) -> float:
        return of(OURS, many) / of(name, many) if of(name, many) else float("inf")

    held = []
    for many in map(str, IN_FLIGHT) if LITELLM in found else ():
        times = as_many(LITELLM, many)
        held.append(verdict(f"{many} in flight: at least {TIMES:g} times LiteLLM's rate ({times:.1f})", times >= TIMES))
    for many in map(str, IN_FLIGHT) if PORTKEY in found else ():
        times = as_many(PORTKEY, many)
        held.append(verdict(f"{many} in flight: no slower than Portkey's ({times:.2f} times its rate)", times >= 1))
    for what in ("median", "p99") if PORTKEY in found else ():
        ours, theirs = of(OURS, what), of(PORTKEY, what)
        held.append(verdict(f"added {what}: no more than Portkey's ({ours:.2f} and {theirs:.2f} ms)", ours <= theirs))
    return held


def flat(part: Part, behind: Program, many: int) -> tuple[Found, dict[str, Any]]:
    """Whether our memory stays what it is."""
    program = part.programs[OURS]
    work = part.work(OURS, program.port, program.headers)
    os.sched_setaffinity(0, part.rest)
    with running(behind, part.rest), running(program, part.own) as process:
        asyncio.run(closed_loop(work, IN_FLIGHT[0], answers=many // 10))
        before = memory(process)
        asyncio.run(closed_loop(work, IN_FLIGHT[0], answers=many))
        growth = memory(process) / before - 1
    print(f"\nmemory over {many:,} requests: {before:.1f} MB, then {100 * growth:+.1f}%")
    return {"MB": before, "growth": growth, "requests": many}, verdict(
        f"memory flat within {GROWTH:.0%}", abs(growth) <= GROWTH
    )


def missing(options: argparse.Namespace) -> None:
    """A line for each program that is not there; a program that is named and is not there ends the bench."""
    ways = {
        "litellm": "LiteLLM's proxy: pip install 'litellm[proxy]' in an environment of its own",
        "portkey": "Portkey's gateway: npm install @portkey-ai/gateway",
    }
    for name, way in ways.items():
        given = getattr(options, name)
        if given is None:
            print(f"not measured, {way}, and give its command with --{name}")
        elif shutil.which(shlex.split(given)[0]) is None:
            raise SystemExit(f"--{name} {given!r} is no program here; {way}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", metavar="COMMAND", help="that runs LiteLLM's proxy")
    parser.add_argument("--portkey", metavar="COMMAND", help="that runs Portkey's gateway")
    parser.add_argument("--workers", type=int, help="N; by default a worker a core")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of each number in each round")
    parser.add_argument("--many", type=int, default=MANY, help="requests over which memory is watched")
    parser.add_argument("--only", help="one part by its first letters, and nothing else")
    parser.add_argument("--out", type=Path, help="a file for the numbers, such as results/gateway/traffic.json")
    options = parser.parse_args()
    missing(options)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.2f} before it began; {options.rounds} rounds of {options.seconds:g} s")
    behind, held = upstream(free_port()), list[dict[str, Any]]()
    result: dict[str, Any] = {
        "command": "python bench/gateway.py --litellm … --portkey …",
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "load": round(load, 2),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "parts": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        every = parts(options, behind.port, Path(folder))
        for name, part in every.items():
            if options.only and not name.startswith(options.only):
                continue
            found = summary(rounds(part, behind, options.seconds, options.rounds))
            table(name, part, found)
            held += [{"part": name, **each} for each in bounds(found)]
            result["parts"][name] = {
                "rate": part.rate,
                "programs": {
                    part.programs[each].name if each in part.programs else each: found[each] for each in found
                },
            }
        if not options.only:
            passing, alone = result["parts"]["one worker"]["programs"][OURS], "one worker"
            for what, good in (
                (f"added median at most {MEDIAN_MS:g} ms", passing["median"][0] <= MEDIAN_MS),
                (f"added p99 at most {P99_MS:g} ms", passing["p99"][0] <= P99_MS),
                (f"at least {PER_SECOND:g} requests/s", passing[str(IN_FLIGHT[0])][0] >= PER_SECOND),
            ):
                held.append({"part": alone, **verdict(what, good)})
            result["memory"], kept = flat(every[alone], behind, options.many)
            held.append({"part": alone, **kept})
    result["bounds"] = held
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(not all(each["holds"] for each in held))


if __name__ == "__main__":
    sys.exit(main())
