"""The page of `secondlook show` in Chromium: what is on it is what its data say, however one gets there."""

import json
import math

import contrast
import pytest
from page_checks import check_accessible, check_names, check_policy, check_width

from secondlook.construct.show import EXHIBITS, render

every = pytest.mark.parametrize("name", EXHIBITS)
SIZES = {"bradley-terry": {"n": 3, "steps": 3}, "shallow": {"n": 4, "steps": 2}}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A file for every construction, and its data."""
    folder, files = tmp_path_factory.mktemp("show"), {}
    for name in EXHIBITS:
        page = render(name, **SIZES.get(name, {"n": 5}), seed=1)
        (file := folder / f"{name}.html").write_text(page, "utf-8")
        files[name] = file, json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    return files


def shown(page):
    """What the page shows, read back from it."""
    return page.evaluate(
        """() => ({
          block: Number(document.querySelector("#slider").value),
          asks: Number(document.querySelector("input[name=asking]:checked").value),
          headline: document.querySelector("#headline").textContent,
          states: [...document.querySelectorAll("#tokens li")].map((li) => li.dataset.state),
          error: Number(document.querySelector("#error").dataset.value),
          loss: Number(document.querySelector("#loss").dataset.value),
          made: [...document.querySelectorAll("#made span")].map((span) => Number(span.textContent.replace("−", "-"))),
          panels: [...document.querySelectorAll("#panels .panel caption")].map((caption) => caption.textContent),
          comparison: Number(document.querySelector("#comparison:not([hidden])")?.dataset.relative ?? NaN),
          current: [...document.querySelectorAll("#ledger [aria-current=step]")].map((b) => Number(b.dataset.block)),
          address: location.hash,
        })"""
    )


def expected(data, block, asks):
    stage = data["stages"][block]
    view, length = stage["views"][asks], data["asking"][asks]["length"]
    last = block == len(data["stages"]) - 1
    states = []
    for k in range(len(data["labels"])):
        kind = "picked" if k == view["pick"] else "live"
        states.append("unseen" if k >= length else "retired" if view["hidden"][k] > 0.5 else kind)
    return {
        "block": block,
        "asks": asks,
        "headline": view["headline"],
        "states": states,
        "error": view["error"],
        "loss": view["loss"],
        "made": pytest.approx(view["accumulated"], abs=1e-17),
        "panels": [panel["title"] for panel in stage["panels"]],
        "comparison": data["comparisons"][asks]["relative"] if last else pytest.approx(math.nan, nan_ok=True),
        "current": [block],
        "address": f"#block={block}&token={asks + 1}",
    }


@every
def test_arrow_keys_walk_through_all_blocks_and_back(open_page, pages, name):
    file, data = pages[name]
    page, last, asks = open_page(file), len(data["stages"]) - 1, len(data["asking"]) - 1
    for key, blocks in (("ArrowRight", [*range(1, last + 1), last]), ("ArrowLeft", [*range(last - 1, -1, -1), 0])):
        for block in blocks:
            page.keyboard.press(key)
            assert shown(page) == expected(data, block, asks)


def test_home_and_end_buttons_slider_and_table_go_where_they_say(open_page, pages):
    file, data = pages["plackett-luce"]
    page, last, asks = open_page(file), len(data["stages"]) - 1, len(data["asking"]) - 1

    def go(block, *does):
        """Press keys, click on what starts with # (a slash before it: focus it), and see where that leads."""
        for each in does:
            if each.startswith("/"):
                page.focus(each[1:])
            elif each.startswith("#"):
                page.click(each)
            else:
                page.keyboard.press(each)
        assert shown(page) == expected(data, block, asks)

    go(last, "End")
    go(0, "Home")
    go(last, "#last")
    go(last - 1, "#back")
    go(0, "#first")
    go(1, "#next")
    # Keys go on working from a button, and work once only from the slider, which has them itself.
    go(2, "ArrowRight")
    go(3, "/#slider", "ArrowRight")
    go(0, "Home")
    go(last, "End")
    page.locator("#slider").fill("2")
    go(2)
    page.evaluate("document.activeElement.blur()")
    go(2, "Control+ArrowRight", "Shift+End")
    go(3, "#ledger [data-block='3']")
    assert page.evaluate("document.activeElement.dataset.block") == "3"


