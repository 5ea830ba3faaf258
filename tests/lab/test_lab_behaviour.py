"""Behaviour is seen where it is planted: constructions whose blocks are steps of descent, and rules known by hand."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Generator
from torch.nn.functional import normalize

from secondlook.construct import Promise, attention_only
from secondlook.construct.prove.draw import draw
from secondlook.lab.behaviour import (
    Shown,
    agreement,
    as_rule,
    closest,
    compare,
    jacobian,
    readouts,
    show,
)
from secondlook.lab.rules import (
    CONTROLS,
    GradientDescent,
    at_prefixes,
    best_response,
    latest_response,
    mean_response,
    regression_direction,
    weighted_mean,
)
from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task, sample
from secondlook.lab.train import Ensemble, Trained
from secondlook.objective import Contexts
from secondlook.transformer import Transformer

STEPS, N, SEEN = 3, 4, [2, 3, 4]
RUN = Run(Task(n=6), Shape(depth=2, width=8, heads=2))


@pytest.fixture(scope="module")
def planted():
    """T7: N − 1 blocks are a step of descent at rate 0.1 from W₀x, for every prefix."""
    built = attention_only.build(Promise(N, 3, eta=0.1, steps=STEPS, min_gap=0.02, max_norm=2.0))
    contexts, start = draw(built.promise, Generator().manual_seed(0), batch=48, dx=3, family="random")
    others, _ = draw(built.promise, Generator().manual_seed(1), batch=48, dx=3, family="random")
    base = (start @ contexts.query[..., None])[..., 0]
    model = built.model()

    def from_base(of):
        return (start @ of.query[..., None])[..., 0]

    return SimpleNamespace(
        contexts=contexts,
        others=replace(others, query=contexts.query),
        shown=Shown(model, built.embed(contexts, start), contexts, SEEN, SEEN, first=1, base=base),
        descent=GradientDescent(STEPS, 0.1, "squared", from_base),
        rule=lambda of: model(built.embed(of, start))[:, -1] + from_base(of),
        random=lambda of: Transformer(built.config, Generator().manual_seed(5)).double()(built.embed(of, start))[:, -1],
    )


@pytest.fixture(scope="module")
def problems():
    return sample(RUN.task, 24, Generator().manual_seed(3))


@pytest.fixture(scope="module")
def fresh():
    return Trained(RUN, Ensemble([RUN]).member(0))


def contexts_of(n=5, batch=6, d=3):
    generator = Generator().manual_seed(2)
    x, y = (torch.randn(batch, *shape, generator=generator, dtype=torch.float64) for shape in ((4,), (n, d)))
    return Contexts(x, y, torch.rand(batch, n, generator=generator, dtype=torch.float64))


def test_readouts_are_what_the_first_blocks_predict_alone(fresh, problems):
    found = readouts(show(fresh, problems))
    assert found.shape == (3, 24, 5, 5)
    for depth in (0, 1, 2):
        weights = {
            name: torch.zeros_like(weight)
            if any(
                name.startswith(f"blocks.{late}.") and (".out." in name or ".down." in name) for late in range(depth, 2)
            )
            else weight
            for name, weight in fresh.weights.items()
        }
        torch.testing.assert_close(found[depth], replace(fresh, weights=weights).predict(problems))
    assert (found[1] - found[2]).abs().max() > 1e-4


@pytest.mark.parametrize("reward", ["squared", "cosine"])
def test_descent_as_a_rule_descends_on_weights(reward):
    contexts, steps, rate = contexts_of(), 4, 0.05
    path = GradientDescent(steps, rate, reward).path(contexts, [2, 5])
    for place, k in enumerate([2, 5]):
        for x, y, r, found in zip(
            contexts.query, contexts.responses[:, :k], contexts.rewards[:, :k], path[:, :, place].unbind(1), strict=True
        ):
            ranked = y[r.argsort(descending=True)]
            w = torch.outer(y.mean(0), x) / (x @ x)
            for step in range(steps + 1):
                torch.testing.assert_close(found[step], w @ x)
                w.requires_grad_()
                f = w @ x
                if reward == "cosine":
                    s = normalize(ranked, dim=-1) @ normalize(f, dim=-1)
                else:
                    s = -(f - ranked).square().sum(-1)
                loss = sum(s[i:].logsumexp(0) - s[i] for i in range(k))
                w = (w - rate * torch.autograd.grad(loss, w)[0]).detach()
        last = GradientDescent(steps, rate, reward)(contexts.prefix(k))
        torch.testing.assert_close(last, path[-1, :, place])
        assert not last.requires_grad


def test_blocks_that_are_steps_agree_with_descent_at_their_step(planted):
    path = replace(planted.descent, steps=STEPS + 2).path(planted.contexts, SEEN)
    made = readouts(planted.shown)[:: N - 1]
    torch.testing.assert_close(made, path[: STEPS + 1])
    found = agreement(made, path)
    assert found.cosine.mean.shape == found.cosine.error.shape == (STEPS + 1, STEPS + 3)
    assert found.best.tolist() == list(range(STEPS + 1))
    ones = torch.eye(STEPS + 1, STEPS + 3, dtype=torch.bool)
    assert found.cosine.mean[ones].min() > 1 - 1e-12
    assert found.cosine.mean[~ones].max() < 0.99


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("reward", ["squared", "cosine"])
def test_a_jacobian_is_what_small_changes_do(reward, unit):
    contexts, rule = contexts_of(n=4, batch=3), GradientDescent(3, 0.1, reward, weighted_mean)
    value, found = jacobian(rule, contexts, unit=unit)

    def at(responses):
        made = rule(replace(contexts, responses=responses))
        return normalize(made, dim=-1) if unit else made

    torch.testing.assert_close(value, at(contexts.responses))
    step = 1e-5
    for i in range(4):
        for k in range(3):
            change = torch.zeros_like(contexts.responses)
            change[:, i, k] = step
            slope = (at(contexts.responses + change) - at(contexts.responses - change)) / (2 * step)
            torch.testing.assert_close(found[:, :, i, k], slope, rtol=1e-5, atol=1e-7)
    assert not value.requires_grad
    assert not found.requires_grad
    assert not contexts.responses.requires_grad


def test_jacobians_of_rules_known_by_hand():
    contexts = contexts_of()
    eye = torch.eye(3, dtype=torch.float64)[None, :, None]
    best = torch.nn.functional.one_hot(contexts.rewards.argmax(-1), 5).double()
    latest = torch.tensor([0.0, 0, 0, 0, 1]).double().expand(6, 5)
    weighted = contexts.rewards / contexts.rewards.sum(-1, keepdim=True)
    direction = (contexts.rewards - contexts.rewards.mean(-1, keepdim=True)) / 5
    for rule, weights in [
        (mean_response, torch.full((6, 5), 0.2).double()),
        (best_response, best),
        (latest_response, latest),
        (weighted_mean, weighted),
        (regression_direction, direction),
    ]:
        value, found = jacobian(rule, contexts, unit=False)
        torch.testing.assert_close(found, weights[:, None, :, None] * eye)
        torch.testing.assert_close(value, (weights[..., None] * contexts.responses).sum(1))
    _, nothing = jacobian(lambda of: of.query[:, :3], contexts)
    assert nothing.shape == (6, 3, 5, 3)
    assert not nothing.any()


def test_a_planted_descent_is_found_among_others_on_other_contexts(planted):
    candidates = [replace(planted.descent, steps=STEPS + 3, rate=rate) for rate in (0.03, 0.1, 0.3)]
    for unit in (True, False):
        found = closest(planted.rule, planted.others, candidates, unit=unit)
        assert found == planted.descent
    longer = lambda of: 3 * planted.descent(of)  # noqa: E731
    assert closest(longer, planted.others, candidates) == planted.descent
    assert closest(longer, planted.others, candidates, unit=False) != planted.descent


def test_a_planted_descent_aligns_with_descent_and_with_nothing_else(planted):
    rules = {
        "model": planted.rule,
        "descent": planted.descent,
        "one step more": replace(planted.descent, steps=STEPS + 1),
        "another rate": replace(planted.descent, rate=0.03),
        "random": planted.random,
        **CONTROLS,
    }
    found = compare(rules, planted.contexts, unit=False)
    distance, alignment = found.between("model", "descent")
    assert distance < 1e-12
    assert alignment > 1 - 1e-12
    for other in rules.keys() - {"model", "descent"}:
        distance, alignment = found.between("model", other)
        assert distance > 0.1, other
        assert alignment < 0.95, other
    assert found.between("model", "random")[1] < 0.1
    torch.testing.assert_close(found.alignment.mean, found.alignment.mean.mT)
    torch.testing.assert_close(found.distance.mean, found.distance.mean.mT)


def test_a_trained_transformer_is_a_rule_on_any_prefix(fresh, problems):
    found = at_prefixes(as_rule(fresh), problems.contexts, range(2, 7))
    torch.testing.assert_close(found, fresh.predict(problems))
    _, slope = jacobian(as_rule(fresh), problems.contexts)
    assert slope.shape == (24, 5, 6, 5)
    assert (slope.flatten(3).norm(dim=-1).amax((0, 1)) > 0).all()


@pytest.mark.parametrize(
    "run", [replace(RUN, shape=Shape(layout="interleaved")), Run(Task("fresh-query", n=2, queries=3), RUN.shape)]
)
def test_other_tokens_and_tasks_are_refused(run):
    trained = Trained(run, Ensemble([run]).member(0))
    with pytest.raises(ValueError, match="one query and merged tokens only"):
        show(trained, sample(run.task, 2, Generator().manual_seed(0)))
    with pytest.raises(ValueError, match="one query and merged tokens only"):
        as_rule(trained)
