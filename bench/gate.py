"""Cost of a gate in the loop of one request: that of ``p_wrong``, which reads the most, beside none."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from lockstep import outcome

from secondlook.correction import Completion, ModelCritic, ModelInfo, Plan, Usage, run
from secondlook.correction.reply import likely_tokens
from secondlook.gate import Gate
from secondlook.gateway.conversation import OpenCase
from secondlook.prompts.prompt import load_prompt

GATED, TURNS, GATE_MS, CRITIQUE = 500, 3, 0.2, 200


def main() -> int:
    """Time the loop of a request with and without a gate, in turns."""
    words = ["word "] * CRITIQUE + ["Verdict", ":", " wrong"]
    told = [
        {"token": w, "logprob": -0.1, "top_logprobs": [{"token": w + "~" * k, "logprob": -k} for k in range(5)]}
        for w in words
    ]
    told[-1]["top_logprobs"] = [{"token": " wrong", "logprob": -0.4}, {"token": " correct", "logprob": -1.1}]
    text = "".join(words)
    body = {
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop", "logprobs": {"content": told}}]
    }
    file = load_prompt("own/binary-cot")

    class Model:
        info = ModelInfo("m")

        def __init__(self, likely: bool) -> None:
            self.likely = likely

        async def complete(self, *_: object, **__: object) -> Completion:
            return Completion(text, Usage(1, 1, calls=1), tokens=likely_tokens(body) if self.likely else ())

    async def timed(plan: Plan, examiner: Model) -> float:
        begun = time.process_time()
        for number in range(GATED):
            # As in the gateway, tokens are read of critiques alone.
            transcript = await run(Model(False), ModelCritic(examiner), OpenCase(str(number), "Why?", file), plan)
            assert len(transcript.rounds) == 2, transcript.error
        return 1000 * (time.process_time() - begun) / GATED

    plain, gated = Plan(elicit="auto"), Plan(elicit="auto", stop="gate", gate=Gate("p_wrong", 0.5), confidence=True)
    pairs = [(asyncio.run(timed(plain, Model(False))), asyncio.run(timed(gated, Model(True)))) for _ in range(TURNS)]
    without, with_gate = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"loop of a request, a critique of {CRITIQUE} tokens: {without:.3f} ms, under a gate {with_gate:.3f} ms")
    return 0 if outcome(f"a gate adds at most {GATE_MS:g} ms", with_gate - without <= GATE_MS) else 1


if __name__ == "__main__":
    sys.exit(main())