@pytest.mark.parametrize("name", ["causal", "attention-only", "plackett-luce"])
def test_the_token_that_asks_can_be_chosen(open_page, pages, name):
    file, data = pages[name]
    page = open_page(file)
    page.keyboard.press("ArrowRight")
    for asks in range(len(data["asking"])):
        page.locator(f"input[name=asking][value='{asks}']").check(force=True)
        assert shown(page) == expected(data, 1, asks)
        assert page.locator("#panels tr.asks th").first.text_content() == data["asking"][asks]["label"]
    # Radio buttons have the arrows: they choose the token and leave the block.
    page.keyboard.press("ArrowLeft")
    assert shown(page) == expected(data, 1, len(data["asking"]) - 2)
    page.keyboard.press("End")
    assert shown(page) == expected(data, len(data["stages"]) - 1, len(data["asking"]) - 2)


def test_an_address_leads_to_its_place_and_a_wrong_one_to_the_start(open_page, pages):
    file, data = pages["causal"]
    page = open_page(file, fragment="#block=3&token=4")
    assert shown(page) == expected(data, 3, 3)
    page.evaluate("location.hash = '#block=1&token=2'")
    page.wait_for_function("document.querySelector('#slider').value === '1'")
    assert shown(page) == expected(data, 1, 1)
    for wrong in ("#block=99&token=0", "#block=-1&token=x", "#<script>"):
        assert shown(open_page(file, fragment=wrong))["block"] == 0


@every
def test_tables_and_residual_stream_show_the_data(open_page, pages, name):
    file, data = pages[name]
    page = open_page(file, fragment="#block=2")
    stage, asks = data["stages"][2], len(data["asking"]) - 1
    for at, panel in enumerate(stage["panels"]):
        table = page.locator("#panels table").nth(at)
        assert table.locator("thead th").all_text_contents() == panel["columns"]
        assert table.locator("tbody th").all_text_contents() == panel["rows"]
        cells = [value for row in panel["values"] for value in row]
        said = table.locator("tbody .quiet").all_text_contents()
        assert len(said) == len(cells)
        for text, value in zip(said, cells, strict=True):
            assert (text == "not seen") == (value is None)
            if value is not None:
                assert spoken(text) == pytest.approx(value, rel=0.06)
    now, before = (data["stages"][block]["views"][asks]["stream"] for block in (2, 1))
    written = page.locator("#stream .written").evaluate_all("nodes => nodes.map((node) => node.dataset.slot)")
    assert written == [slot for slot in now if now[slot] != before[slot]]


def spoken(text):
    """`5.6 × 10⁻¹⁷` as a number."""
    plain = text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--"))
    head, _, power = plain.partition("\u00a0×\u00a010")
    return float(head) * 10.0 ** int(power or 0)


def test_the_drawn_step_ends_where_the_true_one_does(open_page, pages):
    file, data = pages["plackett-luce"]
    page = open_page(file)
    for block in range(1, len(data["stages"])):
        page.keyboard.press("ArrowRight")
        for picture in ("#plane", "#zoom"):
            tips = page.locator(f"{picture} polygon.made").evaluate_all(
                "nodes => nodes.map((n) => [n.points[0].x, n.points[0].y])"
            )
            goal = page.locator(f"{picture} .goal").evaluate("n => [n.cx.baseVal.value, n.cy.baseVal.value]")
            assert len(tips) == block
            assert math.dist(tips[-1], goal) < 1e-3
        assert page.locator("#plane .ring").count() == 1
        retired = page.locator("#plane circle.retired").count()
        assert retired == block - 1


@every
def test_text_and_lines_stand_out_in_both_schemes(open_page, pages, name):
    file, data = pages[name]
    page, last = open_page(file, motion="reduce"), len(data["stages"]) - 1
    for block in {0, 1, min(2, last), last}:
        page.locator("#slider").fill(str(block))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert contrast.is_dark(page) == (scheme == "dark")
            contrast.check(page, 80)


