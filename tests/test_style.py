"""The look at the style sees what it should: a long sentence, a turned one, a word of the glossary's last column."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def style(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    sys.modules.pop("style", None)
    import style

    return style


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [
        (
            "Of a request that was refused Inspect tells all but the reason first; that is what it comes from.",
            "inverted",
        ),
        ("That hits are planned as a part of what could be hit was 0.80 by shares.", "inverted"),
        ("By which the rate is multiplied.", "inverted"),
        ("We show the feedback to the model.", "'critique'"),
        ("It is so, " * 12 + "and so it goes on.", "words, at most"),
    ],
)
def test_it_finds_a_fault(style, sentence, fault):
    found = [each for part in style.sentences(sentence) for each in style.faults(part, style.glossary())]
    assert any(fault in each for each in found), found


def test_it_passes_plain_words_code_and_quotations(style):
    plain = 'A critic checks the answer. `--feedback` is no option; "of which it is" is quoted. '
    assert [each for part in style.sentences(plain) for each in style.faults(part, style.glossary())] == []
    page = "Words.\n\n```sh\nfeedback of which it is\n```\n\n| feedback | of which it is |\n\n- one\n- two\n"
    assert [text for _, text in style.paragraphs(page)] == ["Words.", "one", "two"]


def test_the_glossary_has_at_most_25_words_each_with_one_meaning(style):
    page = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| **")]
    assert 0 < len(rows) <= 25
    assert len(style.glossary()) >= len(rows)
    assert not set(style.glossary()) & set(style.glossary().values())


def test_a_docstring_begins_with_a_noun_or_a_verb(style):
    assert style.FIRST.match("By which the rate is multiplied in a step.")
    assert not style.FIRST.match("Learning-rate multiplier at a step.")
    assert list(style.of_docstrings()) == []


def test_the_pages_are_without_fault(style):
    assert list(style.of_pages()) == []


def test_every_tool_that_can_check_its_pages_is_asked_to():
    tools = {file.stem for file in (ROOT / "tools").glob("*.py") if "--check" in file.read_text("utf-8")}
    listed = runpy.run_path(str(ROOT / "tools/check.py"))["TOOLS"]
    assert {*listed, "check", "own_task", "tutorials"} == tools
