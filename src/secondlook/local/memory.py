"""Number of conversations that a machine holds at once: keys and values of what they said take its memory."""

from __future__ import annotations

from collections.abc import Sequence

import psutil
import torch

from secondlook.correction.case import Case
from secondlook.correction.chat import Message
from secondlook.correction.plan import Plan
from secondlook.local.model import LocalModel

MOST = 512
"""Conversations held at once at most: more of them do not make a step cheaper."""
_SHARE = 0.5
"""Share of the free memory that conversations may take."""
_COPIES = 2
"""A batch is copied from what was kept, which is freed only then, and padded up to its longest conversation. At its
peak a run of SmolLM2-135M-Instruct took up to 1.6 times what its conversations could have come to, had every reply
been as long as it may be; mostly they are shorter (BBQ, one look and three)."""


def conversations_at_once(models: Sequence[tuple[LocalModel, int]], cases: Sequence[Case], plan: Plan) -> int:
    """Number of conversations whose keys and values fit the memory that is free now, a power of two up to 512.

    A power of two, since the shape of a batch decides how sums are rounded: a little more or less of free memory must
    not change replies.

    Args:
        models: The models that hold every conversation, each with the tokens that a reply may have.
        cases: The questions.
        plan: Rounds and variant.
    """
    if not cases:
        return MOST
    taken = sum(_COPIES * longest(model, tokens, cases, plan) * bytes_per_token(model) for model, tokens in models)
    fitting = int(_SHARE * _free(models[0][0].device) / taken)
    return min(MOST, 1 << max(fitting, 1).bit_length() - 1)


def longest(model: LocalModel, reply: int, cases: Sequence[Case], plan: Plan) -> int:
    """Tokens that the longest conversation may come to, with ``reply`` tokens in each of the model's turns."""
    case = max(cases, key=lambda case: len(case.query(0)))
    turns = [Message("system", case.system)] if case.system is not None else []
    turns += [*plan.history, Message("user", case.query(0))]
    rounds = 0 if plan.variant == "resample" else plan.rounds  # whose answers stand each in a conversation of its own
    for index in range(rounds):
        asked = case.reask(index + 1, repeat_query=plan.variant != "self-instruct", critiqued=True)
        for text in (case.check(index), asked):
            turns += [Message("assistant", ""), Message("user", text)]
    return min(model.positions, len(model.encode(turns)) + (2 * rounds + 1) * reply)


def bytes_per_token(model: LocalModel) -> int:
    """Bytes of one token's keys and values in all layers."""
    config = model.model.config.get_text_config()
    heads: int = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * int(config.num_hidden_layers) * heads * size * int(model.model.dtype.itemsize)


def _free(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