def test_the_contrast_check_knows_what_is_too_faint(open_page, tmp_path):
    (file := tmp_path / "faint.html").write_text(
        "<!doctype html><body style='background:#fff'><p style='color:#777'>a</p><p style='color:#767676'>b</p>"
        "<p style='color:rgb(0 0 0 / .5)'>c</p><main><svg><circle class=d stroke=#999999 r=1></circle></svg></main>"
    )
    many, faint = contrast.too_faint(open_page(file))
    assert many == 4
    assert faint == ["a: 4.48", "c: 4.00", "d: 2.85"]


@every
def test_nothing_scrolls_sideways_at_any_width(open_page, pages, name, tmp_path):
    page = open_page(pages[name][0], motion="reduce")
    for key in ("Home", "End"):
        page.keyboard.press(key)
        check_width(page, 320, 520, 900, 1000, 1100)
    if name == "attention-only":  # the widest tables there are fit a telephone
        (file := tmp_path / "wide.html").write_text(render(name, n=16), "utf-8")
        page = open_page(file, width=360, fragment="#block=2")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_every_control_and_picture_has_a_name_and_focus_is_seen(open_page, pages):
    file, _ = pages["causal"]
    page = open_page(file, fragment="#block=2")
    check_names(page, "button, input, svg:not([aria-hidden]), table, nav")
    check_accessible(page)
    assert page.locator("#slider").get_attribute("aria-valuetext") == "Block 2 of 4"
    assert page.locator("#plane").get_attribute("aria-label").startswith("W₀x at (")
    assert page.locator("[aria-live=polite] #headline").count() == 1
    seen = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
              const node = document.activeElement;
              const ring = getComputedStyle(node.type === "radio" ? node.nextElementSibling : node);
              return [node.id || node.name, ring.outlineStyle, ring.outlineWidth];
            }"""
        )
        seen.add(focused[0])
        assert focused[1:] == ["solid", "3px"]
    assert seen == {"first", "back", "slider", "next", "last", "asking"}


def test_motion_is_left_out_where_it_is_not_wanted(open_page, pages):
    file, _ = pages["plackett-luce"]
    for motion, running in (("no-preference", True), ("reduce", False)):
        page = open_page(file, motion=motion)
        page.keyboard.press("ArrowRight")
        assert (page.evaluate("document.getAnimations().length") > 0) == running


def test_a_page_that_asks_for_more_than_itself_is_refused(open_page, pages, complaints):
    check_policy(open_page(pages["bradley-terry"][0]), complaints)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The page of T12."""
    (file := tmp_path_factory.mktemp("verdicts") / "verdicts.html").write_text(render("verdicts", seed=3), "utf-8")
    return file


def test_the_sliders_of_t12_move_forward_passes_along_the_theorem(open_page, verdicts):
    """The page's own passes are those that were recorded, and lie on (1 − p)a₀ − p(1 − a₁)."""
    page = open_page(verdicts)
    assert float(page.locator("#exact").get_attribute("data-value")) < 1e-12
    for p, keeps, alarms, power in ((0.3, 0.9, 0.2, 0), (0.8, 0.5, 0.95, -1), (0.5, 0.7, 0.7, 1.5), (0.4, 1, 0, 0)):
        for name, value in {"p": p, "keeps": keeps, "alarms": alarms, "size": power}.items():
            page.locator(f"#{name}").fill(str(value))
        drift = (1 - p) * alarms - p * (1 - keeps)
        assert float(page.locator("#finding").get_attribute("data-value")) == pytest.approx(drift, abs=1e-12)
        said = "helps" if drift > 1e-9 else "harms" if drift < -1e-9 else "neither"
        assert said in page.locator("#finding").text_content()
    before = page.locator("#rounds path.mean").get_attribute("d")
    page.click("#again")
    assert page.locator("#rounds path.mean").get_attribute("d") != before


def test_the_page_of_t12_fits_is_named_stands_out_and_is_closed(open_page, verdicts, complaints):
    page = open_page(verdicts, motion="reduce")
    check_width(page, 1280, 800, 360)
    check_names(page, "input, button, svg[role=img]")
    check_accessible(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert contrast.is_dark(page) == (scheme == "dark")
        contrast.check(page, 40)
    check_policy(page, complaints)
