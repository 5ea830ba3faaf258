"""Time of a study by a pilot, beside pilots made by a law that is known."""

import itertools

import pytest

from secondlook.evaluation.planning.schedule import PARTS, Load, Rates, Site, wall
from secondlook.evaluation.planning.timing import Latency, fit_clock, fit_latency, seconds_of
from secondlook.evaluation.planning.tokens import Ratio, Spent

LAW = Latency(0.05, 0.001, 0.02)
LENGTHS = {("first", 0): (100, 5), ("check", 0): (160, 40), ("again", 1): (230, 7), ("check", 1): (300, 43)}
RATES = Rates(question=0.02, work=0.05, in_flight=32, longest=2.0, opening=6.0, arm=0.5, report=0.01)
LOAD = Load(questions=1000, calls=3000, latency=1200.0, uncached=5e5, replied=6e4)


def pilot(questions, lengths, law=LAW):
    known = {
        cell: Ratio(1.0, 0.25, reply, 0.0, 0.0, law(1, prompt, reply), prompt)
        for cell, (prompt, reply) in lengths.items()
    }
    return known, {cell: Spent(questions, questions * p, questions * r) for cell, (p, r) in lengths.items()}


def test_a_known_law_of_latencies_is_found_and_goes_on_to_longer_prompts():
    known, tokens = pilot(100, LENGTHS)
    law = fit_latency([known], [tokens])
    for found, true in zip((law.call, law.prompt_token, law.reply_token), (0.05, 0.001, 0.02), strict=True):
        assert found == pytest.approx(true, rel=1e-6)
    later = {("first", 0): Spent(500, 50_000, 2_500), ("again", 3): Spent(500, 300_000, 3_000)}
    assert seconds_of(law, known, later) == pytest.approx(LAW(1000, 350_000, 5_500))


def test_no_rate_is_negative():
    known, tokens = pilot(100, LENGTHS, Latency(0.5, 0.0, 0.0))
    falling = {cell: Ratio(1, 0.25, r.reply, 0, 0, 1 - r.prompt / 1000, r.prompt) for cell, r in known.items()}
    law = fit_latency([falling], [tokens])
    assert min(law.call, law.prompt_token, law.reply_token) >= 0


def test_the_concurrency_that_was_reached_and_the_harness_are_told_apart_by_arms():
    latencies = [100.0, 250.0, 600.0]
    spans = [88 * 0.03 + latency / 20 for latency in latencies]
    clock = fit_clock([88] * 3, latencies, spans)
    assert clock.question == pytest.approx(0.03)
    assert clock.work == pytest.approx(1 / 20)


@pytest.mark.parametrize("latencies", [[100.0], [100.0, 100.0]])
def test_where_arms_cannot_tell_all_is_the_endpoints(latencies):
    clock = fit_clock([88] * len(latencies), latencies, [8.0] * len(latencies))
    assert clock.question == 0
    assert clock.work == pytest.approx(0.08)


def test_the_parts_add_up():
    took = wall([LOAD, LOAD], RATES, Site())
    assert took.seconds == pytest.approx(6 + 2 * 0.5 + 2 * 20 + 2 * 60 + 2 * 10)
    assert took.seconds == pytest.approx(sum(getattr(took, part) for part in PARTS))
    assert took.limit == "endpoints"
    assert took.filled == pytest.approx(1000 / 32)


def test_what_grows_is_no_longer_the_limit():
    many = wall([LOAD], RATES, Site(endpoints=8))
    assert many.endpoints == pytest.approx(60 / 8)
    assert (many.limit, many.harness) == ("harness", 20)
    both = wall([LOAD], RATES, Site(endpoints=100, drivers=100))
    assert both.harness == pytest.approx(0.2)
    assert both.limit == "reporting"
    assert both.filled < 1
    # No arm ends before its longest conversation: twice the mean of 1.2 seconds.
    assert both.waiting == pytest.approx(2.4 - 0.2 - 0.6)


def test_a_thousand_endpoints_do_not_share_ten_questions():
    few = Load(questions=10, calls=30, latency=12.0, uncached=0, replied=0)
    assert wall([few], RATES, Site(endpoints=1000, drivers=1000)) == wall(
        [few], RATES, Site(endpoints=1000, drivers=10)
    )


def test_stated_rates_stand_in_place_of_the_pilots():
    rates = Rates(**{name: getattr(RATES, name) for name in RATES.__slots__} | {"prompt_rate": 1e4, "reply_rate": 2e3})
    took = wall([LOAD], rates, Site())
    assert took.endpoints == pytest.approx(5e5 / 1e4 + 6e4 / 2e3)
    thousand = wall([LOAD], rates, Site(endpoints=1000, drivers=1000))
    # One question at an endpoint: nobody beside it, twice the mean work.
    assert thousand.endpoints + thousand.harness + thousand.waiting == pytest.approx(2 * 80 / 1000)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"endpoints": 0}, "endpoints is 0; give 1 or more"),
        ({"drivers": 0}, "drivers is 0; give 1 or more"),
        ({"gpus_per_endpoint": -1.0}, "GPUs of an endpoint are -1.0; give 0 or more"),
        ({"prompt_rate": 5.0}, "--prompt-rate and --reply-rate go together; give both or neither"),
        ({"prompt_rate": 5.0, "reply_rate": 0.0}, "a rate is 0.0 tokens a second; give more than 0"),
    ],
)
def test_a_site_that_cannot_be(fields, said):
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        Site(**fields)


def test_more_of_anything_never_takes_longer():
    seconds = [wall([LOAD], RATES, Site(endpoints=count, drivers=count)).seconds for count in (1, 2, 8, 64, 1000)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(seconds))
