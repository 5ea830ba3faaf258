"""What every construction must be: an ordinary transformer, behind an embedding that looks at one token at a time."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from term_by_term import a_promise, drawn

from secondlook.construct import attention_only, bradley_terry, causal, multi_query, plackett_luce, shallow, sign
from secondlook.construct.bounds import bound
from secondlook.construct.reference import reference
from secondlook.transformer import Block, Transformer, TransformerConfig


def two_queries(promise, cross=True, coherence=0.5):
    apart = replace(promise, queries=2, max_coherence=coherence if cross else 0.0)
    return multi_query.build(apart, tests=2, dx=3, cross=cross)


BUILDERS = {
    "T2": bradley_terry.build,
    "T3": plackett_luce.build,
    "T4": two_queries,
    "T4, matching only": lambda promise: two_queries(promise, cross=False),
    "T5": causal.build,
    "T7": attention_only.build,
    "T8": shallow.build,
    "T11": sign.build,
}
every = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def some(*names):
    return pytest.mark.parametrize("build", [BUILDERS[name] for name in names], ids=names)


single = some("T2", "T3", "T5", "T7", "T8", "T11")
stacked = some("T2", "T3", "T4", "T4, matching only", "T5", "T7", "T8")
prefixes = some("T5", "T7")
whole = some("T2", "T3", "T8")


def change(contexts, name, place, value):
    """The contexts with another number at one place."""
    changed = getattr(contexts, name).clone()
    changed[place] = value
    return replace(contexts, **{name: changed})


def rows_of(construction):
    """The token of every response of a context, [n], or [queries, n]."""
    promise = construction.promise
    before = 1 if construction.result == "T7" else 0
    rows = before + torch.arange(promise.n * promise.queries)
    return rows.reshape(promise.queries, promise.n) if construction.result == "T4" else rows


@stacked
@pytest.mark.parametrize("steps", [1, 2])
def test_a_plain_model_on_tokens_is_the_step(build, steps, tmp_path):
    """Also after configuration and weights have been files: nothing else is needed."""
    construction = build(a_promise(4, 2, steps))
    contexts, start = drawn(construction)
    tokens = construction.embed(contexts, start)
    (tmp_path / "config.json").write_text(json.dumps(asdict(construction.config)))
    save_file(construction.weights, tmp_path / "model.safetensors")

    fields = json.loads((tmp_path / "config.json").read_text())
    config = TransformerConfig(**fields | {"blocks": tuple(Block(**block) for block in fields["blocks"])})
    model = Transformer.load(config, load_file(tmp_path / "model.safetensors"))
    assert config == construction.config
    assert torch.equal(model(tokens)[:, construction.first :], construction.step(contexts, start))
    assert construction.parameters == sum(weight.numel() for weight in model.parameters())


@single
def test_a_token_holds_its_own_features(build):
    construction = build(a_promise(4, 2))
    contexts, start = drawn(construction)
    tokens, layout = construction.embed(contexts, start), construction.layout
    for context, w in enumerate(start):
        x = contexts.query[context]
        for j, row in enumerate(rows_of(construction)):
            y, r = contexts.responses[context, j], contexts.rewards[context, j]
            own = {
                "base": w @ x,
                "response": y,
                "pull": (x @ x) * y,
                "reward": r,
                "square": y @ y,
                "one": torch.ones(1),
            }
            for name, expected in own.items():
                held = layout.view(tokens[context, row], name)
                torch.testing.assert_close(held, expected.reshape(-1).double(), rtol=1e-14, atol=1e-15)


def evenly_ranked(contexts):
    """The contexts with rewards of the same order, from −0.5 to 0.4."""
    ranks = contexts.rewards.argsort(dim=-1).argsort(dim=-1)
    return replace(contexts, rewards=0.3 * ranks.double() - 0.5)


@every
def test_a_response_and_its_reward_are_known_to_their_token_alone(build):
    construction = build(a_promise(4, 2))
    contexts, start = drawn(construction)
    contexts, rows = evenly_ranked(contexts), rows_of(construction)
    before = construction.embed(contexts, start)
    for place, reward in np.ndenumerate(contexts.rewards):
        overtaking = -0.9 if reward > 0 else 0.9
        for name, value in (("responses", 0.123), ("rewards", overtaking)):
            changed = construction.embed(change(contexts, name, place, value), start)
            assert (changed != before).any(-1).nonzero().tolist() == [[place[0], rows[place[1:]].item()]], name


@every
def test_contexts_of_a_batch_do_not_know_each_other(build):
    construction = build(a_promise(4, 2))
    contexts, start = drawn(construction)
    tokens = construction.embed(contexts, start)
    for context in range(len(start)):
        names = vars(contexts)
        alone = replace(contexts, **{name: getattr(contexts, name)[context : context + 1] for name in names})
        assert torch.equal(construction.embed(alone, start[context : context + 1]), tokens[context : context + 1])


@prefixes
@pytest.mark.parametrize("steps", [1, 2])
def test_later_responses_never_change_an_earlier_answer(build, steps):
    construction = build(a_promise(5, 2, steps))
    contexts, start = drawn(construction)
    other, _ = drawn(construction, seed=1)
    answers = construction.step(contexts, start)
    for n in range(1, 5):
        mixed = replace(contexts, responses=torch.cat([contexts.responses[:, :n], other.responses[:, n:]], dim=1))
        changed = construction.step(mixed, start)
        assert torch.equal(changed[:, :n], answers[:, :n])
        assert not torch.equal(changed[:, n], answers[:, n])
        torch.testing.assert_close(construction.step(contexts.prefix(n), start), answers[:, :n], rtol=1e-12, atol=1e-14)


@whole
def test_the_order_in_which_responses_are_given_does_not_matter(build):
    construction = build(a_promise(6, 2, steps=2))
    contexts, start = drawn(construction)
    shuffle = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = replace(contexts, responses=contexts.responses[:, shuffle], rewards=contexts.rewards[:, shuffle])
    answers = construction.step(contexts, start)
    torch.testing.assert_close(answers, answers[:, :1].expand_as(answers), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(construction.step(shuffled, start), answers, rtol=1e-12, atol=1e-14)


@stacked
def test_of_the_rewards_only_the_order_counts(build):
    construction = build(a_promise(4, 2, steps=2))
    contexts, start = drawn(construction)
    torch.testing.assert_close(
        construction.step(evenly_ranked(contexts), start), construction.step(contexts, start), rtol=1e-12, atol=1e-14
    )


@some("T2", "T3", "T5", "T7", "T8")
@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_a_query_twice_as_long_with_the_same_prediction_moves_four_times_as_far(build, factor):
    construction = build(a_promise(4, 2))
    contexts, start = drawn(construction)
    unit = replace(contexts, query=factor * torch.nn.functional.normalize(contexts.query, dim=-1))
    twice = replace(unit, query=2 * unit.query)
    near, far = construction.step(unit, start / 4), construction.step(twice, start / 8)
    assert near.norm() > 0.01
    torch.testing.assert_close(far, 4 * near, rtol=1e-11, atol=1e-14)


@stacked
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 2e-5), (torch.bfloat16, 0.15)])
def test_lower_precisions_are_built_and_keep_their_bounds(build, dtype, most):
    construction = build(a_promise(3, 2, steps=2, min_gap=0.4, dtype=dtype))
    contexts, start = drawn(construction, batch=8, family="tight")
    assert {weight.dtype for weight in construction.weights.values()} == {dtype}
    made = construction.step(contexts, start)
    assert construction.embed(contexts, start).dtype == made.dtype == dtype
    expected = reference(construction, contexts, start)
    error = (made.double() - expected.step).norm(dim=-1)
    assert (error <= bound(construction, contexts, start).total).all()
    assert error.max() <= most * expected.size.max()


@every
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rewards", "tie", "0 apart, .* break ties"),
        ("responses", 3.0, "a response has norm 4.24.* larger max_norm"),
        ("start", 100.0, r"a prediction has norm .* max_norm=2; scale the data"),
    ],
)
def test_what_was_not_promised_is_refused(build, name, value, message):
    construction = build(a_promise(4, 2))
    contexts, start = drawn(construction)
    place = (1, *(0 for _ in contexts.rewards.shape[1:-1]), 2)
    other = contexts.rewards[(*place[:-1], 0)] if value == "tie" else value
    changed = contexts if name == "start" else change(contexts, name, place, other)
    with pytest.raises(ValueError, match=message):
        construction.embed(changed, other * start if name == "start" else start)
