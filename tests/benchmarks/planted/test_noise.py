import numpy as np
import pytest
from scipy import stats

from secondlook.benchmarks.planted.language import NOISE_WORDS
from secondlook.benchmarks.planted.noise import SCHEDULES, Noise

NOISY = [schedule for schedule in SCHEDULES if schedule != "none"]
SAMPLES = [f"Zor/{number}" for number in range(6000)]


def draws(schedule, stage, round_index, seed=0, samples=SAMPLES):
    return np.array([Noise(sample, schedule, seed).values(stage, round_index) for sample in samples])


def independent(one, other):
    """p-value of a chi-square test on the table of two series of words, in ten classes of five."""
    table = np.zeros((10, 10))
    np.add.at(table, (one // 5, other // 5), 1)
    return stats.chi2_contingency(table).pvalue


@pytest.mark.parametrize("schedule", NOISY)
@pytest.mark.parametrize("stage", ["query", "check"])
def test_words_are_uniform(schedule, stage):
    for place in (0, 1):
        counts = np.bincount(draws(schedule, stage, 1)[:, place], minlength=50)
        assert len(counts) == 50
        assert stats.chisquare(counts).pvalue > 0.001


def test_fresh_rounds_stages_words_and_seeds_are_independent():
    base = draws("fresh", "query", 0)
    for name, other in {
        "round": draws("fresh", "query", 1),
        "stage": draws("fresh", "check", 0),
        "seed": draws("fresh", "query", 0, seed=1),
        "sample": np.roll(base, 1, axis=0),
        "schedule": draws("fixed", "query", 0),
    }.items():
        for one in (0, 1):
            for two in (0, 1):
                assert independent(base[:, one], other[:, two]) > 0.001, (name, one, two)
    assert independent(base[:, 0], base[:, 1]) > 0.001


def test_the_test_of_independence_would_see_a_slight_dependence():
    base = draws("fresh", "query", 0)[:, 0]
    other = np.where(np.arange(len(base)) % 10 == 0, base, draws("fresh", "query", 1)[:, 0])
    assert independent(base, other) < 0.001


def test_fixed_words_are_those_of_the_item_in_every_round():
    for sample in SAMPLES[:50]:
        fixed = Noise(sample, "fixed", 0)
        for stage in ("query", "check"):
            assert len({fixed.values(stage, index) for index in range(5)}) == 1
    stages = [draws("fixed", stage, 0) for stage in ("query", "check")]
    assert independent(stages[0][:, 0], stages[1][:, 0]) > 0.001


def test_fresh_words_change_with_the_round():
    changed = (draws("fresh", "query", 0) != draws("fresh", "query", 1)).any(axis=1).mean()
    assert changed == pytest.approx(1 - 1 / 2500, abs=0.002)


def test_words_are_shown_as_they_are_counted():
    for sample in SAMPLES[:50]:
        noise = Noise(sample, "fresh", 3)
        first, second = noise.words("check", 2).split(" ")
        assert (NOISE_WORDS.index(first), NOISE_WORDS.index(second)) == noise.values("check", 2)


def test_the_same_item_has_the_same_words_in_any_process():
    # Committed results and the shipped subject's card rest on these draws.
    assert [Noise("Zor/0", schedule, 0).values("query", 1) for schedule in NOISY] == [(24, 35), (16, 37)]


def test_without_noise_there_is_no_word_and_no_value():
    noise = Noise("Zor/0", "none", 0)
    assert noise.words("query", 0) == noise.words("check", 3) == ""
    with pytest.raises(ValueError, match=r"item Zor/0 has no noise words \(schedule 'none'\); choose fresh or fixed"):
        noise.values("query", 0)
