"""The tutorials show what their commands print: one on committed records, one on a real model where it can be had."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def filled(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import tutorials

    def filled(page, folder, change=str):
        text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
        return text, tutorials.filled(page, change(text), folder)

    return filled


@pytest.mark.parametrize("page", ["read-a-diagnosis", "gates", "compare"])
def test_a_worked_example_is_what_the_committed_records_say(filled, page):
    old, new = filled(page, ROOT)
    assert new == old


def test_the_commands_of_ten_minutes_run(filled, smollm2, tmp_path):
    """With three questions: each command ends well, and prints what the page shows of it."""
    assert smollm2.is_file()
    old, new = filled("ten-minutes", tmp_path, lambda page: page.replace("--per-category 10", "--per-category 1"))
    for page in (old, new):
        assert [line.split()[0] for line in shown(page, "ask") if line.startswith(("self", "none", "tool"))] == [
            "self",
            "none",
            "tool",
        ]
        assert shown(page, "why")[0].startswith("round right")
        assert shown(page, "questions")[0].startswith('{"id": "add-0"')
    assert shown(new, "power") == shown(old, "power")


@pytest.mark.soak
def test_ten_minutes_with_a_real_model(filled, smollm2, tmp_path):
    """To the last digit, which another processor may round otherwise."""
    assert smollm2.is_file()
    old, new = filled("ten-minutes", tmp_path)
    assert new == old


def shown(page, name):
    """Lines of a block of output."""
    return page.split(f"<!-- {name}:start -->\n```\n")[1].split("\n```")[0].splitlines()
