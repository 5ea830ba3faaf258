"""The one transformer, against attention of others, and against itself written token by token."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from secondlook.transformer import Block, MultiHeadAttention, Transformer, TransformerConfig
from transformer_shapes import GPT2, SHAPES, causal_shapes, draw, lively, shapes


def token_by_token(config, state, sequence):
    """The read-outs of one sequence [tokens, inputs] as the definition says: one token, one head, one score a time."""

    def linear(name, x):
        return state[f"{name}.weight"] @ x + state.get(f"{name}.bias", 0)

    def norm(name, x):
        if not config.norm:
            return x
        x = (x - x.mean()) / math.sqrt(x.var(correction=0) + 1e-5)
        return state[f"{name}.weight"] * x + state.get(f"{name}.bias", 0)

    def activate(x):
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2 if config.activation == "gelu" else x.clamp(min=0)

    def attend(name, block, seen, asking):
        query, heads = linear(f"{name}.query", asking), []
        for head in range(block.heads):
            own = slice(head * block.head_width, (head + 1) * block.head_width)
            carried = slice(head * block.values, (head + 1) * block.values)
            scores = [float(query[own] @ linear(f"{name}.key", token)[own]) for token in seen]
            if config.scale:
                scores = [score / math.sqrt(block.head_width) for score in scores]
            if block.attention == "softmax":
                scores = [math.exp(score) for score in scores]
                shares = [score / sum(scores) for score in scores]
            elif block.division == "count":
                shares = [score / len(seen) for score in scores]
            else:
                shares = scores
            values = [linear(f"{name}.value", token)[carried] for token in seen]
            heads.append(sum(share * value for share, value in zip(shares, values, strict=True)))
        return linear(f"{name}.out", torch.cat(heads))

    stream = [linear("read_in", token) for token in sequence]
    if config.positions:
        stream = [token + state["positions"][place] for place, token in enumerate(stream)]
    for number, block in enumerate(config.blocks):
        name = f"blocks.{number}"
        if block.heads:
            normed = [norm(f"{name}.norm_attention", token) for token in stream]
            seen = [normed[: place + 1] if config.causal else normed for place in range(len(stream))]
            stream = [
                token + attend(f"{name}.attention", block, seen[place], normed[place])
                for place, token in enumerate(stream)
            ]
        if block.stream == "replaced":
            stream = [norm(f"{name}.norm_feedforward", token) for token in stream]
        if block.feedforward:
            hidden = [linear(f"{name}.feedforward.up", norm(f"{name}.norm_feedforward", token)) for token in stream]
            stream = [
                token + linear(f"{name}.feedforward.down", activate(x)) for token, x in zip(stream, hidden, strict=True)
            ]
    return torch.stack([linear("read_out", norm("norm_out", token)) for token in stream])


@shapes
def test_a_forward_pass_is_its_definition(config):
    model, tokens = lively(config), draw(2, 7, 3, seed=1)
    expected = torch.stack([token_by_token(config, model.state_dict(), sequence) for sequence in tokens])
    assert expected.std() > 0.3
    torch.testing.assert_close(model(tokens), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("value_width", [None, 3])
def test_softmax_attention_is_torchs(causal, scale, value_width):
    config = replace(GPT2, causal=causal, scale=scale, blocks=(Block(2, 4, value_width),))
    (block,), stream = lively(config).blocks, draw(2, 6, 8, seed=1)

    def heads(x):
        return torch.stack(x.chunk(2, dim=-1), dim=1)

    query, key, value = (heads(getattr(block.attention, name)(stream)) for name in ("query", "key", "value"))
    expected = nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=causal, scale=None if scale else 1.0
    )
    carried = block.attention.out(torch.cat([*expected.unbind(1)], dim=-1))
    torch.testing.assert_close(block.attention.trace(stream)[0], carried)
    torch.testing.assert_close(block.attention(stream), carried)


def test_a_whole_layer_of_heads_is_torchs_with_the_same_weights():
    (block,), stream = lively(replace(GPT2, causal=False, blocks=(Block(4, 2),))).blocks, draw(3, 6, 8, seed=1)
    ours, theirs = block.attention, nn.MultiheadAttention(8, 4, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    expected = theirs(stream, stream, stream, average_attn_weights=False)
    torch.testing.assert_close(ours.trace(stream), expected)


def test_linear_attention_by_hand():
    """Two tokens, one head, unit weights: scores 1·1, 1·2, 2·1, 2·2, divided by the number of tokens seen."""
    config = TransformerConfig(1, 1, 1, (Block(1, 1, attention="linear"),))
    for causal, expected in ((False, [[0.5, 1], [1, 2]]), (True, [[1, 0], [1, 2]])):
        attention = MultiHeadAttention(replace(config, causal=causal), config.blocks[0])
        for weights in attention.parameters():
            nn.init.ones_(weights)
        added, weights = attention.trace(torch.tensor([[[1.0], [2.0]]]))
        assert weights.tolist() == [[expected]]
        assert added.tolist() == [[[first + 2 * second] for first, second in expected]]


@causal_shapes
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_later_tokens_never_reach_back(config, dtype):
    model, tokens = lively(config).to(dtype), draw(2, 9, 3, dtype=dtype)
    before = model(tokens)
    for place in range(1, 9):
        changed = tokens.clone()
        changed[:, place:] = 10 * draw(2, 9 - place, 3, seed=place, dtype=dtype)
        after = model(changed)
        assert torch.equal(after[:, :place], before[:, :place])
        assert not torch.equal(after[:, place], before[:, place])


@causal_shapes
def test_a_prefix_answers_as_the_whole_does(config):
    model, tokens = lively(config), draw(2, 9, 3)
    for length in range(1, 9):
        torch.testing.assert_close(model(tokens[:, :length]), model(tokens)[:, :length], rtol=1e-12, atol=1e-12)


@shapes
def test_a_trace_is_the_forward_pass_taken_apart(config):
    model, tokens = lively(config), draw(2, 7, 3)
    trace = model.trace(tokens)
    torch.testing.assert_close(trace.outputs, model(tokens), rtol=1e-12, atol=1e-12)
    if not config.scale:
        assert torch.equal(trace.outputs, model(tokens))
    assert len(trace.residual) == len(config.blocks) + 1
    assert torch.equal(trace.outputs, model.read_out(model.norm_out(trace.residual[-1])))
    positions = 0 if model.positions is None else model.positions[:7]
    assert torch.equal(trace.residual[0], model.read_in(tokens) + positions)
    steps = zip(model.blocks, config.blocks, trace.attention, trace.residual, trace.residual[1:], strict=False)
    for block, shape, attention, stream, then in steps:
        assert attention.shape == (2, shape.heads, 7, 7)
        if config.causal:
            assert not attention.triu(1).any()
        if shape.heads:
            if shape.attention == "softmax":
                torch.testing.assert_close(attention.sum(-1), torch.ones_like(attention[..., 0]))
            value = block.attention.value(block.norm_attention(stream)).unflatten(-1, (shape.heads, shape.values))
            carried = torch.einsum("bhij,bjhv->bihv", attention, value)
            stream = stream + block.attention.out(carried.flatten(-2))
        if shape.feedforward:
            stream = stream + block.feedforward(block.norm_feedforward(stream))
        if shape.stream == "replaced":
            stream = block.norm_feedforward(stream)
        torch.testing.assert_close(then, stream)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 0), (torch.float32, 1e-5), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("name", ["linear, causal", "mixed", "like GPT-2"])
def test_every_precision_computes_the_same(name, dtype, error):
    """Over 600 tokens: more than bfloat16 can count."""
    config = replace(SHAPES[name], positions=600 if SHAPES[name].positions else 0)
    model, tokens = lively(config), draw(1, 600, 3)
    exact, outputs = model(tokens), model.to(dtype)(tokens.to(dtype))
    assert outputs.dtype == model.trace(tokens.to(dtype)).attention[0].dtype == dtype
    assert (outputs - exact).norm() <= error * exact.norm()


class Plain(nn.Module):
    """Attention written out, as the laboratory does it: the fused one has no rule for vmap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens):
        return self.model.trace(tokens).outputs


