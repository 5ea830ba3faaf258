import re
from dataclasses import FrozenInstanceError

import pytest
import torch
from plain_rankings import random_contexts

from secondlook.objective import Contexts, MultiQueryContexts

X, Y, R = torch.ones(2, 3), torch.ones(2, 4, 5), torch.ones(2, 4)


def test_sizes():
    contexts = Contexts(X, Y, R)
    assert (contexts.batch, contexts.n, contexts.dx, contexts.dy) == (2, 4, 3, 5)
    with pytest.raises(FrozenInstanceError):
        contexts.query = X


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X[0], Y, R), "query has shape (3,): give [batch, dx]"),
        ((X, Y[0], R), "responses has shape (4, 5): give [batch, n, dy]"),
        ((X[:1], Y, R), "responses has shape (2, 4, 5): give [batch, n, dy] with batch = 1, not 2"),
        ((X, Y, R[:, :3]), "rewards has shape (2, 3): give [batch, n] with n = 4, not 3"),
        ((X, Y[:, :0], R[:, :0]), "responses has shape (2, 0, 5): give [batch, n, dy] with n = 1 or more, not 0"),
        ((X.int(), Y, R), "query is torch.int32: give floating point numbers, for example query.float()"),
        (
            (X, Y.double(), R),
            "responses is torch.float64 on cpu: expected torch.float32 on cpu as query is, use responses.to(query)",
        ),
        (
            (X, Y, R.to("meta")),
            "rewards is torch.float32 on meta: expected torch.float32 on cpu as query is, use rewards.to(query)",
        ),
        (
            (X, Y, R.index_fill(1, torch.tensor(2), torch.nan)),
            "rewards holds nan at [0, 2]: give finite numbers, or leave that context out",
        ),
    ],
)
def test_bad_contexts_name_value_and_remedy(given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Contexts(*given)


def test_bad_contexts_of_several_queries():
    queries, responses, rewards = X[:, None], Y[:, None], R[:, None]
    MultiQueryContexts(queries, responses, rewards, X[:, None].repeat(1, 7, 1))
    with pytest.raises(ValueError, match=r"^test has shape \(2, 1, 2\): give \[batch, t, dx\] with dx = 3, not 2$"):
        MultiQueryContexts(queries, responses, rewards, queries[..., :2])


def test_prefix_cuts_responses_and_rewards():
    contexts = random_contexts(0)
    cut = contexts.prefix(2)
    assert cut.query is contexts.query
    assert cut.responses.equal(contexts.responses[:, :2])
    assert cut.rewards.equal(contexts.rewards[:, :2])
    for n in (0, 5):
        with pytest.raises(ValueError, match=f"^n is {n}: these contexts have prefixes of 1 to 4 responses$"):
            contexts.prefix(n)


def test_to_changes_dtype_and_device_of_all():
    contexts = random_contexts(0)
    assert {t.dtype for t in vars(contexts.to(torch.bfloat16)).values()} == {torch.bfloat16}
    many = contexts.as_multi_query().to("cpu", torch.float32)
    assert {t.dtype for t in vars(many).values()} == {torch.float32}
    assert type(many) is MultiQueryContexts


def test_a_context_is_one_of_several_queries():
    contexts = random_contexts(0)
    many = contexts.as_multi_query()
    assert many.queries.shape == many.test.shape == (3, 1, 3)
    assert many.responses[:, 0].equal(contexts.responses)
    assert many.rewards[:, 0].equal(contexts.rewards)
