"""Probes find what is there, to the degree to which it is there, and nothing else."""

import pytest
import torch
from torch import Generator
from torch.nn.functional import layer_norm

from secondlook.construct import Promise, attention_only
from secondlook.construct.prove.draw import draw
from secondlook.lab.behaviour import Shown
from secondlook.lab.probes import estimates, probe
from secondlook.lab.rules import GradientDescent, at_prefixes, best_response
from secondlook.objective import Contexts
from secondlook.transformer import Block, Transformer, TransformerConfig

STEPS, N, SEEN = 2, 4, [2, 3, 4]


@pytest.fixture(scope="module")
def planted():
    """T7, which adds up step k in a slot of its own in blocks (k − 1)·(N − 1) to k·(N − 1); and its iterates."""
    built = attention_only.build(Promise(N, 3, eta=0.1, steps=STEPS, min_gap=0.02, max_norm=2.0))
    contexts, start = draw(built.promise, Generator().manual_seed(0), batch=256, dx=3, family="random")
    base = (start @ contexts.query[..., None])[..., 0]
    shown = Shown(built.model(), built.embed(contexts, start), contexts, SEEN, SEEN, first=1, base=base)
    return shown, GradientDescent(STEPS, 0.1, "squared", lambda _: base).path(contexts, SEEN)


def holding(x, norm=False):
    """A transformer whose residual stream is x [batch, p, width], before and after a block that adds nothing."""
    width = x.shape[-1]
    config = TransformerConfig(width, 1, width, (Block(0, 1),), norm=norm)
    weights = {"read_in.weight": torch.eye(width), "read_out.weight": torch.ones(1, width)}
    if norm:
        weights["norm_out.weight"] = torch.ones(width)
    places = list(range(x.shape[1]))
    contexts = Contexts(x[:, 0], x, x[..., 0])
    return Shown(Transformer.load(config, weights), x, contexts, places, places)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=Generator().manual_seed(seed))


def test_what_a_block_writes_is_read_after_it_and_not_before(planted):
    shown, path = planted
    steps = {f"step {k}": path[k] - path[k - 1] for k in (1, 2)}
    found = probe(shown, {"start": path[0], **steps}, Generator().manual_seed(0))
    assert found["start"].r2.mean.min() > 1 - 1e-6
    for k in (1, 2):
        r2 = found[f"step {k}"].r2.mean
        assert r2.shape == (STEPS * (N - 1) + 1,)
        assert r2[k * (N - 1) :].min() > 1 - 1e-6
        assert r2[k * (N - 1) - 1] < 0.99
        assert r2[: (k - 1) * (N - 1) + 1].max() < 0.7
    for one in found.values():
        assert one.shuffled.mean.abs().max() < 0.1


def test_r2_is_the_share_that_is_there_and_its_error_the_spread_over_data():
    noise = 0.8
    found = []
    for draw_ in range(40):
        # Contexts differ in scale, which moves error and spread alike.
        scale = torch.exp(0.5 * normal(300, 1, 1, seed=3 * draw_ + 1))
        x = scale * normal(300, 2, 6, seed=3 * draw_)
        y = x @ normal(6, 3, seed=1) + scale * noise * 6**0.5 * normal(300, 2, 3, seed=3 * draw_ + 2)
        found.append(probe(holding(x), {"y": y}, Generator().manual_seed(0))["y"])
    signal = normal(6, 3, seed=1).square().sum().item()
    expected = signal / (signal + 3 * 6 * noise**2)
    r2 = torch.stack([one.r2.mean for one in found])
    assert abs(r2.mean().item() - expected) < 0.02
    errors = torch.stack([one.r2.error for one in found]).mean().item()
    assert 0.75 < errors / r2[:, 0].std().item() < 1.15
    shuffled = torch.stack([one.shuffled.mean for one in found])
    assert -0.05 < shuffled.mean().item() <= 0.0


def test_what_is_another_contexts_is_not_read_however_wide_the_stream_is():
    x, y = normal(64, 3, 40), normal(64, 3, 2, seed=1)
    found = probe(holding(x), {"y": y}, Generator().manual_seed(0))["y"]
    assert found.r2.mean.max() < 0.1
    assert found.r2.mean.min() > -0.5
    assert found.ridge.min() > 1e-2


def test_the_stream_is_read_as_what_follows_reads_it():
    x = normal(400, 1, 6) * torch.exp(1.5 * normal(400, 1, 1, seed=1))
    y = layer_norm(x, (6,))[..., :3]
    assert probe(holding(x, norm=True), {"y": y}, Generator().manual_seed(0))["y"].r2.mean.min() > 1 - 1e-6
    assert probe(holding(x), {"y": y}, Generator().manual_seed(0))["y"].r2.mean.max() < 0.8


def test_estimates_are_directions(planted):
    shown, _ = planted
    descent = GradientDescent(5)
    truth = normal(256, 3, seed=9).double()
    found = estimates(shown, descent, [1, 5], truth)
    assert set(found) == {
        "truth",
        "mean response",
        "best response",
        "weighted mean",
        "regression direction",
        "latest response",
        "descent 1",
        "descent 5",
    }
    for vectors in found.values():
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(256, 3).double())
    for name, expected in (
        ("truth", truth[:, None].expand(-1, 3, -1)),
        ("best response", at_prefixes(best_response, shown.contexts, SEEN)),
        ("descent 5", descent.path(shown.contexts, SEEN)[5]),
    ):
        torch.testing.assert_close(torch.cosine_similarity(found[name], expected, dim=-1), torch.ones(256, 3).double())


def test_what_cannot_be_probed_is_refused():
    x = normal(16, 2, 4)
    with pytest.raises(ValueError, match="7 contexts cannot be split"):
        probe(holding(x[:7]), {}, Generator())
    with pytest.raises(ValueError, match=r"'y' has shape \[16, 3, 1\]: give \[16, 2, d\]"):
        probe(holding(x), {"y": torch.ones(16, 3, 1)}, Generator())
    with pytest.raises(ValueError, match="'y' is the same everywhere"):
        probe(holding(x), {"y": torch.ones(16, 2, 1)}, Generator())
