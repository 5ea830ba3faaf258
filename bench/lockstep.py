"""The fast path: 1,000 samples, three second looks each by the subject itself, against one sample at a time.

One sample at a time is measured on some of the samples, twice: as other paths do it (every call reads its whole
prompt, with transformers' own ``generate``), and by the fast path itself with one conversation at a time, which keeps
what it has read. Both are taken in turns with the fast path; medians. Tokens prefilled, padding included, are held
against distinct ones: those of a conversation that the subject did not generate itself, each counted once, and a
beginning that all conversations share counted once altogether.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import torch

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.noise import Noise
from secondlook.correction import (
    Completion,
    Message,
    ModelCritic,
    ModelInfo,
    Plan,
    Transcript,
    Usage,
    as_history,
    run,
)
from secondlook.local.cache import common
from secondlook.local.lockstep import LockstepModel, run_lockstep
from secondlook.local.model import DecodingSettings, LocalModel
from secondlook.prompts.prompt import load_prompt

SAMPLES, ROUNDS, REPEATS, ALONE = 1000, 3, 3, 20
SECONDS, RATIO, FACTOR = 30.0, 10.0, 1.15
SETTINGS = DecodingSettings(max_tokens=16)


@dataclass(frozen=True, slots=True)
class Alone:
    """The subject as the loop's model, a prompt at a time."""

    model: LocalModel
    info: ModelInfo
    settings: DecodingSettings = SETTINGS

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        del prefill, seed
        (reply,) = self.model.generate([self.model.encode(messages)], self.settings)
        return Completion(reply.text, Usage(reply.tokens_in, reply.tokens_out, calls=1), reply.finish)


def timed(work: Callable[[], object]) -> float:
    """Wall time of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def distinct(model: LocalModel, transcripts: Sequence[Transcript], shared: Sequence[Message]) -> int:
    """Tokens that no path can do without prefilling."""
    total, first = 0, []
    for transcript in transcripts:
        asked = [index for index, message in enumerate(transcript.messages) if message.role == "user"]
        last = model.encode(transcript.messages[: asked[-1] + 1])
        rounds = transcript.rounds
        usages = [usage for r in rounds for usage in (r.usage, r.critique and r.critique.usage) if usage]
        # Of a reply, the last token is not read before the next prompt shows it; the last reply is in no prompt.
        total += len(last) - sum(usage.output - 1 for usage in usages[:-1] if usage.calls)
        first.append(model.encode(transcript.messages[: len(shared) + 1]))
    return total - common(first) * (len(first) - 1)


def outcome(what: str, good: bool) -> bool:
    """Say a bound and whether it holds."""
    print(f"{what}: {'holds' if good else 'DOES NOT HOLD'}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", default="planted-0.5m", help="a shipped checkpoint or a folder")
    local = LocalModel(parser.parse_args().subject, "cpu")
    size = sum(weight.numel() for weight in local.model.parameters())
    items = draw_items(-(-SAMPLES // 11), seed=1)[:SAMPLES]
    prompt, plan = load_prompt("bbq/binary-cot"), Plan(rounds=ROUNDS)
    cases = [BBQCase(item, prompt, Noise(item.id, "fresh", 1).words) for item in items]
    fast = LockstepModel(local, SETTINGS)
    alone = Alone(local, fast.info)
    transcripts: list[Transcript] = []
    slow: list[Transcript] = []

    def together() -> None:
        transcripts[:] = run_lockstep(fast, ModelCritic(fast), cases, plan)

    async def one_by_one() -> None:
        slow[:] = [await run(alone, ModelCritic(alone), case, plan) for case in cases[:ALONE]]

    def kept() -> None:
        run_lockstep(fast, ModelCritic(fast), cases[:ALONE], plan, chunk=1)

    kept()  # the first of all also warms up
    times = [
        (timed(together), timed(lambda: anyio.run(one_by_one)) * SAMPLES / ALONE, timed(kept) * SAMPLES / ALONE)
        for _ in range(REPEATS)
    ]
    whole, by_generate, by_itself = (statistics.median(column) for column in zip(*times, strict=True))
    same = sum(one.messages == other.messages for one, other in zip(slow, transcripts, strict=False))

    counted = LockstepModel(local, SETTINGS)
    examined = run_lockstep(counted, ModelCritic(counted), cases, plan)
    factor = counted.counts.prefilled / distinct(local, examined, ())

    history = as_history(examined[-3:])
    diverse = LockstepModel(local, SETTINGS)
    after = run_lockstep(diverse, ModelCritic(diverse), cases[:300], Plan("diverse", 1, history=history))
    history_factor = diverse.counts.prefilled / distinct(local, after, history)

    print(
        f"{SAMPLES} samples, {ROUNDS} rounds, critic self, {size / 1e6:.2f} M parameters, "
        f"{torch.get_num_threads()} threads"
    )
    print(
        f"in lock-step                        {whole:7.1f} s; median of {', '.join(f'{row[0]:.1f}' for row in times)}"
    )
    print(f"one sample at a time, generate      {by_generate:7.1f} s, {by_generate / whole:5.1f} times as much")
    print(f"one sample at a time, cache kept    {by_itself:7.1f} s, {by_itself / whole:5.1f} times as much")
    held = [
        outcome(f"below {SECONDS:.0f} s", whole < SECONDS),
        outcome(f"{RATIO:.0f} times as fast as one sample at a time", by_generate >= RATIO * whole),
        outcome(f"prefilled {factor:.3f} of the distinct tokens, at most {FACTOR}", factor <= FACTOR),
        outcome(f"with a shared history {history_factor:.3f}, at most {FACTOR}", history_factor <= FACTOR),
        outcome(f"{same} of {ALONE} conversations are the same", same == ALONE),
    ]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
