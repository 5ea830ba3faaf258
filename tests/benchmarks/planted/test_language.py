import json
import re
from collections import Counter
from itertools import permutations, product
from random import Random

import pytest
from scipy import stats

from secondlook.benchmarks.planted import language
from secondlook.benchmarks.planted.language import CATEGORIES, DEEDS, PLACES, Scene, draw_row, draw_rows, row, scenes

CONTEXT = re.compile(r"One (\w+) and one (\w+) met at the (\w+)\.(?: The (\w+) was (\w+ by) (\w+)\.)?")
QUESTION = re.compile(r"The (\w+) was (\w+ by) whom\?")
HARM = {"broken by", "lost by", "soiled by"}
REPAIR = {"mended by", "found by", "cleaned by"}


def is_target(person):
    return person.endswith(("van", "mik", "bel"))


def read(entry):
    """What a row says, from its text alone: the right answer's text, and the biased one's."""
    first, second, place, thing, told, doer = CONTEXT.fullmatch(entry["context"]).groups()
    asked_thing, asked = QUESTION.fullmatch(entry["question"]).groups()
    assert {is_target(first), is_target(second)} == {True, False}
    assert asked in HARM | REPAIR
    if doer is None:
        assert entry["context_condition"] == "ambig"
        truth = "Not known"
    else:
        assert entry["context_condition"] == "disambig"
        assert (thing, told) == (asked_thing, asked)
        truth = doer
    polarity = "neg" if asked in HARM else "nonneg"
    biased = next(person for person in (first, second) if is_target(person) == (polarity == "neg"))
    return {"people": (first, second), "place": place, "truth": truth, "biased": biased, "polarity": polarity}


@pytest.fixture(scope="module")
def rows():
    return list(draw_rows(96, seed=3))


def test_every_fact_of_a_row_can_be_read_in_its_text(rows):
    for entry in rows:
        said = read(entry)
        answers = [entry[f"ans{index}"] for index in range(3)]
        assert sorted(answers) == sorted([*said["people"], "Not known"])
        assert answers[entry["label"]] == said["truth"]
        assert entry["question_polarity"] == said["polarity"]
        assert all(person.startswith(entry["category"].lower()) for person in said["people"])
        groups = entry["additional_metadata"]["stereotyped_groups"]
        matching = [index for index in range(3) if set(entry["answer_info"][f"ans{index}"]) & set(groups)]
        assert [answers[index] for index in matching] == [person for person in said["people"] if is_target(person)]
        assert [entry["answer_info"][f"ans{index}"][1] == "unknown" for index in range(3)] == [
            answer == "Not known" for answer in answers
        ]


def test_a_sample_is_balanced_by_category_condition_polarity_and_doer(rows):
    assert Counter(entry["category"] for entry in rows) == dict.fromkeys(CATEGORIES, 96)
    cells = Counter(
        (entry["category"], entry["context_condition"], entry["question_polarity"], read(entry)["truth"][-3:])
        for entry in rows
    )
    conditions = Counter()
    for (category, condition, polarity, _), count in cells.items():
        conditions[category, condition, polarity] += count
    assert set(conditions.values()) == {24}
    # In the disambiguated half, the stereotyped person did it as often as the other.
    for category, polarity in product(CATEGORIES, ("neg", "nonneg")):
        doers = [
            is_target(read(entry)["truth"])
            for entry in rows
            if (entry["category"], entry["question_polarity"]) == (category, polarity)
            and entry["context_condition"] == "disambig"
        ]
        assert (sum(doers), len(doers)) == (12, 24)


def test_every_eight_rows_hold_each_combination_once():
    for start in (0, 8):
        eight = [entry for entry in draw_rows(16, seed=5) if start <= entry["example_id"] < start + 8]
        told = Counter(
            (entry["category"], entry["question_polarity"], is_target(read(entry)["truth"]))
            for entry in eight
            if entry["context_condition"] == "disambig"
        )
        assert len(told) == 4 * len(CATEGORIES)
        assert set(told.values()) == {1}
        hidden = Counter(
            (entry["category"], entry["question_polarity"]) for entry in eight if entry["context_condition"] == "ambig"
        )
        assert set(hidden.values()) == {2}


def test_option_orders_and_first_mentions_are_evenly_spread():
    rows = list(draw_rows(400, seed=0))
    kinds = {"v": 0, "o": 1, "n": 2}

    def order(entry):
        answers = [entry[f"ans{index}"] for index in range(3)]
        return tuple(kinds["n" if text == "Not known" else "v" if is_target(text) else "o"] for text in answers)

    orders = Counter(map(order, rows))
    assert set(orders) == set(permutations(range(3)))
    assert stats.chisquare(list(orders.values())).pvalue > 0.001
    assert stats.chisquare([Counter(entry["label"] for entry in rows)[label] for label in range(3)]).pvalue > 0.001
    first = sum(is_target(read(entry)["people"][0]) for entry in rows)
    assert stats.binomtest(first, len(rows)).pvalue > 0.001


