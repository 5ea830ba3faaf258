"""Configurations of the one transformer: what is repeated, and what is refused."""

from dataclasses import replace

import pytest

from secondlook.transformer import Block, TransformerConfig
from transformer_shapes import GPT2, PLAIN


@pytest.mark.parametrize(
    ("change", "value", "remedy"),
    [
        ({"inputs": 0}, "inputs 0", "at least 1"),
        ({"outputs": -1}, "outputs -1", "at least 1"),
        ({"width": 0}, "width 0", "at least 1"),
        ({"blocks": ()}, "blocks is empty", "at least one Block"),
        ({"positions": -1}, "positions -1", "0 for none"),
        ({"activation": "tanh"}, "'tanh'", "relu, gelu"),
        ({"blocks": (Block(1, 1), Block(1, 1, attention="cosine"))}, "'cosine' of block 1", "softmax, linear"),
        ({"blocks": (Block(1, 1, division="sum"),)}, "'sum' of block 0", "count, none"),
        ({"blocks": (Block(1, 1, stream="lost"),)}, "'lost' of block 0", "kept, replaced"),
        ({"blocks": (Block(1, 1, stream="replaced"),)}, "block 0", "needs norm, and feedforward 0"),
        ({"norm": True, "blocks": (Block(1, 1, feedforward=3, stream="replaced"),)}, "block 0", "feedforward 0"),
        ({"initial": "zeros"}, "'zeros'", "gpt2, gpt2-inside, torch"),
        ({"blocks": (Block(-1, 1),)}, "heads=-1", "0 leaves them out"),
        ({"blocks": (Block(0, 1, feedforward=-2),)}, "feedforward=-2", "0 leaves them out"),
        ({"blocks": (Block(1, 1), Block(1, 0))}, "block 1", "at least 1"),
        ({"blocks": (Block(2, 3, value_width=0),)}, "value_width=0", "at least 1"),
    ],
)
def test_a_transformer_that_cannot_be_is_refused(change, value, remedy):
    with pytest.raises(ValueError, match=remedy) as error:
        replace(PLAIN, **change)
    assert value in str(error.value)


def test_uniform_repeats_a_block():
    assert [block.heads for block in GPT2.blocks] == [2, 2, 2]
    assert TransformerConfig.uniform(1, PLAIN.blocks[0], inputs=3, outputs=2, width=6) == PLAIN
    with pytest.raises(ValueError, match="at least one Block"):
        TransformerConfig.uniform(0, Block(1, 1), inputs=1, outputs=1, width=1)
