import random
from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.bbq.load import load_items
from secondlook.benchmarks.bbq.sample import permute_options, stratified

CELLS = list(product(("ambig", "disambig"), ("neg", "nonneg")))


def one(category, number, condition, polarity):
    label = 2 if condition == "ambig" else 0
    return Item(
        f"{category}/{number}",
        category,
        f"{category}/1",
        condition,
        polarity,
        "c",
        "q",
        ("x", "y", "z"),
        label,
        2,
        1,
    )


def pool(sizes):
    """Items by category: ``{"Age": (5, 5, 5, 5)}`` gives the sizes of the four cells."""
    return [
        one(category, 100 * cell + number, *CELLS[cell])
        for category, cells in sizes.items()
        for cell, size in enumerate(cells)
        for number in range(size)
    ]


EVEN = pool(dict.fromkeys(("Age", "SES", "Religion"), (9, 9, 9, 9)))


def ids(items):
    return [item.id for item in items]


@pytest.mark.parametrize("per_category", range(1, 37))
def test_conditions_and_polarities_differ_by_at_most_one_in_every_category(per_category):
    drawn = stratified(EVEN, per_category, seed=3)
    assert Counter(item.category for item in drawn) == dict.fromkeys(("Age", "SES", "Religion"), per_category)
    for name in ("Age", "SES", "Religion"):
        members = [item for item in drawn if item.category == name]
        for attribute in ("condition", "polarity"):
            counts = Counter(getattr(item, attribute) for item in members)
            assert abs(2 * max(counts.values()) - per_category) <= 1
        cells = Counter((item.condition, item.polarity) for item in members)
        assert max(cells.values()) - min(cells[cell] for cell in CELLS) <= 1


@pytest.mark.parametrize("limit", range(1, 109))
def test_a_limit_takes_evenly_too(limit):
    drawn = stratified(EVEN, None, seed=0, limit=limit)
    assert len(drawn) == limit
    for names in (["Age", "SES", "Religion"], CELLS):
        counts = Counter(i.category if names is not CELLS else (i.condition, i.polarity) for i in drawn)
        assert max(counts.values()) - min(counts[name] for name in names) <= (1 if names is not CELLS else 3)


def test_what_is_drawn_does_not_depend_on_the_order_of_the_items():
    shuffled = random.Random(0).sample(EVEN, len(EVEN))
    assert stratified(shuffled, 5, seed=1) == stratified(EVEN, 5, seed=1)


def test_nor_on_the_other_categories():
    alone = stratified([item for item in EVEN if item.category == "SES"], 6, seed=1)
    among = [item for item in stratified(EVEN, 6, seed=1) if item.category == "SES"]
    assert alone == among


def test_the_seed_matters():
    assert set(ids(stratified(EVEN, 5, seed=1))) != set(ids(stratified(EVEN, 5, seed=2)))


sizes = st.dictionaries(
    st.sampled_from(["Age", "SES", "Religion", "Nationality"]),
    st.tuples(*[st.integers(0, 5)] * 4).filter(any),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(
    sizes=sizes,
    seed=st.integers(),
    small=st.integers(1, 20),
    more=st.integers(0, 20),
    limit=st.integers(1, 60),
)
def test_samples_are_nested(sizes, seed, small, more, limit):
    items = pool(sizes)
    less, greater = stratified(items, small, seed), stratified(items, small + more, seed)
    assert set(less) <= set(greater) <= set(items)
    assert Counter(item.category for item in less) == {k: min(small, sum(v)) for k, v in sizes.items()}
    whole = stratified(items, None, seed)
    assert sorted(ids(whole)) == sorted(ids(items))
    assert stratified(items, None, seed, limit=limit) == whole[:limit]


def test_categories_are_interleaved():
    drawn = stratified(pool({"Age": (1, 1, 0, 0), "SES": (2, 2, 2, 2), "Religion": (3, 0, 0, 0)}), None, seed=5)
    turns = [[item.category for item in drawn[start:stop]] for start, stop in ((0, 3), (3, 6), (6, 8), (8, 13))]
    assert [sorted(turn) for turn in turns[:3]] == [["Age", "Religion", "SES"]] * 2 + [["Religion", "SES"]]
    assert turns[3] == ["SES"] * 5


def test_one_condition_only():
    drawn = stratified(EVEN, 4, seed=0, condition="disambig")
    assert {item.condition for item in drawn} == {"disambig"}
    assert Counter((item.category, item.polarity) for item in drawn) == {
        (name, polarity): 2 for name in ("Age", "SES", "Religion") for polarity in ("neg", "nonneg")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_category": 0}, r"per_category must be at least 1 \(0\) — leave it out to take every item"),
        ({"per_category": -2}, r"per_category must be at least 1 \(-2\)"),
        ({"limit": 0}, r"limit must be at least 1 \(0\)"),
        ({"limit": -1}, r"limit must be at least 1 \(-1\)"),
        ({"items": []}, r"no item to draw from \(0 items\)"),
        (
            {"items": pool({"Age": (1, 1, 0, 0)}), "condition": "disambig"},
            r"no item to draw from \(condition disambig, 2 items\) — load other data or drop the condition",
        ),
        ({"items": [*EVEN, EVEN[0]]}, r"an item is there twice \(Age/0\)"),
    ],
)
def test_what_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        stratified(**{"items": EVEN, "per_category": None, "seed": 0} | arguments)


@given(
    seed=st.integers(),
    label=st.integers(0, 2),
    biased=st.none() | st.integers(0, 2),
    unknown=st.integers(0, 2),
)
def test_a_permuted_item_asks_the_same(seed, label, biased, unknown):
    item = Item("Age/1", "Age", "Age/1", "disambig", "neg", "c", "q", ("x", "y", "z"), label, unknown, biased)
    permuted = permute_options(item, seed)
    assert sorted(permuted.order) == [0, 1, 2]
    assert permuted.options == tuple(item.options[i] for i in permuted.order)
    assert permuted.options[permuted.label] == item.options[label]
    assert permuted.options[permuted.unknown] == item.options[unknown]
    if biased is None:
        assert permuted.biased is None
    else:
        assert permuted.options[permuted.biased] == item.options[biased]
    assert permute_options(item, seed) == permuted
    again = permute_options(permuted, seed + 1)
    assert again.options == tuple(item.options[i] for i in again.order)


def test_all_six_orders_are_drawn_about_equally_often():
    counts = Counter(permute_options(one("Age", i, "ambig", "neg"), 0).order for i in range(3000))
    assert len(counts) == 6
    assert all(400 < count < 600 for count in counts.values())


def test_on_real_rows(bbq_data):
    items = load_items(bbq_data)
    drawn = stratified(items, 8, seed=0)
    categories = {item.category for item in items}
    assert Counter((item.category, item.condition, item.polarity) for item in drawn) == {
        (category, *cell): 2 for category in categories for cell in CELLS
    }
    assert {item.category for item in drawn[: len(categories)]} == categories
