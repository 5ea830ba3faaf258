"""Heads are recognised where they are planted, and measured as loops over contexts, prefixes and terms measure them."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import Generator

from secondlook.construct import Promise, attention_only, bradley_terry
from secondlook.construct.construction import features, positions, widths
from secondlook.construct.prove.draw import draw
from secondlook.construct.residual import ResidualLayout
from secondlook.construct.weights import BlockPlan, Head, Match, Move, assemble
from secondlook.lab.behaviour import Shown, readouts, show
from secondlook.lab.patterns import DISTANCE, EVEN, ITSELF, PICK, heads, spearman
from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task, sample
from secondlook.lab.train import Ensemble, Trained
from secondlook.transformer import Transformer

N, D, BATCH = 5, 3, 24
PROMISE = Promise(N, D, eta=0.03, steps=2, min_gap=0.02, max_norm=2.0)


def shown_to(built, at=None, seed=0):
    """A construction on contexts, read at every prefix of 2 and more, or at tokens `at` after all responses."""
    contexts, start = draw(built.promise, Generator().manual_seed(seed), batch=BATCH, dx=3, family="random")
    base = (start @ contexts.query[..., None])[..., 0]
    seen = list(range(2, N + 1)) if at is None else [N] * len(at)
    places = [built.first + k - 1 for k in seen] if at is None else at
    return Shown(built.model(), built.embed(contexts, start), contexts, places, seen, first=built.first, base=base)


def planted(**scores):
    """A causal block, each of whose heads has one of these scores, on T7's contexts without a BOS token."""
    layout = ResidualLayout({**widths(D), "position": N}, {"out": D})
    plan = BlockPlan(tuple(Head(name, score, (Move("response", "out"),)) for name, score in scores.items()))
    config, weights = assemble(layout, [plan], ["out"], causal=True)
    contexts, start = draw(PROMISE, Generator().manual_seed(0), batch=BATCH, dx=3, family="random")
    own = positions(PROMISE, BATCH, N, contexts.rewards.device)
    tokens = layout.pack({**features(PROMISE, contexts, start), "position": own})
    base = (start @ contexts.query[..., None])[..., 0]
    seen = list(range(2, N + 1))
    return Shown(Transformer.load(config, weights), tokens, contexts, [k - 1 for k in seen], seen, base=base)


def test_two_heads_a_term_are_recognised_with_their_term():
    shown = shown_to(attention_only.build(PROMISE))
    made = readouts(shown)
    # The N − 1 blocks of a step measure distance from where the step starts.
    found = heads(shown, torch.stack([made[0]] * (N - 1) + [made[N - 1]] * (N - 1)))
    assert len(found) == 2 * (N - 1)
    for block, of_block in enumerate(found):
        term = block % (N - 1) + 1
        pick, average = of_block.closest()
        assert (pick.pattern, pick.term) == (PICK, term)
        assert (average.pattern, average.term) == (DISTANCE, term)
        assert min(pick.overlap, average.overlap) > 1 - 1e-9
        assert of_block.distance.mean[1, term - 1] > of_block.even.mean[1, term - 1] + 0.01
        # Prefixes of fewer responses than terms are used up, and fall to the BOS token.
        spent = max(0, term - 2) / (N - 1)
        torch.testing.assert_close(of_block.elsewhere.mean, torch.full((2,), spent).double())
        assert of_block.pick.error.max() < 1


def test_distances_are_measured_from_the_models_own_running_prediction():
    shown = shown_to(bradley_terry.build(PROMISE), at=[N - 1, 0])
    for of_block in heads(shown):
        pick, average = of_block.closest()
        assert (pick.pattern, pick.term, average.pattern, average.term) == (PICK, 1, DISTANCE, 1)
        assert min(pick.overlap, average.overlap) > 1 - 1e-9
        torch.testing.assert_close(of_block.by_distance.mean[1].item(), 1.0)
    elsewhere = heads(shown, torch.randn(2, BATCH, 2, D, generator=Generator().manual_seed(0), dtype=torch.float64))
    assert elsewhere[1].distance.mean[1, 0] < 0.9
    assert elsewhere[1].by_distance.mean[1] < 0.7


