"""Number of conversations that a machine holds at once: keys and values of what they said take its memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from secondlook.correction.case import Case
from secondlook.correction.chat import Message
from secondlook.correction.plan import Plan
from secondlook.local.cache import Batch, CachedPrefix
from secondlook.local.model import LocalModel

MOST = 256
"""Conversations held at once at most, as many as a batch has: more make no step cheaper, and a stopped run loses those
that it was holding."""
_SHARE = 0.5
"""Share of the free memory that conversations may take."""
_COPIES = 2
"""A batch is copied from what was kept, which is freed only then, and padded up to its longest conversation. At its
peak a run of SmolLM2-135M-Instruct took up to 1.6 times what `longest` reckons for its conversations (BBQ, one look and
three). With `_SHARE` there is room for four times."""
_CGROUP = Path("/sys/fs/cgroup")


def conversations_at_once(models: Sequence[tuple[LocalModel, int]], cases: Sequence[Case], plan: Plan) -> int:
    """Number of conversations whose keys and values fit the memory that is free now, a power of two up to 256.

    A power of two, since the shape of a batch decides how sums are rounded: a little more or less of free memory
    should seldom change replies.

    Args:
        models: The models that hold every conversation, each with the tokens that a reply may have.
        cases: The questions.
        plan: Rounds and variant.
    """
    if not cases:
        return MOST
    taken = sum(_COPIES * longest(model, tokens, cases, plan) * bytes_per_token(model) for model, tokens in models)
    held = int(_SHARE * min(_free(model.device) for model, _ in models) / taken)
    return min(MOST, 1 << max(held, 1).bit_length() - 1)


def longest(model: LocalModel, reply: int, cases: Sequence[Case], plan: Plan) -> int:
    """Tokens that the longest conversation may come to, with ``reply`` tokens in each of the model's turns.

    A tool's critique has no bound; it is reckoned with as a reply.
    """
    queries = model.encode_all([[Message("user", case.query(0))] for case in cases])
    case = cases[max(range(len(cases)), key=lambda index: len(queries[index]))]
    turns = [Message("system", case.system)] if case.system is not None else []
    turns += [*plan.history, Message("user", case.query(0))]
    rounds = 0 if plan.variant == "resample" else plan.rounds  # whose answers stand each in a conversation of its own
    asked = [
        text
        for index in range(rounds)
        for text in (
            case.check(index),
            case.reask(index + 1, repeat_query=plan.variant != "self-instruct", critiqued=True),
        )
    ]
    if plan.elicit != "line" or plan.decides.keep != "new":
        # Asked once more for an answer, or which one is kept: a turn that may show both answers, gone with its reply.
        asked += [case.check(rounds), case.query(0)]
    for text in asked:
        turns += [Message("assistant", "."), Message("user", text)]  # no template takes a turn without words
    return min(model.positions, len(model.encode(turns)) + (len(asked) + 1) * reply)


def bytes_per_token(model: LocalModel) -> int:
    """Bytes of one token's keys and values in all layers: those of one that was read."""
    ids = model.encode([Message("user", ".")])
    with torch.inference_mode():
        batch = Batch(model, [ids], [CachedPrefix()], len(ids))
        batch.read_prompts()
        (kept,) = batch.take([0], [ids])
    return sum(side.nbytes for layer in kept.layers if layer is not None for side in layer) // len(ids)


def _free(device: str) -> int:
    if device.startswith("cuda"):
        # What torch holds for later tensors is free to them.
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + spare
    free = int(psutil.virtual_memory().available)
    try:  # a container may have less than its machine
        limit, used = ((_CGROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
    except OSError:
        return free
    return free if limit == "max" else min(free, max(int(limit) - int(used), 0))
