"""The loop's own cost, model excluded: 1,000 questions at once, three second looks each, by the model itself.

The model answers at once but yields to the others first, as any real call does. What is left after taking
away the cost of awaiting the same calls without the loop is the loop's own: it must stay below 1 ms a round.
"""

# ruff: noqa: D101, ARG001, ARG002  the methods are those of the protocols, and do as little as they can

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel

from secondlook.correction import Completion, Message, ModelCritic, ModelInfo, Plan, Usage, Verdict, run

SAMPLES, ROUNDS, REPEATS = 1000, 3, 5
LIMIT = 1000.0  # microseconds a round
CALLS = 2 * ROUNDS + 1
TEXT = "word " * 100


@dataclass(frozen=True, slots=True)
class InstantModel:
    info: ModelInfo = ModelInfo("instant")  # noqa: RUF009  immutable
    reply: Completion = Completion(TEXT, Usage(700, 100, calls=1))  # noqa: RUF009  immutable

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        await anyio.lowlevel.checkpoint()
        return self.reply


@dataclass(frozen=True, slots=True)
class BenchCase:
    sample: str
    prompt: str = "bench/plain@0"
    system: str | None = TEXT

    def query(self, round_index: int) -> str:
        return TEXT

    def check(self, round_index: int) -> str:
        return TEXT

    def reask(self, round_index: int, *, repeat_query: bool, critiqued: bool) -> str:
        return TEXT

    def feedback(self, verdict: Verdict) -> str:
        return verdict

    def verdict(self, critique: str) -> Verdict:
        return "unclear"

    def grade(self, answer: str) -> bool | None:
        return None


async def timed(one: Callable[[str], Coroutine[Any, Any, None]]) -> float:
    """Seconds for all samples at once."""
    start = time.perf_counter()
    async with anyio.create_task_group() as group:
        for index in range(SAMPLES):
            group.start_soon(one, f"s{index}")
    return time.perf_counter() - start


async def measure() -> tuple[float, float]:
    """Median seconds with the loop, and of the model calls alone, taken in turns."""
    model = InstantModel()
    critic, plan = ModelCritic(model), Plan(rounds=ROUNDS, max_tokens=10**9, max_seconds=3600)

    async def with_loop(sample: str) -> None:
        transcript = await run(model, critic, BenchCase(sample), plan)
        assert transcript.usage.calls == CALLS

    async def calls_alone(sample: str) -> None:
        for _ in range(CALLS):
            await model.complete(())

    whole, calls = [], []
    for _ in range(REPEATS):
        whole.append(await timed(with_loop))
        calls.append(await timed(calls_alone))
    return statistics.median(whole), statistics.median(calls)


def main() -> int:
    whole, calls = (1e6 * seconds / (SAMPLES * ROUNDS) for seconds in anyio.run(measure))
    own = whole - calls
    print(f"{SAMPLES} samples at once, {ROUNDS} rounds, {CALLS} calls each; median of {REPEATS}")
    print(f"model calls alone {calls:8.1f} µs a round")
    print(f"with the loop     {whole:8.1f} µs a round, {whole / calls:.1f} times as much")
    print(f"the loop's own    {own:8.1f} µs a round: {'below' if own < LIMIT else 'NOT below'} 1 ms")
    return int(own >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
