"""A run's page in Chromium: what its records say, readable in both themes and on a telephone, closed to scripts."""

import re

import contrast
import pandas as pd
import pytest
from page_checks import check_accessible, check_names, check_policy, check_width

from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.fast import run_arms


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder of a run, and its report."""
    folder = tmp_path_factory.mktemp("run")
    evaluation = Evaluation(
        benchmark="planted",
        endpoint=Endpoint(model="secondlook/planted", max_tokens=16),
        arms=("self", "none"),
        questions={"per_category": 8},
    )
    return folder, run_evaluation(evaluation, folder, quiet=True, arms=run_arms)


def test_it_says_what_the_records_say(run, open_page):
    folder, report = run
    page = open_page(folder / "report.html")
    diagnosis = report.diagnoses["self"]
    assert page.locator(".finding .said").text_content() == diagnosis.sentence
    assert page.locator("[data-finding]").first.get_attribute("data-finding") == diagnosis.overall.finding
    records = pd.read_csv(folder / "records.csv")
    own = records[records["arm"] == "self"].pivot_table(
        index="sample", columns="round", values="correct", aggfunc="max"
    )
    first, last = own[0].fillna(False).astype(bool), own[1].fillna(False).astype(bool)
    shown = page.locator(".flips > p").all_text_contents()
    assert shown == [f"wrong, then right: {(~first & last).sum()}", f"right, then not: {(first & ~last).sum()}"]
    drawn = page.locator("svg.flows desc").text_content()
    flows = {words: int(number) for number, words in re.findall(r"(\d+) ([a-z]+ and then [a-z]+)", drawn)}
    assert sum(flows.values()) == len(own)
    assert flows["right and then wrong"] <= (first & ~last).sum()
    assert page.locator("details.flip").count() == sum(
        min(10, n) for n in ((~first & last).sum(), (first & ~last).sum())
    )
    page.locator("details.flip").first.click()
    assert page.locator("details.flip dd").first.is_visible()
    tokens = records[records["arm"] == "self"].groupby("round")[["tokens_in", "tokens_out"]].sum().sum(axis=1).sum()
    cells = page.locator("section:has(#costs) tbody tr").first.locator("td").all_text_contents()
    assert cells[2] == f"{tokens / len(own):,.0f}"


def test_anyone_can_read_it_and_nobody_can_put_a_script_into_it(run, open_page, complaints):
    file = run[0] / "report.html"
    for scheme in ("light", "dark"):
        page = open_page(file, scheme=scheme)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        contrast.check(page, 60)
        check_accessible(page)
        assert contrast.is_dark(page) == (scheme == "dark")
        check_width(page, 320, 360, 700, 1100)
    check_names(page, "svg, [role=region], summary")
    check_policy(page, complaints)
