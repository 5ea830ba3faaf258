"""The page of a comparison in Chromium: its picture, its table, both themes, on a telephone."""

import contrast
import pytest
from page_checks import check_accessible, check_names, check_policy, check_width

from command import secondlook


@pytest.fixture
def page_of(tmp_path):
    """A page of three models of which the second is better, and the third has a name that could break a page."""
    logs = []
    for name, rate in (("first", 2), ("better", 10), ("<b>x</b>" * 12, 2)):
        rows = [f"q{i},{int(i % 11 < rate)},{name}" for i in range(220)]
        logs.append(tmp_path / f"{len(logs)}.csv")
        logs[-1].write_text("\n".join(["sample,correct,model", *rows]) + "\n", encoding="utf-8")
    done = secondlook("compare", *logs, "--page", tmp_path / "page.html")
    assert done.code == 0, done.err
    return tmp_path / "page.html"


def test_every_log_has_a_card_a_line_of_the_picture_and_a_row(open_page, complaints, page_of):
    page = open_page(page_of)
    assert [card.get_attribute("data-standing") for card in page.locator("section.found").all()] == [
        "better",
        "undecided",
    ]
    assert page.locator("svg.forest circle.value").count() == page.locator("tbody tr").count() == 2
    assert page.locator("svg.forest circle.better").count() == 1
    zero = page.locator("svg.forest text.tick", has_text="0").first
    assert zero.is_visible()
    check_names(page, "svg, [role=region]")
    check_accessible(page)
    check_width(page, 1280, 800)
    page.set_viewport_size({"width": 360, "height": 800})  # a telephone, on which the table alone scrolls
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    check_policy(page, complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_themes(open_page, page_of, scheme):
    contrast.check(open_page(page_of, scheme=scheme), 20)
