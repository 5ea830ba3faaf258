"""Continuations are scored as a whole forward pass scores them, from what was kept or from nothing."""

import math

import pytest
import torch
from planted_cases import GREEDY, cases

from secondlook.correction import Message, ModelCritic, Plan
from secondlook.correction.likelihood import place_of, shares_of
from secondlook.local.cache import CachedPrefix
from secondlook.local.lockstep import LockstepModel, run_lockstep
from secondlook.local.model import LocalModel
from secondlook.local.scoring import ScoreRequest, _alone, score_all


@pytest.fixture(scope="module")
def planted():
    return LocalModel("planted", "cpu")


def whole(model, ids, start):
    """Log-probability of the tokens from a place on, by one pass over all of them."""
    with torch.inference_mode():
        logits = model.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(float(logits[at - 1, ids[at]]) for at in range(start, len(ids)))


def test_batches_score_as_one_pass_alone_does(planted):
    torch.manual_seed(0)
    vocabulary = planted.model.config.vocab_size
    prompts = [torch.randint(4, vocabulary, (length,)).tolist() for length in (5, 40, 9)]
    tails = [[[7], [8], [9]], [[7, 8], [9, 10, 11]], [[5], [5, 6], [12]]]
    requests = [
        ScoreRequest([prompt + tail for tail in mine], CachedPrefix())
        for prompt, mine in zip(prompts, tails, strict=True)
    ]
    first, second, third = score_all(planted, requests, max_batch=2)
    for scored, prompt, mine in ((first, prompts[0], tails[0]), (second, prompts[1], tails[1])):
        expected = [whole(planted, prompt + tail, len(prompt)) for tail in mine]
        assert scored.logprobs == pytest.approx(expected, abs=1e-4)
        assert scored.tokens_out == tuple(map(len, mine))
    # "5" with which "5 6" begins is "5" and anything else after it.
    five, both, other = (whole(planted, prompts[2] + tail, len(prompts[2])) for tail in tails[2])
    alone = torch.log(torch.tensor(five).exp() - torch.tensor(both).exp()).item()
    assert third.logprobs == pytest.approx([alone, both, other], abs=1e-4)


def test_what_was_scored_is_not_read_again_for_what_follows(planted):
    """A number is scored a digit at a time: each takes one token more, and its scores are those of the whole prompt."""
    prompts = [[5, 6, 7, 8, 9], [5, 9, 4]]
    kept = [CachedPrefix(), CachedPrefix()]
    for digits in ([], [11], [11, 12]):
        said = [prompt + digits for prompt in prompts]
        requests = [ScoreRequest([[*ids, 11], [*ids, 12]], mine) for ids, mine in zip(said, kept, strict=True)]
        for ids, scored in zip(said, score_all(planted, requests), strict=True):
            assert scored.cached == (len(ids) - 1 if digits else 0)
            expected = [whole(planted, [*ids, digit], len(ids)) for digit in (11, 12)]
            assert scored.logprobs == pytest.approx(expected, abs=1e-4)
        kept = [request.kept for request in requests]


def test_of_continuations_that_begin_with_each_other_each_is_counted_once():
    """The mass of "100" is in that of "10", and is taken from that of "1" once: .6 − .3, .3 − .1, .1 and .4."""
    masses = {(1,): 0.6, (1, 0): 0.3, (1, 0, 0): 0.1, (2,): 0.4}
    logprobs = {tail: math.log(mass) for tail, mass in masses.items()}
    assert [math.exp(_alone(tail, logprobs)) for tail in masses] == pytest.approx([0.3, 0.2, 0.1, 0.4])


def test_one_that_is_too_long_gets_its_error_and_the_others_their_scores(planted):
    long = [7] * (planted.positions + 1)
    good, bad = ([[3, 4], [3, 5]], [[*long, 4], [*long, 5]])
    scored = score_all(planted, [ScoreRequest(ids, CachedPrefix()) for ids in (good, bad)])
    assert len(scored[0].logprobs) == 2
    assert isinstance(scored[1], ValueError)


def test_how_sure_a_subject_was_is_what_its_prompt_alone_says(planted):
    """In lock-step, from kept keys and values; the oracle encodes and computes every conversation anew."""
    model, some = LockstepModel(planted, GREEDY), cases(24)
    plan = Plan(rounds=1, elicit="auto", confidence=True)
    seen = 0
    for case, transcript in zip(some, run_lockstep(model, ModelCritic(model), some, plan), strict=True):
        assert not any(
            round_.elicited or (round_.critique and round_.critique.elicited) for round_ in transcript.rounds
        )
        for round_, length in zip(transcript.rounds, (1, 5), strict=True):
            shown = transcript.messages[:length]
            place = place_of(round_.answer, case.answer_form.read(*round_.stated), ("A", "B", "C"))
            ids = planted.encode_all(
                [(*shown, Message("assistant", place.before + each)) for each in place.continuations]
            )
            start = next(at for at in range(min(map(len, ids))) if len({each[at] for each in ids}) > 1)
            expected = shares_of([whole(planted, each, start) for each in ids])
            assert tuple(round_.shares.values()) == pytest.approx(expected, abs=1e-4)
            seen += 1
        shares = transcript.rounds[0].critique.shares
        assert shares is None or sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert transcript.rounds[0].critique.verdict == "unclear" or shares
    assert seen == 48


def test_a_subject_is_held_to_the_options_where_it_says_none(planted):
    """A case that reads nothing makes `auto` ask; the letter comes from the logits, and costs its tokens."""
    model, (case, *_) = LockstepModel(planted, GREEDY), cases(1)

    class Deaf(type(case)):
        __slots__ = ()

        @property
        def answer_form(self):
            return self.file.answer_form(lambda text, _: text if text in "ABC" else None, tuple("ABC"))

    deaf = Deaf(case.item, case.file, case.closing_words)
    (transcript,) = run_lockstep(model, ModelCritic(model), [deaf], Plan(rounds=0, elicit="auto", confidence=True))
    (round_,) = transcript.rounds
    assert (round_.elicited.how, round_.elicited.read) == ("logits", True)
    assert round_.elicited.text == max(round_.shares, key=round_.shares.get)
    assert round_.elicited.usage.output == 1
    assert transcript.usage.calls == 2
