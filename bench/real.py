"""A real model on this machine: the fast path against llama.cpp's server and one conversation at a time.

BBQ questions, a written critique of at most 160 tokens, two answers, by the same model file on the same processors in
one run. llama.cpp computes with the packed weights, the fast path with the same weights unpacked to float32. The
server is tried at several numbers of slots with a part of the questions, and asked all of them at its best. One
conversation at a time is transformers' own ``generate``, whose greedy transcripts are also the reference: where a
transcript differs, the first reply that does is looked at token by token, and counts as a tie if there the two tokens'
logits, computed alone, differ by no more than float32 rounds. Its weights are as transformers has them, not packed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import torch
from lockstep import Alone, distinct, outcome, timed

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.bbq.load import data_folder, load_items
from secondlook.benchmarks.bbq.sample import stratified
from secondlook.correction import Completion, Message, ModelCritic, ModelInfo, Plan, Transcript, Usage, run
from secondlook.local.lockstep import LockstepModel, run_lockstep
from secondlook.local.model import DecodingSettings, LocalModel, checkpoint
from secondlook.prompts.prompt import load_prompt

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from llama_cpp import serving

SERVER, ALONE, FACTOR, PACKED = 1.5, 4.0, 1.15, 1.5
TOUCHED = 8 * 2**30
"""Bytes written and freed before anything is timed: a virtual machine gets memory that it has not used yet from its
host, at 0.4 GB/s where this was measured, and that is not the engine's time."""
TIE = 1e-3
"""Difference of two logits (of the order of 20) below which float32 sums of 30 layers in another order swap them."""
SETTINGS = DecodingSettings(max_tokens=160)
PLAN = Plan(rounds=1)


@dataclass(frozen=True, slots=True)
class Served:
    """The model behind a server, as the loop's model."""

    client: httpx.AsyncClient
    info: ModelInfo

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        del prefill, seed
        turns = [{"role": message.role, "content": message.content} for message in messages]
        asked = {"messages": turns, "max_tokens": SETTINGS.max_tokens, "temperature": 0}
        reply = (await self.client.post("chat/completions", json=asked)).raise_for_status().json()
        (choice,), usage = reply["choices"], reply["usage"]
        spent = Usage(usage["prompt_tokens"], usage["completion_tokens"], calls=1)
        return Completion(choice["message"]["content"].strip(), spent, choice["finish_reason"])


def by_server(file: Path, slots: int, cases: Sequence[BBQCase], info: ModelInfo) -> tuple[float, int]:
    """Seconds for all cases with as many in flight as the server has slots, and tokens that came out."""
    written = 0

    async def hold_all(url: str, cases: Sequence[BBQCase]) -> None:
        limiter = anyio.CapacityLimiter(slots)
        async with httpx.AsyncClient(base_url=url, timeout=None) as client, anyio.create_task_group() as group:
            model = Served(client, info)

            async def hold(case: BBQCase) -> None:
                nonlocal written
                async with limiter:
                    transcript = await run(model, ModelCritic(model), case, PLAN)
                assert transcript.error is None, transcript.error
                written += sum(usage.output for usage in usages(transcript))

            for case in cases:
                group.start_soon(hold, case)

    with serving(file, slots) as url:
        anyio.run(hold_all, url, cases[:1])  # warms up
        written = 0
        seconds = timed(lambda: anyio.run(hold_all, url, cases))
    return seconds, written


def usages(transcript: Transcript) -> list[Usage]:
    """What each call of a conversation took, in order."""
    return [usage for r in transcript.rounds for usage in (r.usage, r.critique and r.critique.usage) if usage]


