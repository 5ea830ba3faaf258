"""Questions of the planted language, and the model that is asked them one call at a time: an oracle of this room."""

from dataclasses import dataclass, replace

import anyio

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.noise import Noise
from secondlook.correction import Completion, Usage, run
from secondlook.local.lockstep import LockstepModel
from secondlook.local.model import DecodingSettings, LocalModel
from secondlook.prompts.prompt import load_prompt

GREEDY = DecodingSettings(max_tokens=16)


def cases(count, prompt="bbq/binary-cot"):
    items = draw_items(-(-count // 11), seed=5)[:count]
    return [BBQCase(item, load_prompt(prompt), Noise(item.id, "fresh", 5).words) for item in items]


@dataclass
class Alone:
    """The model as the loop's model, one call at a time and nothing kept."""

    model: LocalModel
    settings: DecodingSettings = GREEDY

    @property
    def info(self):
        return LockstepModel(self.model, self.settings).info

    async def complete(self, messages, *, seed=None):
        settings = replace(self.settings, seed=seed and seed % 2**31)
        (reply,) = self.model.generate([self.model.encode(messages)], settings)
        return Completion(reply.text, Usage(reply.tokens_in, reply.tokens_out, calls=1), reply.finish)


def held_alone(model, critic, some, plan):
    async def one_by_one():
        return [bare(await run(model, critic, case, plan)) for case in some]

    return anyio.run(one_by_one)


def bare(transcript, **changes):
    """A transcript without what is documented to differ: seconds, cached tokens, and how sums of floats are rounded."""

    def without(part):
        shares = part.shares and {choice: round(share, 2) + 0.0 for choice, share in part.shares.items()}
        return replace(part, seconds=0.0, usage=replace(part.usage, cached=0), shares=shares)

    rounds = [
        replace(without(round_), critique=round_.critique and without(round_.critique)) for round_ in transcript.rounds
    ]
    return replace(transcript, rounds=tuple(rounds), **changes)
