from collections import Counter

import pytest

from secondlook.benchmarks.bbq.load import load_items
from secondlook.benchmarks.planted.items import draw_items, item_of, write_files
from secondlook.benchmarks.planted.language import CATEGORIES, draw_rows, targets


def test_the_strict_loader_reads_the_files_and_gives_the_same_items(tmp_path):
    paths = write_files(tmp_path / "planted", per_category=20, seed=4)
    assert [path.name for path in paths] == [f"{category}.jsonl" for category in CATEGORIES]
    loaded = load_items(tmp_path / "planted")
    assert sorted(loaded, key=lambda item: item.id) == sorted(draw_items(20, seed=4), key=lambda item: item.id)
    assert [len(path.read_text("utf-8").splitlines()) for path in paths] == [20] * 11


def test_files_are_written_alike_again(tmp_path):
    first = [path.read_bytes() for path in write_files(tmp_path / "a", per_category=5, seed=0, split="train")]
    again = [path.read_bytes() for path in write_files(tmp_path / "b", per_category=5, seed=0, split="train")]
    other = [path.read_bytes() for path in write_files(tmp_path / "c", per_category=5, seed=0)]
    assert first == again
    assert first != other


def test_the_biased_answer_follows_from_who_is_named_and_what_is_asked():
    for item in draw_items(48, seed=9):
        named = item.options[item.biased]
        assert item.biased != item.unknown
        harm = any(verb in item.question for verb in ("broken by", "lost by", "soiled by"))
        assert (item.polarity == "neg") == harm
        assert (named in targets(item.category)) == harm
        assert item.options[item.unknown] == "Not known"
        assert (item.label == item.unknown) == (item.condition == "ambig")


def test_items_come_category_by_category_in_turn():
    items = draw_items(3, seed=0)
    assert len(items) == len({item.id for item in items}) == 33
    for turn in range(3):
        part = items[11 * turn : 11 * (turn + 1)]
        assert [item.category for item in part] == sorted(CATEGORIES)
        assert {int(item.id.split("/")[1]) for item in part} == {turn}
    # So a limit keeps categories balanced, and halves of conditions too.
    assert Counter(item.condition for item in draw_items(8, seed=0)[:88]) == {"ambig": 44, "disambig": 44}


def test_templates_are_the_deeds_of_a_category():
    templates = {item.template for item in draw_items(200, seed=1)}
    for category in CATEGORIES:
        deeds = {int(name.removeprefix(f"{category}/")) for name in templates if name.startswith(category)}
        # Intervals are clustered by them, so there should be many. A few deeds happen to have no held-out scene.
        assert 28 <= len(deeds) <= 30
        assert deeds <= set(range(1, 31))


def test_a_row_that_contradicts_itself_is_refused():
    made = next(draw_rows(1, seed=0))
    assert made["context_condition"] == "ambig"
    with pytest.raises(ValueError, match="label of an ambiguous row is not its unknown answer"):
        item_of({**made, "label": (made["label"] + 1) % 3})
