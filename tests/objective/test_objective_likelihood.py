import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rankings import plain_order, plain_prefix_losses, plain_scores, random_contexts, random_like
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

from secondlook.objective import beta, info_nce, plackett_luce, prefix_plackett_luce, rank, scores

EXACT = {"rtol": 1e-12, "atol": 1e-12}
REWARDS = ["squared", "cosine"]


def both(predictions, contexts, lengths, reward):
    """Losses, and gradients of a weighted sum of them, at once and by loops."""
    results = []
    for loss in (
        lambda f, y: prefix_plackett_luce(f, y, contexts.rewards, lengths=lengths, reward=reward),
        lambda f, y: plain_prefix_losses(f, y, contexts.rewards, lengths, reward),
    ):
        f, y = (tensor.clone().requires_grad_() for tensor in (predictions, contexts.responses))
        losses = loss(f, y)
        weights = torch.linspace(1, 2, losses.numel(), dtype=losses.dtype).view_as(losses)
        results.append((losses.detach(), *torch.autograd.grad((weights * losses).sum(), (f, y))))
    return results


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 999),
    batch=st.integers(1, 3),
    n=st.integers(1, 7),
    d=st.integers(1, 4),
    reward=st.sampled_from(REWARDS),
    ties=st.booleans(),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)
def test_every_prefix_is_what_a_loop_over_it_gives(seed, batch, n, d, reward, ties, scale):
    contexts = random_contexts(seed, batch, n, 1, d, scale=scale)
    if ties:
        contexts.rewards.round_()
    f = random_like(seed + 1000, batch, n, d)
    # The gradient of the cosine is what is left of terms as large as 1/length.
    shortest = float(torch.cat([f, contexts.responses]).norm(dim=-1).min())
    atol = 1e-12 * max(1, scale**3, 1 / shortest)
    for found, expected in zip(*both(f, contexts, range(1, n + 1), reward), strict=True):
        assert_close(found, expected, rtol=1e-12, atol=atol)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("lengths", [[5], [2, 2, 4], [5, 1, 3, 2, 4, 5, 5]])
@pytest.mark.parametrize("alike", [False, True])
def test_lengths_may_be_any_list_and_rewards_and_responses_the_same(lengths, reward, alike):
    contexts = random_contexts(1, n=5)
    if alike:
        contexts.rewards.fill_(1)
        contexts.responses[:, 2:] = contexts.responses[:, :1]
    found = both(random_like(2, 3, len(lengths), 2), contexts, torch.tensor(lengths), reward)
    for one, other in zip(*found, strict=True):
        assert_close(one, other, **EXACT)


def test_one_response_is_ranked_for_certain():
    f = random_like(0, 3, 1, 2).requires_grad_()
    contexts = random_contexts(0, n=1)
    loss = prefix_plackett_luce(f, contexts.responses, contexts.rewards)
    assert not loss.any()
    assert not torch.autograd.grad(loss.sum(), f)[0].any()
    assert not plackett_luce(random_like(1, 4, 1)).any()


