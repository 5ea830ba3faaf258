"""What constructions are judged by, against descent one context, one prefix and one term at a time."""

import pytest
import torch
from term_by_term import a_promise, by_terms, descent_on_weights, drawn, one_by_one

from secondlook.construct import attention_only, bradley_terry, causal, multi_query, plackett_luce, shallow, sign
from secondlook.construct.reference import reference
from secondlook.objective import MultiQueryContexts

FIRST_FACTOR = ("T2", "T11")


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("room", [bradley_terry, plackett_luce, causal, attention_only, shallow, sign])
def test_of_one_query(room, steps):
    construction = room.build(a_promise(4, 3, 1 if room is sign else steps))
    contexts, start = drawn(construction)
    found = reference(construction, contexts, start)
    assert found.step.shape == construction.step(contexts, start).shape
    for answers, sizes, one in zip(found.step, found.size, one_by_one(contexts, start), strict=True):
        x, y, r, w = one
        floor = 1e-3 * construction.promise.eta * (x @ x) * y.norm(dim=-1).max()
        for place, (answer, size) in enumerate(zip(answers, sizes, strict=True), start=1):
            cut = place if construction.prefixes else len(r)
            factors = 1 if construction.result in FIRST_FACTOR else None
            expected = by_terms(x, y[:cut], r[:cut], w, construction.promise, factors)
            torch.testing.assert_close(answer, expected, rtol=1e-12, atol=1e-14)
            assert size.item() == pytest.approx(max(expected.norm(), floor).item())


@pytest.mark.parametrize("steps", [1, 3])
def test_of_several_queries(steps):
    construction = multi_query.build(a_promise(3, 2, steps, queries=2, max_coherence=0.5), tests=2, dx=3)
    contexts, start = drawn(construction)
    found = reference(construction, contexts, start)
    for i, w in enumerate(start):
        rankings = list(zip(contexts.queries[i], contexts.responses[i], contexts.rewards[i], strict=True))
        moved = descent_on_weights(w, rankings, construction.promise)
        torch.testing.assert_close(found.step[i], contexts.test[i] @ moved.mT, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(found.size[i], moved.norm() * contexts.test[i].norm(dim=-1))


def test_a_step_that_cancels_is_measured_by_what_went_into_it():
    """All responses the same: the step is 0, and an error is relative to 10⁻³·η‖x‖²·‖y‖, or its like for x'."""
    construction = plackett_luce.build(a_promise(4, 3))
    contexts, start = drawn(construction)
    contexts.responses[:] = contexts.responses[:, :1]
    found = reference(construction, contexts, start)
    assert found.step.norm() < 1e-14
    expected = 1e-3 * construction.promise.eta * contexts.query.square().sum(-1) * contexts.responses[:, 0].norm(dim=-1)
    torch.testing.assert_close(found.size, expected[:, None].expand(-1, 4))
    several = contexts.as_multi_query()
    asked = MultiQueryContexts(several.queries, several.responses, several.rewards, 3 * several.test)
    one = multi_query.build(a_promise(4, 3), tests=1, dx=3)
    torch.testing.assert_close(reference(one, asked, start).size, 3 * expected[:, None])


def test_lower_precisions_are_judged_in_float64():
    construction = causal.build(a_promise(4, 3, dtype=torch.float32))
    contexts, start = drawn(construction)
    exact = reference(construction, contexts, start)
    rounded = reference(construction, contexts.to(torch.float32), start.float())
    assert exact.step.dtype == rounded.step.dtype == torch.float64
    assert 0 < (exact.step - rounded.step).abs().max() < 1e-5
