"""The page's data against a forward pass run again, and against the Plackett–Luce step written out in loops."""

import base64
import hashlib
import json
import math
import re
from pathlib import Path

import pytest
import torch

from secondlook.construct.show import EXHIBITS, example, render
from secondlook.construct.show.page import fill

SHAPES = [(2, 1), (3, 2), (5, 3)]
every = pytest.mark.parametrize("name", EXHIBITS)
shapes = pytest.mark.parametrize(("n", "steps"), SHAPES)
PREFIXES, RANKING = ("causal", "attention-only"), ("plackett-luce", "causal", "attention-only")


def data_of(page):
    (inline,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(inline)


def data(name, **settings):
    return data_of(render(name, **settings))


def best_first(rewards, length):
    return sorted(range(length), key=lambda k: -rewards[k])


def average(f, responses, live):
    """β over the live responses and their average, number by number."""
    weights = {k: math.exp(-sum((a - b) ** 2 for a, b in zip(f, responses[k], strict=True))) for k in live}
    total = math.fsum(weights.values())
    shares = [weights.get(k, 0.0) / total for k in range(len(responses))]
    return shares, [math.fsum(s * y[axis] for s, y in zip(shares, responses, strict=True)) for axis in (0, 1)]


def terms(page, f, length):
    """The terms 2η(y_τ(i) − Σ β_ij y_τ(j)) of one step at f, with what is live in each."""
    order = best_first(page["rewards"], length)
    count = 1 if page["result"] == "T2" else length - 1
    for i in range(min(count, length - 1)):
        shares, middle = average(f, page["responses"], order[i:])
        pick = page["responses"][order[i]]
        yield order[i], shares, middle, [page["factor"] * (a - b) for a, b in zip(pick, middle, strict=True)]


def expected(page, length):
    """Per block of a page, the partial sum that should have been made, and the term that was added."""
    n, steps = page["settings"]["n"], page["settings"]["steps"]
    sums, added = [[0.0, 0.0]], [None]
    if page["result"] == "T8":
        sums, added = sums * 3, added * 3
    for _ in range(steps):
        f = [a + b for a, b in zip(page["base"], sums[-1], strict=True)]
        found = list(terms(page, f, length))
        blocks = 1 if page["result"] in ("T2", "T8") else n - 1
        for block in range(blocks):
            new = found if page["result"] == "T8" else found[block : block + 1]
            sums.append([sums[-1][axis] + math.fsum(term[3][axis] for term in new) for axis in (0, 1)])
            added.append(new)
    return sums, added


def loss(page, f, length):
    order = best_first(page["rewards"], length)
    score = [-sum((a - b) ** 2 for a, b in zip(f, page["responses"][k], strict=True)) for k in order]
    factors = range(1 if page["result"] == "T2" else length)
    return sum(math.log(math.fsum(math.exp(s - score[i]) for s in score[i:])) for i in factors)


@every
@shapes
def test_every_number_of_the_step_is_that_of_the_paper(name, n, steps):
    page = data(name, n=n, steps=steps, eta=0.15, seed=3)
    assert page["settings"] == {"n": n, "steps": steps, "eta": 0.15, "seed": 3}
    assert page["factor"] == pytest.approx(0.3)
    for at, asker in enumerate(page["asking"]):
        assert asker["length"] == (at + 1 if name in PREFIXES else n)
        assert asker["order"] == best_first(page["rewards"], asker["length"])
        sums, added = expected(page, asker["length"])
        assert len(sums) == len(page["stages"])
        for stage, total, new in zip(page["stages"], sums, added, strict=True):
            view = stage["views"][at]
            assert view["truth"] == pytest.approx(total, abs=1e-13)
            assert view["accumulated"] == pytest.approx(total, abs=1e-12)
            assert view["error"] == pytest.approx(math.dist(view["accumulated"], view["truth"]), abs=1e-30)
            here = [a + b for a, b in zip(page["base"], view["accumulated"], strict=True)]
            assert view["loss"] == pytest.approx(loss(page, here, asker["length"]), abs=1e-12)
            assert [average["weights"] for average in view["averages"]] == [
                pytest.approx(shares, abs=1e-12) for _, shares, _, _ in new or []
            ]
            assert [average["at"] for average in view["averages"]] == [
                pytest.approx(middle, abs=1e-12) for _, _, middle, _ in new or []
            ]
            if name != "shallow":
                assert view["pick"] == (new[0][0] if new else None)
        comparison = page["comparisons"][at]
        assert comparison["step"] == pytest.approx(page["stages"][-1]["views"][at]["accumulated"], rel=1e-13, abs=1e-60)
        assert comparison["expected"] == pytest.approx(sums[-1], abs=1e-12)
        # A single response asks for no step; in T7 what softmax leaks to BOS is left.
        assert comparison["error"] <= (comparison["bound"] if asker["length"] > 1 else 1e-18)
        assert comparison["relative"] < 1e-12


@every
@shapes
def test_attention_is_that_of_the_forward_pass(name, n, steps):
    page = data(name, n=n, steps=steps, eta=0.15, seed=4)
    promise = example.promise(n, steps, 0.15)
    contexts, start = example.draw(promise, seed=4)
    construction = EXHIBITS[name].build(promise)
    trace = construction.model().trace(construction.embed(contexts, start))
    assert page["responses"] == contexts.responses[0].tolist()
    assert page["rewards"] == contexts.rewards[0].tolist()
    assert len(page["stages"]) == len(trace.residual)
    for stage, attention in zip(page["stages"][1:], trace.attention, strict=True):
        heads = [panel for panel in stage["panels"] if panel["kind"] == "attention"]
        assert len(heads) == attention.shape[1]
        for head, weights in zip(heads, attention[0], strict=True):
            assert len(head["columns"]) == len(head["rows"]) == weights.shape[0]
            for asks, row in enumerate(head["values"]):
                seen = asks + 1 if name in PREFIXES else len(row)
                assert row[seen:] == [None] * (len(row) - seen)
                assert row[:seen] == pytest.approx(weights[asks, :seen].tolist(), rel=1e-6, abs=0)
                assert sum(row[:seen]) == pytest.approx(1, abs=1e-6)
    for stage, residual in zip(page["stages"], trace.residual, strict=True):
        for at, view in enumerate(stage["views"]):
            stream = torch.tensor([x for slot in view["stream"].values() for x in slot], dtype=torch.float64)
            torch.testing.assert_close(stream, residual[0, construction.first + at], rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", RANKING)
@shapes
def test_responses_retire_in_the_order_of_their_rewards(name, n, steps):
    page = data(name, n=n, steps=steps, seed=5)
    for at, asker in enumerate(page["asking"]):
        for block, stage in enumerate(page["stages"][1:]):
            view, before = stage["views"][at], block % (n - 1)
            gone = asker["order"][:before]
            assert [k for k in range(n) if view["hidden"][k] > 0.5] == sorted(gone)
            assert all(min(flag, abs(flag - 1)) < 1e-9 for flag in view["hidden"] + view["after"])
            now = [k for k in range(n) if view["after"][k] > 0.5]
            last = before == n - 2
            if last and name != "attention-only":
                assert now == []
            else:
                assert now == sorted(asker["order"][: before + 1])


@pytest.mark.parametrize("name", RANKING)
def test_the_words_name_the_pick_and_its_rivals(name):
    page = data(name, n=6, seed=2)
    at, order = 5, page["asking"][5]["order"]
    labels = page["labels"]
    for block in range(1, 6):
        view = page["stages"][block]["views"][at]
        pick, rivals = labels[order[block - 1]], sorted(labels[k] for k in order[block:])
        assert view["headline"].startswith(f"Term {block} of 5: {pick} against ")
        against = view["headline"].partition(" against ")[2]
        if len(rivals) < 5:
            assert re.findall("y[₀-₉]+", against) == rivals
        else:
            assert against == "five others"
        assert view["lines"][0].startswith(
            f"{pick} has the highest reward, {page['rewards'][order[block - 1]]:.3g}, of "
        )
    assert "retires" in page["stages"][1]["views"][at]["lines"][1] or name != "plackett-luce"


@pytest.mark.parametrize("name", PREFIXES)
def test_a_short_prefix_has_nothing_to_add_once_it_is_used_up(name):
    page = data(name, n=5, seed=1)
    for at, asker in enumerate(page["asking"]):
        for block, stage in enumerate(page["stages"]):
            headline = stage["views"][at]["headline"]
            assert headline.startswith("Nothing to add") == (block >= asker["length"] and block > 0)
            if block > asker["length"]:
                told = "BOS" if name == "attention-only" else f"{asker['label']} itself"
                assert told in stage["views"][at]["lines"][0]


def test_the_shallow_construction_shows_ranks_and_flags():
    page = data("shallow", n=5, seed=1)
    order = page["asking"][0]["order"]
    (ranks,) = page["stages"][1]["panels"][-1]["values"]
    assert ranks == pytest.approx([order.index(k) for k in range(5)], abs=1e-9)
    flags = page["stages"][2]["panels"][-1]
    assert flags["rows"] == ["not in 2", "not in 3", "not in 4", "lowest"]
    missing = [[order.index(k) < term for k in range(5)] for term in (1, 2, 3)]
    assert [[flag > 0.5 for flag in row] for row in flags["values"]] == [*missing, [k == order[-1] for k in range(5)]]


def test_bradley_terry_with_more_than_two_responses_is_info_nce():
    assert data("bradley-terry")["settings"]["n"] == 2
    assert data("bradley-terry")["loss"] == "Bradley–Terry"
    assert data("bradley-terry", n=4)["loss"] == "InfoNCE"
    assert data("plackett-luce")["settings"]["n"] == 6


@every
def test_the_largest_page_there_is_holds_what_it_promises(name):
    page = data(name, n=16, steps=2, eta=1.0, seed=9)
    assert max(comparison["relative"] for comparison in page["comparisons"]) < 1e-9


@every
def test_a_page_needs_nothing_but_itself(name):
    page = render(name)
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'\b(?:src|href|action)\s*=\s*"([^"]*)"', page)) == {"data:,"}
    assert not re.search(r"@import|\burl\(|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|\bimport\b", page)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy
    for kind, opening in (("style", "<style>"), ("script", "<script>")):
        (source,) = re.findall(f"{opening}(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    root = str(Path(__file__).resolve().parents[2])
    assert root not in page
    assert str(Path.home()) not in page


def test_text_cannot_break_out_of_the_page():
    hostile = "</script><script>alert(1)</script><!--\u2028"
    page = fill(data("plackett-luce") | {"claim": hostile})
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    assert data_of(page)["claim"] == hostile


def test_a_number_that_json_does_not_have_is_an_error():
    with pytest.raises(ValueError, match="JSON"):
        fill(data("plackett-luce") | {"factor": math.nan})


@pytest.mark.parametrize(
    ("settings", "value", "remedy"),
    [
        (
            {"name": "bradley"},
            "'bradley'",
            "bradley-terry (T2), plackett-luce (T3), causal (T5), attention-only (T7), shallow",
        ),
        ({"n": 1}, "n is 1", "2 to 16"),
        ({"n": 17}, "n is 17", "2 to 16"),
        ({"steps": 0}, "steps is 0", "1 to 8"),
        ({"steps": 9}, "steps is 9", "1 to 8"),
        ({"eta": 0.0}, "eta is 0.0", "above 0 and up to 1"),
        ({"eta": 1.5}, "eta is 1.5", "above 0 and up to 1"),
        ({"eta": math.nan}, "eta is nan", "above 0 and up to 1"),
        ({"seed": -1}, "seed is -1", "whole number from 0"),
        ({"seed": 2**63}, f"seed is {2**63}", "whole number from 0"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(settings, value, remedy):
    with pytest.raises(ValueError, match=re.escape(value)) as error:
        render(**{"name": "plackett-luce"} | settings)
    assert remedy in str(error.value)
    assert "\n" not in str(error.value)


def test_the_same_seed_draws_the_same_page_and_another_another():
    assert render("causal", seed=7) == render("causal", seed=7)
    assert data("causal", seed=7)["responses"] != data("causal", seed=8)["responses"]
