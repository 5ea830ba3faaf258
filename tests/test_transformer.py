"""The one transformer, against attention of others, and against itself written token by token."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from secondlook.transformer import Block, MultiHeadAttention, Transformer, TransformerConfig

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


def test_the_same_seed_draws_the_same_weights():
    first, again, other = (Transformer(GPT2, seeded(seed)).state_dict() for seed in (1, 1, 2))
    for name, weights in first.items():
        assert torch.equal(weights, again[name])
        assert torch.equal(weights, other[name]) == (weights.ndim == 1)


def test_initial_weights_are_gpt2s():
    config = replace(GPT2, width=128, positions=64, blocks=(Block(4, 32, feedforward=512),) * 2)
    for name, weights in Transformer(config, seeded()).state_dict().items():
        if weights.ndim == 1:
            assert (weights == (1 if "norm" in name and name.endswith("weight") else 0)).all()
        else:
            writes = name.endswith(("attention.out.weight", "feedforward.down.weight"))
            expected = 0.02 / (2 if writes else 1)  # √(2·depth) is 2 here
            sampling = 4 / math.sqrt(2 * weights.numel())
            assert weights.std() == pytest.approx(expected, rel=sampling)
            assert abs(weights.mean()) < 4 * expected / math.sqrt(weights.numel())


@pytest.mark.parametrize("initial", ["torch", "gpt2-inside"])
def test_initial_weights_are_torchs_where_they_should_be(initial):
    """As torch draws a linear layer: evenly within 1/√inputs, so with a spread of 1/√(3 · inputs)."""
    config = replace(GPT2, inputs=48, outputs=40, width=128, positions=64, blocks=(Block(4, 32, feedforward=256),) * 2)
    drawn, usual = Transformer(replace(config, initial=initial), seeded()), Transformer(config, seeded())
    for name, module in drawn.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        if initial == "gpt2-inside" and not name.startswith("read_"):
            assert module.weight.detach().std() == pytest.approx(
                usual.get_submodule(name).weight.std().item(), rel=0.05
            )
            assert (module.bias == 0).all()
            continue
        for kind in ("weight", "bias"):
            ours, most = getattr(module, kind).detach(), 1 / math.sqrt(module.in_features)
            assert ours.std() == pytest.approx(most / math.sqrt(3), rel=0.3 if kind == "bias" else 0.05)
            assert ours.abs().max() <= most
    assert drawn.positions.detach().std() == pytest.approx(1 if initial == "torch" else 0.02, rel=0.05)


@shapes
def test_biases_are_there_if_asked_for(config):
    names = Transformer(config).state_dict()
    biases = [name.removesuffix(".weight") for name in names if name.endswith(".weight")] if config.bias else []
    assert [name.removesuffix(".bias") for name in names if name.endswith(".bias")] == biases


@shapes
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_come_back_from_a_file_bit_for_bit(config, dtype, tmp_path):
    model, tokens = lively(config).to(dtype), draw(2, 7, 3, dtype=dtype)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    random_state = torch.get_rng_state()
    again = Transformer.load(config, load_file(tmp_path / "model.safetensors"))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert again.state_dict().keys() == model.state_dict().keys()
    assert torch.equal(again(tokens), model(tokens))
    model(tokens).sum().backward()
    again(tokens).sum().backward()
    for weights, loaded in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(loaded, weights)
        assert torch.equal(loaded.grad, weights.grad)


def test_a_loaded_transformer_leaves_its_source_alone():
    weights = Transformer(PLAIN, seeded()).state_dict()
    nn.init.zeros_(Transformer.load(PLAIN, weights).read_in.weight)
    assert weights["read_in.weight"].all()


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({"read_in.weight": None}, "read_in.weight"),
        ({"blocks.0.attention.out.weight": None}, "blocks.0.attention.out.weight"),
        ({"blocks.1.attention.out.weight": torch.zeros(6, 10)}, "blocks.1.attention.out.weight"),
        ({"read_in.bias": torch.zeros(6)}, "read_in.bias"),
        ({"read_out.weight": torch.zeros(2, 7)}, "[2, 7]"),
        ({"read_out.weight": torch.zeros(2, 6, dtype=torch.int64)}, "read_out.weight"),
        ({"read_out.weight": torch.zeros(2, 6, dtype=torch.float64)}, "float32 and torch.float64"),
    ],
)
def test_weights_of_another_transformer_are_refused(change, value):
    weights = Transformer(PLAIN).state_dict() | change
    with pytest.raises(ValueError, match="weights") as error:
        Transformer.load(PLAIN, {name: tensor for name, tensor in weights.items() if tensor is not None})
    assert value in str(error.value)
    assert "from one model" in str(error.value) or "convert" in str(error.value)


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