def tie(local: LocalModel, one: Transcript, other: Transcript) -> bool:
    """Whether two conversations part where two tokens are equally likely up to rounding."""
    at = next(n for n, (a, b) in enumerate(zip(one.messages, other.messages, strict=False)) if a != b)
    prompt = local.encode(one.messages[:at])
    said = (each.messages[at].content for each in (one, other))
    replies = [local.tokenizer(text, add_special_tokens=False)["input_ids"] for text in said]
    same = next((n for n, (a, b) in enumerate(zip(*replies, strict=False)) if a != b), min(map(len, replies)))
    with torch.inference_mode():
        logits = local.model(torch.tensor([prompt + replies[0][:same]])).logits[0, -1].float()
    best = logits.topk(2).values
    return bool(best[0] - best[1] < TIE)


def step(local: LocalModel) -> float:
    """Seconds of a decoding step of 16 conversations."""
    ids = torch.full((16, 1), 100)
    with torch.inference_mode():
        local.model(ids)
        return timed(lambda: [local.model(ids) for _ in range(10)]) / 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m", help="a name of `secondlook models`, or a GGUF file")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--alone", type=int, default=200, help="questions held one at a time")
    parser.add_argument("--slots", type=int, nargs="+", default=[4, 8, 16, 32])
    options = parser.parse_args()
    local = LocalModel(options.model, "cpu")
    items = stratified(load_items(data_folder()), None, 0, None, options.questions)
    cases = [BBQCase(item, load_prompt("bbq/binary-cot")) for item in items]
    torch.zeros(TOUCHED, dtype=torch.uint8).fill_(1)
    fast = LockstepModel(local, SETTINGS)
    run_lockstep(fast, ModelCritic(fast), cases[:2], PLAN)
    fast = LockstepModel(local, SETTINGS)  # whose counts begin at 0
    transcripts: list[Transcript] = []
    whole = timed(lambda: transcripts.extend(run_lockstep(fast, ModelCritic(fast), cases, PLAN)))
    written = sum(usage.output for transcript in transcripts for usage in usages(transcript))
    needed = distinct(local, transcripts, ())
    factor = fast.counts.prefilled / needed
    print(f"{len(cases)} questions, {torch.get_num_threads()} threads; per question {needed / len(cases):.0f} distinct")
    print(f"tokens in, {written / len(cases):.0f} out")
    print(f"fast path            {whole:7.1f} s {written / whole:6.1f} tokens/s out", flush=True)

    file = checkpoint(options.model)
    few = cases[: max(options.questions // 5, 1)]
    tried = {slots: by_server(file, slots, few, fast.info)[0] for slots in options.slots}
    slots = min(tried, key=lambda slots: tried[slots])
    print(f"server, {len(few)} questions: {', '.join(f'{n} slots {s:.1f} s' for n, s in tried.items())}", flush=True)
    served, out = by_server(file, slots, cases, fast.info)
    print(f"server, {slots:2d} slots     {served:7.1f} s {out / served:6.1f} tokens/s out", flush=True)

    slow: list[Transcript] = []
    plain = LocalModel(options.model, "cpu", packed=False)
    alone = Alone(plain, fast.info, SETTINGS)

    async def one_by_one() -> None:
        for case in cases[: options.alone]:
            slow.append(await run(alone, ModelCritic(alone), case, PLAN))

    singly = timed(lambda: anyio.run(one_by_one)) * len(cases) / len(slow)
    print(f"one at a time        {singly:7.1f} s (from {len(slow)} questions)")
    differ = [(one, other) for one, other in zip(slow, transcripts, strict=False) if one.messages != other.messages]
    ties = sum(tie(plain, one, other) for one, other in differ)
    faster = step(plain) / step(local)
    held = [
        outcome(f"a step with packed weights {faster:.1f} times as fast, at least {PACKED}", faster >= PACKED),
        outcome(f"{served / whole:.2f} times llama.cpp's server, at least {SERVER}", served >= SERVER * whole),
        outcome(f"{singly / whole:.1f} times one conversation at a time, at least {ALONE}", singly >= ALONE * whole),
        outcome(f"prefilled {factor:.3f} of the distinct tokens, at most {FACTOR}", factor <= FACTOR),
        outcome(f"{len(slow) - len(differ)} of {len(slow)} transcripts the same, {ties} ties", len(differ) == ties),
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