def test_rank_is_stable():
    rewards = torch.tensor([[0.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    assert rank(rewards).tolist() == [[1, 3, 0, 2], [0, 1, 2, 3]]
    assert rank(rewards).tolist() == [plain_order(row) for row in rewards]
    assert rank(torch.tensor([3, 5, 4])).tolist() == [1, 2, 0]


@pytest.mark.parametrize("reward", REWARDS)
def test_scores(reward):
    f, y = random_like(0, 2, 3, 4), random_like(1, 2, 3, 5, 4)
    assert_close(scores(f, y, reward)[1, 2], plain_scores(f[1, 2], y[1, 2], reward), **EXACT)
    assert gradcheck(lambda f, y: scores(f, y, reward), (f.requires_grad_(), y.requires_grad_()))


@pytest.mark.parametrize("length", [1e-300, 1e-160, 1e200])
def test_the_cosine_does_not_depend_on_lengths(length):
    f, y = random_like(0, 4), random_like(1, 5, 4)
    assert_close(scores(length * f, length * y, "cosine"), scores(f, y, "cosine"), **EXACT)


def test_the_cosine_with_zero_is_zero_and_flat():
    f, y = random_like(0, 1, 2, 2), random_like(1, 1, 2, 2)
    f[0, 1], y[0, 0] = 0, 0
    f.requires_grad_()
    assert scores(f, y[:, None].expand(1, 2, 2, 2), "cosine").eq(0).tolist() == [[[True, False], [True, True]]]
    loss = prefix_plackett_luce(f, y, torch.ones(1, 2), lengths=[2, 2], reward="cosine")
    (gradient,) = torch.autograd.grad(loss.sum(), f)
    assert_close(loss[0, 1].item(), torch.tensor(2.0, dtype=torch.float64).log().item())
    assert gradient.any(-1).tolist() == [[True, False]]


def test_plackett_luce_of_two_is_bradley_terry():
    s = random_like(0, 6, 2) * torch.tensor([1, 5, 30, 200, 1e3, 1e5], dtype=torch.float64)[:, None]
    assert_close(plackett_luce(s), -logsigmoid(s[:, 0] - s[:, 1]), **EXACT)


def test_info_nce_is_the_first_factor():
    s = random_like(0, 2, 6)
    assert_close(info_nce(s) + plackett_luce(s[:, 1:]), plackett_luce(s), **EXACT)
    assert_close(info_nce(s[:, :2]), plackett_luce(s[:, :2]), **EXACT)


def test_beta_holds_the_slope():
    s = random_like(0, 3, 5).requires_grad_()
    (slope,) = torch.autograd.grad(plackett_luce(s).sum(), s)
    assert_close(beta(s).sum(-2) - 1, slope, **EXACT)
    assert_close(beta(s).sum(-1), torch.ones_like(s), **EXACT)
    assert not beta(s).tril(-1).any()


def test_the_slope_of_an_all_but_certain_ranking_is_no_rounding():
    s = torch.tensor([20.0, 0.0, -25.0]).requires_grad_()
    (slope,) = torch.autograd.grad(plackett_luce(s), s)
    assert_close(
        slope.double(), torch.tensor([-20.0, -20, -25]).double().exp() * torch.tensor([-1.0, 1, 1]), rtol=1e-2, atol=0
    )


SPANS = [60.0, 90.0, 600.0, 800.0, 1e4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("order", ["down", "up", "mixed"])
def test_scores_beyond_the_range_of_exp(order, span, dtype):
    line = torch.linspace(0, -span, 9, dtype=dtype)
    s = torch.stack(
        [{"down": line, "up": line.flip(0), "mixed": line[[4, 0, 8, 1, 7, 2, 6, 3, 5]]}[order], line / span]
    )
    s.requires_grad_()
    exact = s.detach().double().requires_grad_()
    tails = torch.stack([exact[:, i:].logsumexp(-1) - exact[:, i] for i in range(9)]).sum(0)
    found = plackett_luce(s)
    # A score of this size is itself known to eps × span only.
    tolerance = 20 * torch.finfo(dtype).eps
    assert_close(found.double(), tails, rtol=tolerance, atol=tolerance * span)
    slopes = [torch.autograd.grad(loss.sum(), at)[0].double() for loss, at in ((found, s), (tails, exact))]
    assert_close(*slopes, rtol=tolerance, atol=tolerance * span)


@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_squared_distances_of_thousands_in_float32(scale):
    contexts = random_contexts(5, n=6, dtype=torch.float32, scale=scale)
    exact = contexts.to(torch.float64)
    predictions = random_like(6, 3, 6, 2, dtype=torch.float32)
    assert scores(predictions[:, 0], contexts.responses).amin() < -(scale**2)
    (losses, *gradients), _ = both(predictions, contexts, range(1, 7), "squared")
    _, (expected, *slopes) = both(predictions.double(), exact, range(1, 7), "squared")
    assert_close(losses.double(), expected, rtol=1e-5, atol=1e-6 * scale**2)
    for gradient, slope in zip(gradients, slopes, strict=True):
        assert gradient.isfinite().all()
        assert_close(gradient.double(), slope, rtol=1e-3, atol=1e-4 * scale)


def test_responses_far_from_the_origin_keep_their_differences():
    contexts = random_contexts(7, n=5, dtype=torch.float32)
    predictions = random_like(8, 3, 5, 2, dtype=torch.float32)
    near = prefix_plackett_luce(predictions, contexts.responses, contexts.rewards)
    far = prefix_plackett_luce(predictions + 4096, contexts.responses + 4096, contexts.rewards)
    assert_close(far, near, rtol=0, atol=2e-2)  # 4096 ± 5e-4 is all that float32 holds


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reward", REWARDS)
def test_half_precision_is_computed_in_float32(reward, dtype):
    contexts = random_contexts(9).to(dtype)
    predictions = random_like(10, 3, 4, 2).to(dtype).requires_grad_()
    loss = prefix_plackett_luce(predictions, contexts.responses, contexts.rewards, reward=reward)
    wide = prefix_plackett_luce(predictions.float(), contexts.responses.float(), contexts.rewards, reward=reward)
    assert loss.dtype == scores(predictions[:, 0], contexts.responses, reward).dtype == torch.float32
    assert loss.equal(wide)
    assert torch.autograd.grad(loss.sum(), predictions)[0].dtype == dtype
    s = random_like(0, 4).to(dtype)
    assert {f.dtype for f in (plackett_luce(s), info_nce(s))} == {torch.float32}


def test_autocast_does_not_round_scores():
    contexts = random_contexts(11, n=6, dtype=torch.float32)
    predictions = random_like(12, 3, 6, 2, dtype=torch.float32)
    for reward in REWARDS:
        plain = prefix_plackett_luce(predictions, contexts.responses, contexts.rewards, reward=reward)
        with torch.autocast("cpu", torch.bfloat16):
            assert prefix_plackett_luce(predictions, contexts.responses, contexts.rewards, reward=reward).equal(plain)


@pytest.mark.parametrize("reward", REWARDS)
def test_second_derivatives(reward):
    contexts = random_contexts(13, batch=2, n=3)
    inputs = random_like(14, 2, 2, 2).requires_grad_(), contexts.responses.clone().requires_grad_()

    def loss(f, y):
        return prefix_plackett_luce(f, y, contexts.rewards, lengths=[3, 2], reward=reward)

    assert gradcheck(loss, inputs)
    assert gradgradcheck(loss, inputs)


def test_the_squared_reward_is_convex_in_w_and_the_cosine_is_not():
    contexts = random_contexts(15, batch=1, n=4)

    def least_curvature(reward, seed):
        def loss(w):
            f = (w.view(1, 2, 3) @ contexts.query[..., None]).mT
            return prefix_plackett_luce(f, contexts.responses, contexts.rewards, lengths=[4], reward=reward).sum()

        return torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, random_like(seed, 6))).min()

    assert all(least_curvature("squared", seed) > -1e-12 for seed in range(5))
    assert any(least_curvature("cosine", seed) < -1e-2 for seed in range(5))


def test_a_context_that_diverged_leaves_the_others_alone():
    contexts = random_contexts(19)
    f = random_like(20, 3, 4, 2)
    expected = prefix_plackett_luce(f, contexts.responses, contexts.rewards)
    f[1] = torch.nan
    found = prefix_plackett_luce(f, contexts.responses, contexts.rewards)
    assert found[[0, 2]].equal(expected[[0, 2]])
    assert found[1, 1:].isnan().all()


F, Y, R = torch.ones(2, 4, 3), torch.ones(2, 4, 3), torch.ones(2, 4)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: prefix_plackett_luce(F, Y, R[:, :3]), "rewards has shape (2, 3): give [batch, n] with n = 4, not 3"),
        (
            lambda: prefix_plackett_luce(F[:, :3], Y, R),
            "predictions has shape (2, 3, 3): give [batch, p, d] with p = 4, not 3",
        ),
        (lambda: prefix_plackett_luce(F[0], Y, R), "predictions has shape (4, 3): give [batch, p, d]"),
        *(
            (
                lambda lengths=lengths: prefix_plackett_luce(F, Y, R, lengths=lengths),
                f"lengths is {shown}: give a list of whole numbers from 1 to n = 4",
            )
            for lengths, shown in (([0, 5], "[0, 5]"), (torch.tensor(2), "2"), ([1.5], "[1.5]"))
        ),
        (lambda: prefix_plackett_luce(F, Y, R, reward="l2"), "reward is 'l2': choose one of squared, cosine"),
        (lambda: scores(F[0, 0], Y[0], "l2"), "reward is 'l2': choose one of squared, cosine"),
        (lambda: scores(F[0, 0, 0], Y[0]), "prediction has shape (): give [..., d]"),
        (
            lambda: scores(F[0], Y[0]),
            "responses has shape (4, 3): give [..., n, d], with the leading axes of prediction, (4,)",
        ),
    ],
)
def test_bad_input_names_value_and_remedy(asked, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        asked()
