"""Stands in for a local model where conversations are to be made by a rule."""

from collections.abc import Callable
from dataclasses import dataclass, field

from secondlook.correction.chat import Message
from secondlook.local.model import DecodingSettings, Generated


@dataclass
class Player:
    """Replies by a function of the conversation; its token ids are the place of it."""

    reply: Callable[[list[Message]], str]
    talks: list[list[Message]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    settings: list[DecodingSettings] = field(default_factory=list)

    def encode(self, messages):
        self.talks.append(list(messages))
        # Lengths differ, so that batches are sorted and replies must find their way back.
        return [len(self.talks) - 1] * (1 + len(self.talks) * 7 % 5)

    def generate(self, prompts, settings):
        self.settings.append(settings)
        self.batches.append(len(prompts))
        assert [len(prompt) for prompt in prompts] == sorted(len(prompt) for prompt in prompts)
        return [Generated(self.reply(self.talks[ids[0]]), len(ids), 3, "stop") for ids in prompts]