@shapes
def test_an_ensemble_is_its_members(config):
    """Trained together by vmap over stacked weights, as the laboratory does, or one by one: the same numbers."""
    solo = [lively(config, seed, std=0.3) for seed in range(3)]
    together, _ = stack_module_state(solo)
    start = together = {name: weights.detach() for name, weights in together.items()}
    skeleton = Plain(Transformer(config).to("meta"))

    def run(weights, tokens):
        named = {f"model.{name}": weight for name, weight in weights.items()}
        return functional_call(skeleton, named, (tokens,))

    def loss(weights, tokens):
        return run(weights, tokens).square().mean()

    for step in range(3):
        own = draw(3, 2, 7, 3, seed=step)
        slopes = vmap(grad(loss))(together, own)
        together = {name: weights - 1e-3 * slopes[name] for name, weights in together.items()}
        for model, tokens in zip(solo, own, strict=True):
            model.zero_grad()
            model(tokens).square().mean().backward()
            torch.optim.SGD(model.parameters(), lr=1e-3).step()

    shared = draw(2, 7, 3, seed=9)
    outputs = vmap(lambda weights: run(weights, shared))(together)
    for number, model in enumerate(solo):
        torch.testing.assert_close(outputs[number], model(shared), rtol=1e-10, atol=1e-10)
        for name, weights in model.state_dict().items():
            torch.testing.assert_close(together[name][number], weights, rtol=1e-10, atol=1e-10)
        assert not torch.equal(together["read_in.weight"][number], start["read_in.weight"][number])


@pytest.mark.parametrize(
    ("tokens", "value", "remedy"),
    [
        (torch.zeros(4, 3), "[4, 3]", r"\[batch, tokens, 3\]"),
        (torch.zeros(1, 4, 2), "[1, 4, 2]", r"\[batch, tokens, 3\]"),
        (torch.zeros(2, 1, 4, 3), "[2, 1, 4, 3]", r"\[batch, tokens, 3\]"),
        (torch.zeros(1, 10, 3), "10 tokens", "only 9 positions: shorten"),
        (torch.zeros(1, 4, 3, dtype=torch.int64), "int64", r"tokens.to\(torch.float32\)"),
        (torch.zeros(1, 4, 3, dtype=torch.float64), "float64", r"tokens.to\(torch.float32\)"),
    ],
)
def test_tokens_that_cannot_be_read_are_refused(tokens, value, remedy):
    model = Transformer(GPT2)
    for read in (model, model.trace):
        with pytest.raises(ValueError, match=remedy) as error:
            read(tokens)
        assert value in str(error.value)