def test_heads_of_other_kinds_are_told_apart():
    by = (Match("base", "response", 2.0), Match("one", "square", -1.0))
    (found,) = heads(
        planted(
            best=(Match("one", "reward", 2000.0),),
            worst=(Match("one", "reward", -2000.0),),
            itself=(Match("position", "position", 100.0),),
            even=(),
            near=by,
            warm=tuple(Match(term.query, term.key, 0.3 * term.scale) for term in by),
            mild=(Match("one", "reward", 1.0),),
        )
    )
    best, worst, itself, even, near, warm, mild = range(7)
    named = found.closest()
    assert (named[best].pattern, named[best].term) == (PICK, 1)
    assert (named[itself].pattern, named[itself].term) == (ITSELF, 0)
    assert (named[even].pattern, named[even].term) == (EVEN, 1)
    assert (named[near].pattern, named[near].term) == (DISTANCE, 1)
    for head in (best, itself, even, near):
        assert named[head].overlap > 1 - 1e-9
    assert found.worst.mean[worst] > 1 - 1e-9
    assert found.worst.mean[best] < 1e-9
    assert found.pick.mean[worst, 0] < 1e-9
    # A temperature of its own changes the overlap, but not the order.
    torch.testing.assert_close(found.by_distance.mean[[near, warm]], torch.ones(2))
    assert found.distance.mean[warm, 0] < 0.95
    torch.testing.assert_close(found.by_reward.mean[mild].item(), 1.0)
    assert found.by_reward.mean[worst] < -0.5
    assert found.by_time.mean[itself] > 0.5
    assert found.by_time.mean[[even, mild]].abs().max() < 0.3
    assert found.by_reward.mean[even] == 0
    assert found.elsewhere.mean.abs().max() < 1e-9


@pytest.mark.parametrize("objective", ["pl-cosine", "pl-squared"])
def test_measures_are_those_of_loops(objective):
    run = Run(Task(n=N), Shape(depth=2, width=8, heads=2), objective)
    weights = {name: 20 * weight for name, weight in Ensemble([run]).member(0).items()}
    shown = show(Trained(run, weights), sample(run.task, 3, Generator().manual_seed(1)))
    made = readouts(shown)
    for block, found in enumerate(heads(shown)):
        for head in range(2):
            terms = {(name, i): [[] for _ in range(3)] for name in ("pick", "distance", "even") for i in range(N - 1)}
            single = {
                name: [[] for _ in range(3)] for name in ("itself", "worst", "by_reward", "by_distance", "by_time")
            }
            for context in range(3):
                for place, k in enumerate(range(2, N + 1)):
                    attention = shown.trace.attention[block][context, head, k - 1, :k]
                    y, r = shown.contexts.responses[context, :k], shown.contexts.rewards[context, :k]
                    f = made[block, context, place]
                    near = (
                        -(y - f).square().sum(-1)
                        if objective == "pl-squared"
                        else torch.cosine_similarity(y, f, dim=-1)
                    )
                    order = r.argsort(descending=True)
                    for i in range(k - 1):
                        live, ones = order[i:], torch.ones(k - i)
                        terms["pick", i][context].append(attention[order[i]])
                        for name, pattern in (("distance", near[live].softmax(0)), ("even", ones / len(ones))):
                            terms[name, i][context].append(torch.minimum(attention[live], pattern).sum())
                    single["itself"][context].append(attention[-1])
                    single["worst"][context].append(attention[order[-1]])
                    for name, other in (("by_reward", r), ("by_distance", near), ("by_time", torch.arange(k))):
                        single[name][context].append(torch.tensor(spearmanr(attention, other).statistic).float())
            for (name, i), values in terms.items():
                check(getattr(found, name), (head, i), values)
            for name, values in single.items():
                check(getattr(found, name), (head,), values)


def check(found, at, values):
    means = torch.stack([torch.stack(of_context).mean() for of_context in values])
    torch.testing.assert_close(found.mean[at], means.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.error[at], means.std() / 3**0.5, rtol=1e-3, atol=1e-5)


def test_rank_correlation_shares_ranks_among_ties_and_looks_at_what_is_known():
    generator = Generator().manual_seed(0)
    one, other = (torch.randint(0, 4, (50, 9), generator=generator).double() for _ in range(2))
    known = torch.arange(9) < torch.randint(4, 10, (50, 1), generator=generator)
    found = spearman(one, other, known)
    for a, b, mask, value in zip(one, other, known, found, strict=True):
        torch.testing.assert_close(value.item(), float(spearmanr(a[mask], b[mask]).statistic), rtol=1e-5, atol=1e-6)
    assert spearman(torch.ones(3), torch.arange(3.0), torch.ones(3, dtype=torch.bool)) == 0


def test_what_has_no_shares_or_no_ranking_is_refused():
    run = Run(Task(n=N), Shape(depth=1, width=8, heads=2, attention="linear"))
    shown = show(Trained(run, Ensemble([run]).member(0)), sample(run.task, 3, Generator().manual_seed(1)))
    with pytest.raises(ValueError, match="linear attention"):
        heads(shown)
    shown = planted(even=())
    with pytest.raises(ValueError, match="after \\[1\\] responses"):
        heads(Shown(shown.model, shown.tokens, shown.contexts, [0], [1]))