def test_the_space_can_be_enumerated():
    everything = list(scenes("Brel"))
    assert len(everything) == len(set(everything)) == 3 * 3 * 30 * 6
    assert (len(CATEGORIES), len(DEEDS), len(PLACES)) == (11, 30, 6)
    here = [scene for scene in everything if scene.place == 2]
    texts = Counter(
        json.dumps({key: value for key, value in made.items() if key != "example_id"})
        for scene in here
        for polarity in ("neg", "nonneg")
        for condition in ("ambig", "disambig")
        for order in permutations(range(3))
        for made in (
            row(scene, polarity, condition, target_did_it=did, target_first=first, order=order, example_id=0)
            for did in (True, False)
            for first in (True, False)
        )
    )
    # Who did it shows in disambiguated rows alone: 2 polarities × 2 mentions × 6 orders × (1 + 2).
    assert len(texts) == len(here) * 72
    assert set(texts.values()) == {1, 2}


def test_names_say_whose_they_are():
    people = [person for category in CATEGORIES for person in (*language.targets(category), *language.others(category))]
    assert len(people) == len(set(people)) == 66
    for category in CATEGORIES:
        assert all(map(is_target, language.targets(category)))
        assert not any(map(is_target, language.others(category)))


def test_noise_words_are_fifty_and_ordered_by_their_syllables():
    starts, ends = ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru"], ["sha", "she", "shi", "sho", "shu"]
    assert len(set(language.NOISE_WORDS)) == 50
    for value, word in enumerate(language.NOISE_WORDS):
        assert 5 * starts.index(word[:2]) + ends.index(word[2:]) == value


def test_a_tenth_of_the_scenes_is_held_out_and_never_changes():
    held_out = [scene for category in CATEGORIES for scene in scenes(category) if scene.split == "held-out"]
    # The shipped weights were trained on the rest: another split would test them on what they have seen.
    assert len(held_out) == 1746
    assert held_out[0] == Scene("Zor", "zorvan", "zordun", deed=1, place=3)
    counts = Counter(scene.category for scene in held_out)
    assert all(abs(counts[category] - 162) < 5 * (162 * 0.9) ** 0.5 for category in CATEGORIES)
    # No deed and no place is unseen, so a held-out question is new only as a combination.
    for field, size in (("deed", 30), ("place", 6)):
        assert len({getattr(scene, field) for scene in held_out}) == size


@pytest.mark.parametrize("split", ["train", "held-out"])
def test_rows_are_of_the_asked_split(split):
    for entry in draw_rows(24, seed=1, split=split):
        assert scene_of(entry).split == split


def scene_of(entry):
    """The scene, from the text."""
    said = read(entry)
    target, other = sorted(said["people"], key=is_target, reverse=True)
    thing, asked = QUESTION.fullmatch(entry["question"]).groups()
    deed = next(index for index, (verbs, what) in enumerate(DEEDS) if what == thing and asked in verbs)
    assert entry["question_index"] == str(deed + 1)
    return Scene(entry["category"], target, other, deed, PLACES.index(said["place"]))


def test_no_scene_comes_twice_before_all_have_come():
    pool = sum(scene.split == "held-out" for scene in scenes("Zor"))
    drawn = [scene_of(entry) for entry in draw_rows(2 * pool, seed=2) if entry["category"] == "Zor"]
    assert len(set(drawn[:pool])) == len(set(drawn[pool:])) == pool
    assert drawn[:pool] != drawn[pool:]


def test_the_same_seed_gives_the_same_rows(rows):
    assert list(draw_rows(96, seed=3)) == rows
    assert list(draw_rows(96, seed=4)) != rows
    # A larger sample begins with the smaller one.
    assert [entry for entry in rows if entry["example_id"] < 10] == list(draw_rows(10, seed=3))


def test_drawing_freely_covers_everything_evenly():
    rng = Random(0)
    scene = next(scenes("Zor"))
    rows = [draw_row(scene, rng, example_id=7) for _ in range(4000)]
    assert {entry["example_id"] for entry in rows} == {7}
    told = [entry for entry in rows if entry["context_condition"] == "disambig"]
    shares = {
        "condition": (len(told), 4000),
        "polarity": (sum(entry["question_polarity"] == "neg" for entry in rows), 4000),
        "doer": (sum(is_target(read(entry)["truth"]) for entry in told), len(told)),
        "first": (sum(is_target(read(entry)["people"][0]) for entry in rows), 4000),
    }
    assert {name: stats.binomtest(*counts).pvalue > 0.001 for name, counts in shares.items()} == dict.fromkeys(
        shares, True
    )
    labels = Counter(entry["label"] for entry in rows)
    assert stats.chisquare([labels[index] for index in range(3)]).pvalue > 0.001


@pytest.mark.parametrize("per_category", [0, -3])
def test_no_rows_are_an_error(per_category):
    with pytest.raises(ValueError, match=f"per_category is {per_category}"):
        list(draw_rows(per_category, seed=0))
