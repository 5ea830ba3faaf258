"""Transformers of every shape that the tests look at, small and with weights that show an error anywhere."""

from dataclasses import replace

import pytest
import torch

from secondlook.transformer import Block, Transformer, TransformerConfig

PLAIN = TransformerConfig(inputs=3, outputs=2, width=6, blocks=(Block(2, 4, value_width=5, feedforward=7),))
GPT2 = TransformerConfig.uniform(
    3,
    Block(2, 4, feedforward=16),
    inputs=3,
    outputs=2,
    width=8,
    causal=True,
    activation="gelu",
    norm=True,
    bias=True,
    positions=9,
)
MIXED = replace(
    PLAIN,
    blocks=(
        Block(3, 2, attention="linear"),
        Block(0, 1, feedforward=5),
        Block(2, 4, value_width=1),
        Block(0, 1),
        Block(1, 3, value_width=7, feedforward=2, attention="linear"),
    ),
)
LINEAR = replace(PLAIN, blocks=(replace(PLAIN.blocks[0], attention="linear"),) * 2)
SUMMED = replace(LINEAR, blocks=(replace(LINEAR.blocks[0], division="none"),) * 2)
REPLACED = replace(GPT2, causal=False, blocks=(Block(2, 4, stream="replaced"),) * 2)
SHAPES = {
    "plain": PLAIN,
    "unscaled": replace(PLAIN, scale=False),
    "causal": replace(PLAIN, causal=True),
    "linear": LINEAR,
    "linear, causal": replace(LINEAR, causal=True),
    "linear, summed": SUMMED,
    "linear, summed, causal": replace(SUMMED, causal=True),
    "stream replaced": REPLACED,
    "mixed": MIXED,
    "mixed, causal, with norm": replace(MIXED, causal=True, norm=True),
    "like GPT-2": GPT2,
    "like GPT-2, linear": replace(GPT2, blocks=tuple(replace(block, attention="linear") for block in GPT2.blocks)),
}
shapes = pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
causal_shapes = pytest.mark.parametrize(
    "config", [c for c in SHAPES.values() if c.causal], ids=[n for n, c in SHAPES.items() if c.causal]
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64).to(dtype)


def lively(config, seed=0, std=0.6):
    """In double precision, with weights, gains and biases large enough that an error anywhere shows."""
    model, generator = Transformer(config).double(), seeded(seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights.normal_(std=std, generator=generator)
    return model
