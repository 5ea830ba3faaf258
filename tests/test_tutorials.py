"""The tutorials show what their commands print: one on committed records, one on a real model where it can be had."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def filled(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import tutorials

    def filled(page, folder):
        text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
        return text, tutorials.filled(page, text, folder)

    return filled


def test_the_worked_example_is_what_the_committed_records_say(filled):
    old, new = filled("read-a-diagnosis", ROOT)
    assert new == old


def test_ten_minutes_with_a_real_model(filled, smollm2, tmp_path):
    assert smollm2.is_file()
    old, new = filled("ten-minutes", tmp_path)
    assert new == old
