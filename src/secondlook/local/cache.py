"""Keys and values kept between the calls of a conversation, and batches of conversations of any lengths.

A batch is laid out from the right: the last tokens of all conversations stand in the same column, and what a shorter
one leaves free on the left is masked. Nothing is ever free in between, so that distances in the batch are distances in
the text, as attention with a sliding window needs it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from secondlook.local.model import LocalModel


@dataclass(frozen=True, slots=True)
class CachedPrefix:
    """Keys and values of one conversation: a row of a batch's tensors.

    Attributes:
        ids: The tokens.
        layers: Of every layer the keys and the values, shape ``(rows, heads, columns, head size)``; ``None`` where a
            layer has none of its own.
        row: The conversation's row.
        start: The column of its first token.
    """

    ids: list[int] = field(default_factory=list)
    layers: Sequence[tuple[Tensor, Tensor] | None] = ()
    row: int = 0
    start: int = 0

    def served(self, prompt: list[int]) -> int:
        """Number of a prompt's tokens that need not be computed again: the longest common prefix.

        A prompt's last token is always computed, since what follows it is asked for.
        """
        return min(common([self.ids, prompt]), len(prompt) - 1)


def common(lists: list[list[int]]) -> int:
    """Length of the longest common prefix."""
    # What the first and the last in order begin with, all between them begin with.
    first, last = min(lists), max(lists)
    return next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))


class Batch:
    """Conversations side by side in one model, each with its own past.

    Args:
        model: The model.
        prompts: The tokens of each conversation, shape ``(batch, ragged)``.
        kept: What is already computed of each, at least all but the last ``new`` tokens.
        new: How many tokens of every prompt are computed, its last ones (all of a shorter prompt). That may be more
            than a conversation needs: computing a known token again costs what padding would.
        room: Tokens that may be appended to every conversation. On a processor, memory for them is taken only as they
            come.
    """

    def __init__(
        self,
        model: LocalModel,
        prompts: Sequence[list[int]],
        kept: Sequence[CachedPrefix],
        new: int,
        room: int = 0,
    ) -> None:
        self._model = model
        past = [max(len(ids) - new, 0) for ids in prompts]
        self._width = max(past)
        pad = model.tokenizer.pad_token_id
        self._new = [[pad] * (new - len(ids)) + ids[-new:] for ids in prompts]
        # The column in which each conversation begins.
        self._start = torch.tensor([self._width + new - len(ids) for ids in prompts], device=model.device)
        count = model.model.config.get_text_config().num_hidden_layers
        layers = [_RaggedLayer(index, kept, past, room) for index in range(count)]
        self._cache = Cache(layers=layers)
        # Only the last position's logits are read. A model that can be told so computes no vocabulary for the others.
        known = inspect.signature(model.model.forward).parameters
        self._options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        # transformers 5.24 calls it so, and warns of the other name.
        self._options["cache" if "cache" in known else "past_key_values"] = self._cache

    def read_prompts(self) -> Tensor:
        """Compute the new tokens of the prompts; gives the logits of what follows, shape ``(batch, vocabulary)``."""
        return self._forward(self._new)

    def read(self, tokens: Iterable[int]) -> Tensor:
        """Append one token to every conversation; gives the logits of what follows, shape ``(batch, vocabulary)``."""
        return self._forward([[token] for token in tokens])

    def take(self, rows: list[int], ids: list[list[int]]) -> list[CachedPrefix]:
        """Prefixes of some of the conversations, in order; ``ids`` are the tokens that were read of each."""
        everyone = len(rows) == len(self._start)
        index = None if everyone else torch.tensor(rows, device=self._start.device)
        layers = [layer.take(index) for layer in self._layers]
        # Laid out from the right, all end in the last column, wherever they begin.
        return [CachedPrefix(each, layers, row, self._width - len(each)) for row, each in enumerate(ids)]

    def keep(self, rows: list[int]) -> list[int]:
        """Go on with some of the conversations only; gives them in their new order.

        The last ones fill the places of those that are gone: moving a few costs less than copying all.
        """
        count = len(rows)
        free = sorted(set(range(count)).difference(rows))
        moved = [row for row in rows if row >= count]
        order = [*range(count)]
        for place, row in zip(free, moved, strict=True):
            order[place] = row
        self._start = self._start[torch.tensor(order, dtype=torch.long, device=self._start.device)]
        for layer in self._layers:
            layer.keep(count, free, moved)
        return order

    @property
    def _layers(self) -> list[_RaggedLayer]:
        layers: list[_RaggedLayer] = self._cache.layers
        return layers

    def _forward(self, rows: list[list[int]]) -> Tensor:
        ids = torch.tensor(rows, device=self._start.device)
        before, self._width = self._width, self._width + ids.shape[1]
        columns = torch.arange(self._width, device=ids.device)
        output: Any = self._model.model(
            input_ids=ids,
            attention_mask=(columns >= self._start[:, None]).long(),
            # Padding comes before position 0, and what has ended is read on beside what has not (scoring.py). Nobody
            # looks there, but a table of learned positions has no such rows.
            position_ids=(columns[before:] - self._start[:, None]).clamp(0, self._model.positions - 1),
            use_cache=True,
            **self._options,
        )
        # As `generate` does: tokens are chosen in float32, whatever the type of the weights.
        logits: Tensor = output.logits[:, -1].float()
        return logits


# Keeps all columns, also where the model attends to a sliding window: transformers' own layer for that drops what has
# left the window, and a prompt that goes back to an earlier token needs it again.
class _RaggedLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in buffers with room to grow.

    Args:
        layer: Index of the layer.
        kept: What is known of each conversation.
        past: How many tokens of it are used.
        room: Columns after those of the prompts.
    """

    def __init__(self, layer: int, kept: Sequence[CachedPrefix], past: list[int], room: int) -> None:
        super().__init__()
        self._layer, self._kept, self._past, self._room = layer, kept, past, room
        self._width = max(past)
        self._buffers: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        del args, kwargs
        states = key_states, value_states
        stop = self._width + key_states.shape[-2]
        # The model tells heads, head size and type only here, with its first keys and values.
        if not self._buffers:
            self._buffers = [self._filled(side, like, stop + self._room) for side, like in enumerate(states)]
            # All is copied by now: a reference to what was kept would hold the whole batch that it came from.
            self._kept, self.is_initialized = (), True
        if stop > self._buffers[0].shape[-2]:  # torch would drop what does not fit without a word
            raise ValueError(f"a batch with room for {self._buffers[0].shape[-2]} tokens is given {stop}")
        for buffer, new in zip(self._buffers, states, strict=True):
            buffer[:, :, self._width : stop] = new
        self._width = stop
        self.keys, self.values = (buffer[:, :, :stop] for buffer in self._buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self._width

    def take(self, index: Tensor | None) -> tuple[Tensor, Tensor] | None:
        if not self.is_initialized:
            return None
        taken = self.keys, self.values
        if index is not None:
            return taken[0][index], taken[1][index]
        # All rows are taken as they are, unless that would keep what nobody needs: room, and rows that are gone.
        whole = taken[0].untyped_storage().nbytes() == taken[0].nbytes
        return taken if whole else (taken[0].clone(), taken[1].clone())

    def keep(self, count: int, free: list[int], moved: list[int]) -> None:
        for buffer in self._buffers:
            for place, row in zip(free, moved, strict=True):
                buffer[place, :, : self._width] = buffer[row, :, : self._width]
        self._buffers = [buffer[:count] for buffer in self._buffers]

    def _filled(self, side: int, like: Tensor, columns: int) -> Tensor:
        buffer = like.new_empty(len(self._past), like.shape[1], columns, like.shape[3])
        for row, (kept, past) in enumerate(zip(self._kept, self._past, strict=True)):
            gap = self._width - past
            if gap:
                # What is masked is still multiplied by nought, and must be a number.
                buffer[row, :, :gap] = 0
            if past:
                source = kept.layers[self._layer]
                assert source is not None
                buffer[row, :, gap : self._width] = source[side][kept.row, :, kept.start : kept.start + past]
        return buffer


def check_keeps_positions(model: LocalModel) -> None:
    """See that a model's cache can be cut back to any prefix.

    Raises:
        ValueError: If it has layers that keep a running state instead of keys and values.
    """
    cut = {DynamicLayer, DynamicSlidingWindowLayer}
    # By exact type: layers that keep a running state inherit from these two.
    other = {type(layer).__name__ for layer in DynamicCache(config=model.model.config).layers if type(layer) not in cut}
    if other:
        raise ValueError(
            f"{model.info.name} keeps {', '.join(sorted(other))} besides keys and values, which cannot be cut back to "
            "a prefix; run it without the fast path"
        )
