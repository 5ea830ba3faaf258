"""Matrices against the sentences they were made from, read out token by token."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from term_by_term import plain_softmax

from secondlook.construct.residual import Coordinates, ResidualLayout
from secondlook.construct.weights import BlockPlan, Head, Match, Move, Neuron, assemble
from secondlook.transformer import Transformer

LAYOUT = ResidualLayout({"a": 2, "b": 2, "c": 1}, {"d": 2, "e": 3})
ADDRESSES = {
    1: ["c", Coordinates("a", 1), Coordinates("b", 0, 1), Coordinates("e", 2)],
    2: ["a", "b", "d", Coordinates("e", 1)],
    3: ["e", Coordinates("e", 0, 3)],
}


def some_plan(draw):
    """A block of up to three heads and four units; terms and moves overlap as they like."""

    def address():
        return draw.choice(ADDRESSES[width])

    heads = []
    for _ in range(draw.randrange(4)):
        terms, moves = [], []
        for _ in range(draw.randrange(4)):
            width = draw.choice([1, 2, 3])
            query = address() if draw.random() < 0.5 else (address(), address())
            terms.append(Match(query, address(), draw.gauss(0, 1)))
        for _ in range(draw.randrange(1, 3)):
            width = draw.choice([1, 2, 3])
            moves.append(Move(address(), address(), draw.gauss(0, 1)))
        heads.append(Head("some", tuple(terms), tuple(moves)))
    units = []
    for _ in range(draw.randrange(5)):
        reads, writes = ([(draw.randrange(LAYOUT.width), draw.gauss(0, 1)) for _ in range(3)] for _ in range(2))
        units.append(Neuron(tuple(reads), tuple(writes)))
    return BlockPlan(tuple(heads), tuple(units), draw.choice(["softmax", "linear"]))


def at(token, address):
    return token[list(LAYOUT.where(address))]


def read_aloud(plan, stream, causal):
    """The tokens after a block, one sentence after the other; all heads read the stream as it was."""
    after = [token.clone() for token in stream]
    for head in plan.heads:
        for i, asking in enumerate(stream):
            seen = stream[: i + 1] if causal else stream
            scores = [
                sum(t.scale * sum(float(at(asking, q) @ at(other, t.key)) for q in t.queries) for t in head.score)
                for other in seen
            ]
            shares = plain_softmax(scores) if plan.attention == "softmax" else [score / len(seen) for score in scores]
            for share, other in zip(shares, seen, strict=True):
                for move in head.moves:
                    after[i][list(LAYOUT.where(move.target))] += share * move.scale * at(other, move.source)
    for token in after:
        values = [max(0.0, sum(factor * float(token[at]) for at, factor in unit.reads)) for unit in plan.units]
        for unit, value in zip(plan.units, values, strict=True):
            for coordinate, factor in unit.writes:
                token[coordinate] += factor * value
    return after


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), depth=st.integers(1, 3), causal=st.booleans())
def test_a_forward_pass_is_what_the_sentences_say(seed, depth, causal):
    draw = random.Random(seed)
    plans = [some_plan(draw) for _ in range(depth)]
    read_out, scale = draw.sample(ADDRESSES[2], draw.randrange(1, 4)), draw.gauss(0, 1)
    config, weights = assemble(LAYOUT, plans, read_out, causal=causal, read_scale=scale)
    tokens = torch.randn(1, 4, LAYOUT.inputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    stream = [torch.cat([token, torch.zeros(LAYOUT.width - LAYOUT.inputs)]) for token in tokens[0]]
    for plan in plans:
        stream = read_aloud(plan, stream, causal)
    expected = torch.stack([scale * sum(at(token, address) for address in read_out) for token in stream])

    made = Transformer.load(config, weights)(tokens)[0]
    assert (made - expected).norm() <= 1e-10 * (1 + expected.norm())
    assert [(b.heads, b.feedforward, b.attention) for b in config.blocks] == [
        (len(plan.heads), len(plan.units), plan.attention) for plan in plans
    ]
    # Temperatures are derived for scores as they are, not divided by √width.
    assert config.scale is False


def test_what_two_heads_carry_with_opposite_signs_cancels_to_the_last_bit():
    """The factor is in the values, so that both are rounded alike."""
    score = (Match("a", "b", 1.0),)
    heads = [Head("to", score, (Move("a", "d", s),)) for s in (math.pi / 7, -math.pi / 7)]
    config, weights = assemble(LAYOUT, [BlockPlan(tuple(heads))], ["d"])
    tokens = torch.randn(8, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert Transformer.load(config, weights)(tokens).eq(0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_have_the_precision_asked_for(dtype):
    plan = BlockPlan((Head("average", (), (Move("a", "d", math.pi),)),), (Neuron(((0, math.pi),), ((5, 1.0),)),))
    _, weights = assemble(LAYOUT, [plan], ["d"], dtype=dtype)
    assert {weight.dtype for weight in weights.values()} == {dtype}
    assert weights["blocks.0.feedforward.up.weight"][0, 0] == torch.tensor(math.pi, dtype=dtype)


@pytest.mark.parametrize("score", [(Match("c", "a", 1.0),), ()])
def test_slots_of_different_widths_cannot_be_coupled(score):
    plan = BlockPlan((Head("uneven", score, (Move("a", "d" if score else "e"),)),))
    with pytest.raises(ValueError, match=r"cannot couple .*: the slots differ in width"):
        assemble(LAYOUT, [plan], ["d"])
