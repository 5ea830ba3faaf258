"""Choice of the next token: the likeliest, or one drawn from a request's own stream of random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from secondlook.local.model import DecodingSettings, LocalModel

_HARMLESS = {
    *("eos_token_id", "pad_token_id", "bos_token_id", "transformers_version", "_from_model_config", "use_cache"),
    *("max_length", "max_new_tokens", "output_attentions", "output_hidden_states", "return_dict_in_generate"),
    *("do_sample", "temperature", "top_p", "top_k"),  # given by the settings
}
"""Generation settings of a checkpoint that do not change the choice of a token."""


class Chooser:
    """Chooses as transformers' ``generate`` does for a prompt alone: greedily, or by temperature and nucleus.

    Args:
        model: The model; its generation settings may name a repetition penalty.
        settings: Temperature and nucleus.

    Raises:
        ValueError: If the checkpoint's generation settings ask for anything else.
    """

    def __init__(self, model: LocalModel, settings: DecodingSettings) -> None:
        asked = model.model.generation_config.to_diff_dict()
        penalty = asked.pop("repetition_penalty", None) or 1.0
        if unknown := sorted(set(asked) - _HARMLESS):
            raise ValueError(
                f"{model.info.name} asks for {unknown[0]}={asked[unknown[0]]!r} in its generation_config.json, which "
                "the fast path does not do; remove it there, or run without the fast path"
            )
        self._penalty = RepetitionPenaltyLogitsProcessor(float(penalty)) if penalty != 1.0 else None
        self._sampled = settings.temperature > 0
        self._warp = LogitsProcessorList()
        # The order is that of `generate`: the nucleus is cut from what the temperature has made of the logits.
        if self._sampled and settings.temperature != 1.0:
            self._warp.append(TemperatureLogitsWarper(settings.temperature))
        if self._sampled and settings.top_p < 1.0:
            self._warp.append(TopPLogitsWarper(settings.top_p))

    def stream(self, seed: int | None, device: str) -> torch.Generator | None:
        """The random numbers of one request; ``None`` where nothing is drawn.

        Raises:
            ValueError: If a token is to be drawn and there is no seed.
        """
        if not self._sampled:
            return None
        if seed is None:
            raise ValueError("a sampled reply needs a seed, so that it does not depend on the company it is in")
        # The loop's seeds have 63 bits, of which Inspect's path hands on 31: both paths must draw the same tokens.
        return torch.Generator(device).manual_seed(seed % 2**31)

    def choose(self, logits: Tensor, said: Sequence[list[int]], streams: Sequence[torch.Generator | None]) -> list[int]:
        """The next token of every conversation.

        Args:
            logits: Shape ``(batch, vocabulary)``.
            said: The tokens of each conversation so far.
            streams: The random numbers of each.
        """
        if self._penalty is not None:
            longest = max(map(len, said))
            # What is said twice counts once: repeating the first token pads without a change.
            history = [[ids[0]] * (longest - len(ids)) + ids for ids in said]
            logits = self._penalty(torch.tensor(history, device=logits.device), logits)
        if not self._sampled:
            greedy: list[int] = logits.argmax(dim=-1).tolist()
            return greedy
        shares = self._warp(None, logits).softmax(dim=-1)
        drawn = [torch.multinomial(share, 1, generator=stream) for share, stream in zip(shares, streams, strict=True)]
        return [int(token) for token in drawn]
