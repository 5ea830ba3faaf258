"""Samples of questions: seeded, stratified, and growing without changing what was drawn before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations

from secondlook.benchmarks.bbq.item import Condition, Item, Polarity
from secondlook.correction.case import seed_from

Cell = tuple[Condition, Polarity]

_ORDERS = tuple((a, b, c) for a, b, c in permutations((0, 1, 2)))


def stratified(
    items: Iterable[Item],
    per_category: int | None,
    seed: int,
    condition: Condition | None = None,
    limit: int | None = None,
) -> list[Item]:
    """Draw a sample stratified over category, condition and polarity.

    Within a category the conditions differ by at most one item, and so do the polarities, as long as each has
    items left. The same holds over categories. What is drawn depends on the seed and the items' ids only: not
    on their order, and within a category not on which other categories are there. Samples are nested: a
    larger ``per_category`` contains the smaller one's items, and a larger ``limit`` continues the smaller
    one's list.

    Args:
        items: Questions with unique ids.
        per_category: Items of each category (all it has, if it has fewer); ``None`` for all.
        seed: Any integer.
        condition: Draw from this context condition only.
        limit: Items altogether; ``None`` for no limit.

    Returns:
        The sample, categories interleaved: each takes its next turn once every other with items left had its
        own.

    Raises:
        ValueError: ``per_category`` or ``limit`` is below 1, no item is left to draw from, or an id is there
            twice.
    """
    for name, value in (("per_category", per_category), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1 ({value}) — leave it out to take every item")
    categories: dict[str, list[Item]] = defaultdict(list)
    ids: set[str] = set()
    for item in items:
        if item.id in ids:
            raise ValueError(f"an item is there twice ({item.id}) — load each folder once")
        ids.add(item.id)
        if condition is None or item.condition == condition:
            categories[item.category].append(item)
    if not categories:
        wanted = f"condition {condition}, {len(ids)} items" if condition else "0 items"
        raise ValueError(f"no item to draw from ({wanted}) — load other data or drop the condition")
    queues = {name: _category_order(name, members, seed)[:per_category] for name, members in categories.items()}
    return _interleave(queues, seed)[:limit]


def permute_options(item: Item, seed: int) -> Item:
    """The same question with its options in an order drawn for this item alone.

    Args:
        item: A question, permuted or not.
        seed: Any integer; the order depends on it and on the item's id only.

    Returns:
        The question with ``options``, ``label``, ``unknown``, ``biased`` and ``order`` permuted alike.
    """
    order = _ORDERS[seed_from(seed, "order", item.id) % len(_ORDERS)]
    a, b, c = order
    return replace(
        item,
        options=(item.options[a], item.options[b], item.options[c]),
        order=(item.order[a], item.order[b], item.order[c]),
        label=order.index(item.label),
        unknown=order.index(item.unknown),
        biased=None if item.biased is None else order.index(item.biased),
    )


def _category_order(category: str, items: list[Item], seed: int) -> list[Item]:
    """All items of a category such that every beginning of the list is as even over the cells as can be."""
    cells: dict[Cell, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: (seed_from(seed, "sample", item.id), item.id)):
        cells[_cell(item)].append(item)
    order: list[Item] = []
    for turn in range(max(len(members) for members in cells.values())):
        ranks = {
            seed_from(seed, "cell", category, turn, *cell): cell
            for cell, members in cells.items()
            if len(members) > turn
        }
        left = [ranks[rank] for rank in sorted(ranks)]
        # After a cell comes the one opposite in both condition and polarity, which evens out both at once.
        opposite = [cell for cell in left[1:] if cell[0] != left[0][0] and cell[1] != left[0][1]]
        rest = [cell for cell in left[1:] if cell not in opposite]
        order += [cells[cell][turn] for cell in (left[0], *opposite, *rest)]
    return order


def _interleave(queues: dict[str, list[Item]], seed: int) -> list[Item]:
    """One item of each category in turn; within a turn, first the items of the cells met least so far."""
    met: Counter[Cell] = Counter()
    order: list[Item] = []
    for turn in range(max(len(queue) for queue in queues.values())):
        ranks = {seed_from(seed, "turn", turn, name): name for name in queues if len(queues[name]) > turn}
        left = [queues[ranks[rank]][turn] for rank in sorted(ranks)]
        while left:
            item = min(left, key=lambda item: met[_cell(item)])
            left.remove(item)
            met[_cell(item)] += 1
            order.append(item)
    return order


def _cell(item: Item) -> Cell:
    return item.condition, item.polarity
