"""Weights of the one transformer: how they are drawn, kept and refused."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from secondlook.transformer import Block, Transformer
from transformer_shapes import GPT2, PLAIN, draw, lively, seeded, shapes


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
