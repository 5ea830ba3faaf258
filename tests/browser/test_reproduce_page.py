"""The ledger's page in Chromium: every claim, by mouse and by keyboard, in both themes, on a telephone and on paper."""

import contrast
import pytest
from page_checks import check_accessible, check_names, check_policy, check_width

from secondlook.reproduce.gather import DEMO
from secondlook.reproduce.ledger import LEDGER, find
from secondlook.reproduce.page import write_page
from secondlook.reproduce.run import reproduce


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """The page of a demo in which nothing but quick theory is run, and its records."""
    out = tmp_path_factory.mktemp("ledger")
    quick = [claim for claim in find([]) if claim.floor != "theory" and claim.id not in DEMO]
    entries = reproduce([*find(["T1", "T9", "T10", "T11"]), *quick], "demo", out)
    return write_page(entries, "demo", out / "index.html"), [entry.record for entry in entries]


def test_a_card_for_every_claim_says_what_its_record_says(open_page, ledger):
    file, records = ledger
    page = open_page(file)
    assert page.locator("details.claim").count() == len(records)
    for record in records:
        card = page.locator(f"#{record['id']}")
        assert card.get_attribute("data-outcome") == record["outcome"]
        assert card.locator(".statement").text_content() == LEDGER[record["id"]].statement
        assert card.locator(".whose").text_content() == ("ours" if record["source"].startswith("ours") else "paper")
        if record["value"] is None:
            assert record["outcome"] == "not run here"
            assert record["command"] in card.locator(".command code").first.text_content()
    shown = page.locator("#L3 .number").text_content()
    assert "0.179" in shown
    assert "[0.161, 0.197]" in shown
    assert "> 0.3" in shown
    assert "committed, quick" in page.locator("#L3 .again").text_content()


def test_cards_open_by_mouse_and_by_keyboard_and_by_address(open_page, ledger):
    file, _ = ledger
    page = open_page(file)
    body = page.locator("#L3 .body")
    assert not body.is_visible()
    page.click("#L3 > summary")
    assert body.is_visible()
    page.focus("#L4 > summary")
    page.keyboard.press("Enter")
    assert page.locator("#L4 .body").is_visible()
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Space")
    assert not page.locator("#L4 .body").is_visible()
    page.click("#expand")
    assert page.locator("details.claim:not([open])").count() == 0
    assert page.locator("#expand").text_content() == "Close all"
    assert open_page(file, fragment="#T9").locator("#T9 .body").is_visible()


def test_filters_show_one_outcome_and_a_second_press_all(open_page, ledger):
    file, records = ledger
    page = open_page(file)
    outcome = records[0]["outcome"]
    some = [record["id"] for record in records if record["outcome"] == outcome]
    button = page.locator(f"[data-show='{outcome}']")
    assert button.locator("strong").text_content() == str(len(some))
    button.click()
    assert page.locator("details.claim:visible").evaluate_all("nodes => nodes.map((n) => n.id)") == some
    assert page.locator("#said").text_content() == f"{len(some)} claim{'' if len(some) == 1 else 's'} shown"
    button.click()
    assert page.locator("details.claim:visible").count() == len(records)
    here = [record["id"] for record in records if record["evidence"] == "this run"]
    page.click("[data-show='here']")
    assert page.locator("details.claim:visible").evaluate_all("nodes => nodes.map((n) => n.id)") == here


def test_the_viewer_inside_steps(open_page, ledger):
    file, _ = ledger
    page = open_page(file)
    page.click("#viewer > summary")
    inside = page.frame_locator("#viewer iframe")
    inside.locator("#next").click()
    assert inside.locator("#place").text_content() == "Block 1 of 5"
    page.keyboard.press("End")
    assert inside.locator("#place").text_content() == "Block 5 of 5"
    assert inside.locator("#comparison").is_visible()


def test_both_themes_can_be_read_by_scheme_and_by_button(open_page, ledger):
    file, _ = ledger
    for scheme in ("light", "dark"):
        page = open_page(file, scheme=scheme)
        page.click("#expand")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = each.id !== 'viewer'")
        contrast.check(page, 500)
        for dark in (scheme == "dark", scheme != "dark"):
            assert contrast.is_dark(page) == dark
            assert page.locator("#theme").get_attribute("aria-pressed") == str(dark).lower()
            page.click("#theme")


def test_nothing_scrolls_sideways_with_all_cards_open(open_page, ledger):
    page = open_page(ledger[0], width=360)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    check_width(page, 320, 360, 700, 1100)


def test_every_control_and_picture_has_a_name_and_numbers_stand_beside_it(open_page, ledger):
    page = open_page(ledger[0])
    check_names(page, "button, iframe, svg:not([aria-hidden]), nav, [role=region]")
    check_accessible(page)
    assert page.locator("figure").count() == page.locator("figure table").count() > 10
    assert page.locator("figure > svg[role=img] > title").count() == page.locator("figure").count()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))


def test_on_paper_all_cards_are_open(open_page, ledger):
    file, records = ledger
    page = open_page(file)
    opened = """() => {
      dispatchEvent(new Event("beforeprint"));
      const many = document.querySelectorAll("details.claim[open]").length;
      dispatchEvent(new Event("afterprint"));
      return [many, document.querySelectorAll("details.claim[open]").length];
    }"""
    assert page.evaluate(opened) == [len(records), 0]
    page.emulate_media(media="print", color_scheme="dark")
    assert contrast.luminance(page.evaluate("getComputedStyle(document.body).color.match(/\\d+/g).map(Number)")) < 0.1
    assert page.pdf().startswith(b"%PDF")


def test_a_script_that_somebody_puts_into_it_is_refused(open_page, ledger, complaints):
    check_policy(open_page(ledger[0]), complaints)
