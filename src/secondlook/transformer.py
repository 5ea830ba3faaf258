"""ONE transformer: trained in the laboratory, and loaded with weights written by hand in `construct`.

A token is a vector of features; `read_in` places it in the residual stream, blocks of attention and feed-forward add
to the stream, `read_out` projects it. Every switch of the paper's ablations is a field of the configuration, and
nothing else in the forward pass depends on the data's values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn

from secondlook.initial import Initial, initialise

Attention = Literal["softmax", "linear"]
Division = Literal["count", "none"]
Stream = Literal["kept", "replaced"]
Activation = Literal["relu", "gelu"]
_ACTIVATIONS = {"relu": torch.relu, "gelu": nn.functional.gelu}


@dataclass(frozen=True)
class Block:
    """One block: attention, then feed-forward, each added to the residual stream.

    Attributes:
        heads: Attention heads; 0 leaves attention out.
        head_width: Width of a head's queries and keys.
        value_width: Width of a head's values; `head_width` unless told otherwise.
        feedforward: Hidden units; 0 leaves the feed-forward network out.
        attention: `softmax`, or `linear`: scores are used as they are.
        division: Divisor of linear attention: the `count` of tokens attended to, or `none` for a plain sum, which the
            paper's released code takes.
        stream: Of a block without feed-forward network: whether the residual stream is `kept`, or `replaced` by its
            norm after attention, so that no block's output reaches the next but through that norm, as in the
            released code.
    """

    heads: int
    head_width: int
    value_width: int | None = None
    feedforward: int = 0
    attention: Attention = "softmax"
    division: Division = "count"
    stream: Stream = "kept"

    @property
    def values(self) -> int:
        """Width of a head's values."""
        return self.head_width if self.value_width is None else self.value_width


@dataclass(frozen=True)
class TransformerConfig:
    """The architecture, complete.

    Attributes:
        inputs: Features of a token.
        outputs: Features read out at every token.
        width: Width of the residual stream.
        blocks: The blocks, first to last.
        causal: Whether a token sees only itself and what came before it.
        activation: Activation of the feed-forward networks.
        norm: Pre-layer normalisation before every attention, every feed-forward and the read-out.
        bias: Whether linear maps have biases.
        positions: Learned position vectors, the longest sequence; 0 for none.
        scale: Whether scores are divided by √head_width.
        initial: Distribution of first weights; see `initialise`.

    Raises:
        ValueError: A size that no transformer can have.
    """

    inputs: int
    outputs: int
    width: int
    blocks: tuple[Block, ...]
    causal: bool = False
    activation: Activation = "relu"
    norm: bool = False
    bias: bool = False
    positions: int = 0
    scale: bool = True
    initial: Initial = "gpt2"

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is not a width; give at least 1")
        if not self.blocks:
            raise ValueError("blocks is empty; give at least one Block")
        if self.positions < 0:
            raise ValueError(f"positions {self.positions} is not a length; give 0 for none")
        _choose("activation", self.activation, tuple(_ACTIVATIONS))
        _choose("initial", self.initial, get_args(Initial))
        for number, block in enumerate(self.blocks):
            if min(block.heads, block.feedforward) < 0:
                raise ValueError(f"block {number} has a negative size: {block}; heads or feedforward 0 leaves them out")
            if block.heads and min(block.head_width, block.values) < 1:
                raise ValueError(f"block {number} has heads without width: {block}; give both widths at least 1")
            for name, kinds in (("attention", Attention), ("division", Division), ("stream", Stream)):
                _choose(name, getattr(block, name), get_args(kinds), f" of block {number}")
            if block.stream == "replaced" and (block.feedforward or not self.norm):
                raise ValueError(f"block {number} replaces the stream: that needs norm, and feedforward 0")

    @classmethod
    def uniform(cls, depth: int, block: Block, **fields: object) -> Self:
        """The same block `depth` times."""
        return cls(blocks=(block,) * depth, **fields)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Trace:
    """Trace of a forward pass.

    Attributes:
        outputs: [batch, tokens, outputs].
        residual: The residual stream after the read-in and after every block, each [batch, tokens, width].
        attention: Every block's attention, [batch, heads, tokens (asking), tokens (attended to)]; a block without heads
            has an axis of size 0.
    """

    outputs: Tensor
    residual: tuple[Tensor, ...]
    attention: tuple[Tensor, ...]


class MultiHeadAttention(nn.Module):
    """Heads in parallel; their values, projected, are summed.

    A head's score of token j at token i is ⟨query_i, key_j⟩, divided by √head_width if the configuration says so.
    Softmax attention normalises the scores over the tokens that i sees; linear attention divides them by their number,
    or by nothing.
    """

    def __init__(self, config: TransformerConfig, block: Block) -> None:
        super().__init__()
        self.heads, self.kind, self.causal = block.heads, block.attention, config.causal
        self.division = block.division
        self.factor = 1 / math.sqrt(block.head_width) if config.scale else 1.0
        self.query = nn.Linear(config.width, block.heads * block.head_width, bias=config.bias)
        self.key = nn.Linear(config.width, block.heads * block.head_width, bias=config.bias)
        self.value = nn.Linear(config.width, block.heads * block.values, bias=config.bias)
        self.out = nn.Linear(block.heads * block.values, config.width, bias=config.bias)

    def weights(self, query: Tensor, key: Tensor) -> Tensor:
        """Attention [batch, heads, tokens, tokens] from queries and keys [batch, heads, tokens, head_width]."""
        scores = (query if self.factor == 1 else query * self.factor) @ key.mT
        tokens = query.shape[-2]
        if self.causal:
            future = torch.ones(tokens, tokens, dtype=torch.bool, device=query.device).triu(1)
            scores = scores.masked_fill(future, -math.inf if self.kind == "softmax" else 0.0)
        if self.kind == "softmax":
            return scores.softmax(-1)
        if self.division == "none":
            return scores
        if self.causal:
            return scores / torch.arange(1, tokens + 1, device=scores.device)[:, None]
        return scores / tokens

    def forward(self, stream: Tensor) -> Tensor:
        """Output of attention that is added to the stream [batch, tokens, width]."""
        return self._merge(self.attend(*self.project(stream)))

    def trace(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """The same, with the weights."""
        query, key, value = self.project(stream)
        # Where `attend` takes torch's fused attention, this agrees with it up to rounding; elsewhere to the last bit.
        # The laboratory trains ensembles through here, since `vmap` has no rule for the fused one.
        weights = self.weights(query, key)
        return self._merge(weights @ value), weights

    def project(self, stream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of a stream, each [batch, heads, tokens, width of a head]."""
        maps = (self.query, self.key, self.value)
        # One product in place of three: a third of the passes over the stream, and over its gradient.
        weight = torch.cat([linear.weight for linear in maps])
        bias = None if self.query.bias is None else torch.cat([linear.bias for linear in maps])
        widths = [linear.out_features for linear in maps]
        query, key, value = torch.split(nn.functional.linear(stream, weight, bias), widths, -1)
        return self._split(query), self._split(key), self._split(value)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Values carried to every token, [batch, heads, tokens, width of a head's values]."""
        # The fused one divides by √head_width, as `factor` does, and applies its own causal mask.
        if self.kind == "softmax" and self.factor != 1:
            return nn.functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        # Unscaled scores are a construction's: they reach 10⁵, and its bounds are derived for these operations.
        return self.weights(query, key) @ value

    def _merge(self, carried: Tensor) -> Tensor:
        added: Tensor = self.out(carried.transpose(-3, -2).flatten(-2))
        return added

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, x.shape[-1] // self.heads).transpose(-3, -2)


class FeedForward(nn.Module):
    """One hidden layer, at every token alike."""

    def __init__(self, config: TransformerConfig, block: Block) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, block.feedforward, bias=config.bias)
        self.down = nn.Linear(block.feedforward, config.width, bias=config.bias)
        self.activation = _ACTIVATIONS[config.activation]

    def forward(self, stream: Tensor) -> Tensor:
        """Output of the network that is added to the stream [batch, tokens, width]."""
        added: Tensor = self.down(self.activation(self.up(stream)))
        return added


class TransformerBlock(nn.Module):
    """Attention and feed-forward on the residual stream; either may be absent."""

    def __init__(self, config: TransformerConfig, block: Block) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config, block) if block.heads else None
        self.feedforward = FeedForward(config, block) if block.feedforward else None
        self.norm_attention = _norm(config) if block.heads else nn.Identity()
        self.norm_feedforward = _norm(config) if block.feedforward or block.stream == "replaced" else nn.Identity()

    def forward(self, stream: Tensor) -> Tensor:
        """The stream [batch, tokens, width] after the block."""
        if self.attention is not None:
            stream = stream + self.attention(self.norm_attention(stream))
        return self._feed(stream)

    def trace(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        """The same, with the block's attention."""
        tokens = stream.shape[-2]
        weights = stream.new_zeros(*stream.shape[:-2], 0, tokens, tokens)
        if self.attention is not None:
            added, weights = self.attention.trace(self.norm_attention(stream))
            stream = stream + added
        return self._feed(stream), weights

    def _feed(self, stream: Tensor) -> Tensor:
        normed: Tensor = self.norm_feedforward(stream)  # the stream itself, if it is kept and there is no network
        return normed if self.feedforward is None else stream + self.feedforward(normed)


class Transformer(nn.Module):
    """Tokens [batch, tokens, inputs] to read-outs [batch, tokens, outputs].

    Args:
        config: The architecture.
        generator: Source of the first weights; see `initialise`.
    """

    def __init__(self, config: TransformerConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.read_in = nn.Linear(config.inputs, config.width, bias=config.bias)
        self.positions = nn.Parameter(torch.empty(config.positions, config.width)) if config.positions else None
        self.blocks = nn.ModuleList(TransformerBlock(config, block) for block in config.blocks)
        self.norm_out = _norm(config)
        self.read_out = nn.Linear(config.width, config.outputs, bias=config.bias)
        if not self.read_in.weight.is_meta:  # `load` has weights of its own, and drawing on meta takes as long
            initialise(self, len(config.blocks), config.initial, generator)

    @classmethod
    def load(cls, config: TransformerConfig, weights: dict[str, Tensor]) -> Self:
        """A transformer with a copy of these weights, in their precision, without drawing any first.

        Raises:
            ValueError: Weights that are missing, unknown, of another shape, no floats, or of several precisions.
        """
        with torch.device("meta"):
            model = cls(config)
        try:
            # Copies, because a file's own memory is aligned as chance has it, and kernels round accordingly.
            model.load_state_dict({name: weight.detach().clone() for name, weight in weights.items()}, assign=True)
        except RuntimeError as error:
            raise ValueError(f"weights do not fit; take them and the configuration from one model: {error}") from error
        if len(precisions := {str(weight.dtype) for weight in weights.values()}) > 1:
            raise ValueError(f"weights are {' and '.join(sorted(precisions))}; convert them to one of these")
        return model

    def forward(self, tokens: Tensor) -> Tensor:
        """Read out every token.

        Raises:
            ValueError: Tokens that are not [batch, tokens, inputs], of another precision than the weights, or more of
                them than there are positions.
        """
        stream = self._embed(tokens)
        for block in self.blocks:
            stream = block(stream)
        return self._read(stream)

    def trace(self, tokens: Tensor) -> Trace:
        """The same forward pass, keeping every residual stream and all attention."""
        residual, attention = [self._embed(tokens)], []
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            stream, weights = block.trace(residual[-1])
            residual.append(stream)
            attention.append(weights)
        return Trace(self._read(residual[-1]), tuple(residual), tuple(attention))

    def _embed(self, tokens: Tensor) -> Tensor:
        if tokens.ndim != 3 or tokens.shape[-1] != self.config.inputs:
            shape = f"[batch, tokens, {self.config.inputs}]"
            raise ValueError(f"tokens have shape {list(tokens.shape)}, this transformer reads {shape}")
        length, most = tokens.shape[1], self.config.positions
        if self.positions is not None and length > most:
            raise ValueError(f"{length} tokens, but only {most} positions: shorten the context")
        if tokens.dtype != (expected := self.read_in.weight.dtype):
            raise ValueError(f"tokens are {tokens.dtype}, the weights {expected}; convert one: tokens.to({expected})")
        stream: Tensor = self.read_in(tokens)
        return stream if self.positions is None else stream + self.positions[:length]

    def _read(self, stream: Tensor) -> Tensor:
        outputs: Tensor = self.read_out(self.norm_out(stream))
        return outputs


def _choose(name: str, value: str, known: tuple[str, ...], where: str = "") -> None:
    if value not in known:
        raise ValueError(f"{name} {value!r}{where} is unknown; known: {', '.join(known)}")


def _norm(config: TransformerConfig) -> nn.Module:
    return nn.LayerNorm(config.width, bias=config.bias) if config.norm else nn.Identity()
