"""The ledger: every claim declared, no outcome without its number, nothing run twice, nothing said unrun."""

import json
from dataclasses import replace

import grimp
import pytest

from secondlook.construct.prove import Grid
from secondlook.construct.prove import grid as prove_grid
from secondlook.construct.prove.check import Check
from secondlook.evidence.outcome import side
from secondlook.reproduce import figures, gather, page, run, theory, words, worth_picture
from secondlook.reproduce.ledger import LEDGER, find, holds

IDS = [
    *(f"T{n}" for n in range(1, 14)),
    *(f"L{n}" for n in range(1, 11)),
    *(f"S{n}" for n in range(1, 9)),
    "R1",
    "R2",
    "R3",
]
TINY = Grid((2,), (2, 3), (1,))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(theory.GRIDS, "demo", TINY)


def finding(outcome, low=0.1, high=0.3, **sides):
    part = {"name": "a", "says": "a number", "whose": "paper", "value": 0.2, "low": low, "high": high, "n": 3}
    return {"outcome": outcome, "parts": [part | sides | {"outcome": outcome}], "notes": []}


def test_every_id_says_before_the_run_what_would_support_and_what_would_refute_it():
    assert list(LEDGER) == IDS
    for claim in LEDGER.values():
        assert claim.statement
        assert claim.support != claim.refutation
        assert "secondlook" in claim.command
        assert "secondlook" in claim.full
        for part in claim.parts:
            own = part.whose == "paper" or all(each.whose == "ours" for each in claim.parts)
            assert (side(part.above, part.below) in claim.support) or not own
    with pytest.raises(ValueError, match="'L11' is unknown; known: T1, T2"):
        find(["t1", "L11"])
    assert [claim.id for claim in find(["s2", "T3"])] == ["T3", "S2"]


def test_a_record_has_an_outcome_only_with_a_number_and_an_interval_or_a_reason():
    l1 = gather.record(LEDGER["L1"], finding("refuted", above=0.5), "quick", "this run", 1.0)
    assert (l1["outcome"], l1["value"], l1["interval"], l1["threshold"]["above"]) == ("refuted", 0.2, [0.1, 0.3], 0.5)
    s2 = gather.record(LEDGER["S2"], finding("supported", above=0.0), "quick", "this run", 1.0)
    assert (s2["outcome"], s2["finding"], holds(s2)) == ("planted", "supported", True)
    assert not holds(gather.record(LEDGER["S2"], finding("refuted", above=0.5), "quick", "this run", 1.0))
    lone = gather.record(LEDGER["L1"], finding("not estimated", None, None, above=0.1), "quick", "this run", 1.0)
    assert (lone["outcome"], lone["interval"], bool(lone["no_interval"])) == ("undecided", None, True)
    none = gather.not_run(LEDGER["S1"], "full", "why")
    assert (none["outcome"], none["value"], none["command"]) == ("not run here", None, LEDGER["S1"].full)
    assert not holds(none)


def test_a_row_beyond_its_bound_refutes_and_decides():
    def row(error, bound, passed, n=2):
        return Check("T2", "Bradley–Terry", 2, n, 1, "float64", 1e-2, 10, error, bound, passed, 1e-9, blocks=1)

    good, near, bad = row(2e-12, 1e-10, True, n=3), row(9e-13, 1e-12, True), row(5e-12, 1e-12, False)
    fine = gather.record(LEDGER["T2"], theory.finding([good, near]), "demo", "this run", 0.0)
    assert (fine["outcome"], fine["value"], fine["threshold"]["below"]) == ("verified", 9e-13, 1e-12)
    failed = gather.record(LEDGER["T2"], theory.finding([good, bad, near]), "demo", "this run", 0.0)
    assert (failed["outcome"], failed["value"], holds(failed)) == ("refuted", 5e-12, False)
    lost = gather.record(LEDGER["T2"], theory.finding([row(float("nan"), 1.0, False)]), "demo", "this run", 0.0)
    assert (lost["outcome"], lost["value"]) == ("refuted", None)
    json.dumps([fine, failed, lost], allow_nan=False)


def test_proved_is_only_what_has_a_written_proof_and_numbers_that_agree(tiny, tmp_path):
    done = {each.record["id"]: each.record for each in run.reproduce(find(["T1", "T10"]), "demo", tmp_path)}
    assert {name: record["outcome"] for name, record in done.items()} == {"T1": "verified", "T10": "proved"}


def test_a_construction_with_a_flipped_sign_is_refuted_and_said_to_have_held(tiny, tmp_path, monkeypatch):
    claims = find(["T2", "T3", "T4", "T5", "T7", "T8"])
    before = run.reproduce(claims, "demo", tmp_path / "good", results=tmp_path)
    run.write(before, tmp_path / "claims.json")
    assert {each.record["outcome"] for each in before} == {"verified"}
    assert run.fallen(before, tmp_path / "claims.json") == []

    def flipped(promise):
        built = prove_grid.plackett_luce.build(promise)
        return replace(built, weights=built.weights | {"read_out.weight": -built.weights["read_out.weight"]})

    single = list(prove_grid.SINGLE)
    single[1] = flipped
    monkeypatch.setattr(prove_grid, "SINGLE", tuple(single))
    after = run.reproduce(claims, "demo", tmp_path / "bad", results=tmp_path)
    outcomes = {each.record["id"]: each.record["outcome"] for each in after}
    assert outcomes["T3"] == "refuted"
    assert all(outcome != "refuted" for name, outcome in outcomes.items() if name != "T3")
    (lost,) = run.fallen(after, tmp_path / "claims.json")
    assert lost.startswith("T3 had held (verified, ")
    assert ") and does not: refuted, 2.000, claimed < " in lost


def test_what_is_done_is_not_run_again_unless_what_it_rests_on_changed(tiny, tmp_path, monkeypatch):
    ran = []
    real = gather.run
    monkeypatch.setattr(gather, "run", lambda claim, *rest: ran.append(claim.id) or real(claim, *rest))
    claims = find(["T1", "T2"])
    first = run.reproduce(claims, "demo", tmp_path)
    assert run.reproduce(claims, "demo", tmp_path) == first
    assert ran == ["T1", "T2"]
    monkeypatch.setattr(run, "_code", lambda floor: "other code")
    run.reproduce(find(["T1"]), "demo", tmp_path)
    monkeypatch.setitem(theory.GRIDS, "demo", Grid((2,), (2, 3), (1,), seed=1))
    run.reproduce(find(["T1"]), "demo", tmp_path)
    assert ran == ["T1", "T2", "T1", "T1"]


@pytest.mark.parametrize(("profile", "handed"), [("demo", ["T1", "S2"]), ("full", ["T1"])])
def test_a_cluster_gets_the_jobs_that_would_run_here_and_no_others(profile, handed, tmp_path, monkeypatch):
    """At demo S2 stands for the studies, and at full none does; a real model's file lies on this machine."""
    units = []

    class Cluster:
        described = "a list"

        def run(self, given, tick):
            units.extend(given)

    done = finding("supported", above=0.0)
    monkeypatch.setattr(gather, "run", lambda claim, *_: {claim.id: done})
    claims = find(["T1", "L1", "R1", "R2", "R3", *(f"S{n}" for n in range(1, 9))])
    entries = run.reproduce(claims, profile, tmp_path / "out", results=tmp_path / "none", engine=Cluster())
    assert [unit.claim.id for unit in units] == handed
    not_run = {entry.record["id"] for entry in entries if entry.record["outcome"] == "not run here"}
    assert not_run >= {claim.id for claim in claims if claim.floor in ("studies", "real")} - {*handed, "R1"}


def test_an_outcome_is_explained_wherever_it_stands():
    assert page.MEANINGS.keys() == page.SIGNS.keys()
    smaller = page.MEANINGS["not reproduced at reduced size"]
    assert smaller.startswith(page.MEANINGS["refuted"])


def test_rounds_of_a_verdict_s_figure_are_drawn_once():
    for curve in worth_picture.picture()["curves"]:
        if curve["panel"] == "rounds":
            assert curve["x"] == [*range(1, 21), *range(40, 401, 20)]


def test_what_other_thresholds_judged_says_nothing_of_a_real_model(tmp_path):
    claim = LEDGER["S3"]
    (file, *_) = claim.asked_of(run.RESULTS)
    assert gather.on_real_models(claim, run.RESULTS)
    result = json.loads(file.read_text("utf-8"))
    kept = tmp_path / "real/m/S3/result.json"
    kept.parent.mkdir(parents=True)
    for other in ({"claim": "Something else."}, {"parts": [part | {"below": -0.2} for part in result["parts"]]}):
        kept.write_text(json.dumps(result | other), "utf-8")
        assert gather.on_real_models(claim, tmp_path) == []
    kept.write_text(json.dumps(result), "utf-8")
    assert len(gather.on_real_models(claim, tmp_path)) == 1


def test_a_real_model_that_was_asked_now_is_what_the_page_opens_with(tmp_path):
    """Its card is open, and its picture stands before its number; one that was committed waits to be opened."""
    panel = {"name": "a", "title": "A", "x": "x", "y": "y", "scale": "linear", "ticks": []}
    curve = {"panel": "a", "label": "a", "kind": "points", "x": [1.0], "value": [0.5], "low": [None], "high": [None]}
    found = finding("supported", above=0.0) | {"panels": [panel], "curves": [curve]}
    for evidence, opened in (("this run", True), ("committed", False)):
        entries = [
            run.Entry(gather.record(LEDGER[name], found, "demo", evidence, 0.0) | {"real": []}, found)
            for name in ("T1", "R1", "L7")
        ]
        text = page.write_page(entries, "demo", tmp_path / "index.html").read_text("utf-8")
        cards = text.split('<details class="claim card"')[1:]
        assert [card.partition(">")[0].endswith(" open") for card in cards] == [opened, False, False]
        assert 'id="R1"' in cards[0]
        assert cards[0].index("<figure>") < cards[0].index("The number that decides")
        assert cards[1].index("<figure>") > cards[1].index("The number that decides")


def test_a_card_says_which_of_its_parts_decides(tmp_path):
    """Of two runs with two outcomes one showed another part than the other, and nothing said why."""
    one = finding("undecided", above=0.0)
    two = one | {"parts": one["parts"] * 2}
    said = []
    for found in (one, two):
        entry = run.Entry(gather.record(LEDGER["L7"], found, "demo", "this run", 0.0) | {"real": []}, found)
        text = page.write_page([entry], "demo", tmp_path / "index.html").read_text("utf-8")
        said.append("Of the claim's 2 parts, all of them below, the first whose outcome is the claim's" in text)
    assert said == [False, True]


def test_a_page_of_some_claims_says_which(tmp_path):
    entries = [run.Entry(gather.not_run(claim, "demo", "why") | {"real": []}, {}) for claim in find([])]
    for shown, title in (
        (entries, "Every claim, and whether it held here"),
        (entries[:1], "1 of 34 claims, and whether it held here"),
        (entries[:2], "2 of 34 claims, and whether they held here"),
    ):
        text = page.write_page(shown, "demo", tmp_path / "index.html").read_text("utf-8")
        assert f"<h1>{title}</h1>" in text
        assert ("Asked for: " in text) == (shown is not entries)
    assert "Asked for: T1, T2. " in text


@pytest.mark.parametrize(
    ("value", "sides", "said"),
    [
        (1.9359639e-07, {"below": 1.9359648e-07}, "1.935964·10⁻⁷, claimed < 1.935965·10⁻⁷"),
        (0.0501, {"below": 0.05}, "0.0501, claimed < 0.05"),
        (0.1, {"above": 0.05}, "0.100, claimed > 0.05"),
        (0.0, {"above": 0.0}, "0.000, claimed > 0"),
    ],
)
def test_a_number_never_reads_as_its_bound(value, sides, said):
    threshold = {"above": None, "below": None} | sides
    assert words.worded({"outcome": "verified", "value": value, "interval": None, "threshold": threshold}) == said


def test_a_figure_is_drawn_again_when_its_numbers_or_its_drawing_change(tmp_path, monkeypatch):
    panel = {"name": "a", "title": "A", "x": "x", "y": "y", "scale": "linear", "ticks": []}
    curve = {"panel": "a", "label": "a", "kind": "baseline", "x": [1.0, 2.0], "value": [1.0, 2.0], "low": [None, None]}
    found = finding("supported", above=0.0) | {"panels": [panel], "curves": [curve | {"high": [None, None]}]}
    entries = [run.Entry(gather.record(LEDGER["L1"], found, "quick", "this run", 0.0), found)]
    drawing = tmp_path / "drawing.py"
    drawing.write_text("one way")
    monkeypatch.setattr(figures, "_DRAWING", (drawing,), raising=False)
    drawn = []
    for change in (lambda: None, lambda: None, lambda: drawing.write_text("another"), curve["x"].reverse):
        change()
        figures.draw_all(entries, tmp_path)
        drawn.append((tmp_path / "L1.svg").stat().st_mtime_ns)
    assert [len(set(drawn[: number + 1])) for number in range(4)] == [1, 1, 2, 3]


def test_committed_evidence_is_marked_and_only_that_of_the_declared_thresholds_counts(tmp_path):
    file = tmp_path / "lab" / "quick" / "L3" / "result.json"
    file.parent.mkdir(parents=True)
    result = json.loads((run.RESULTS / "lab" / "quick" / "L3" / "result.json").read_text("utf-8"))
    file.write_text(json.dumps(result))
    (shown,) = run.reproduce(find(["L3"]), "demo", tmp_path / "out", results=tmp_path)
    assert result["commit"].endswith("+")
    assert shown.record["evidence"] == f"committed, quick, {result['commit'][:-1]} with changes"
    assert (shown.record["outcome"], shown.record["profile"]) == (result["outcome"], "quick")
    result["parts"][0]["above"] += 0.01
    file.write_text(json.dumps(result))
    (shown,) = run.reproduce(find(["L3"]), "demo", tmp_path / "out", results=tmp_path)
    assert (shown.record["outcome"], shown.record["evidence"]) == ("not run here", None)


def test_only_like_is_compared_with_like(tmp_path):
    def entry(name, outcome, profile, evidence="this run"):
        return run.Entry(gather.record(LEDGER[name], finding(outcome, above=0.0), profile, evidence, 0.0), {})

    expected = tmp_path / "claims.json"
    run.write([entry("L7", "supported", "quick"), entry("S2", "supported", "quick")], expected)
    assert run.fallen([entry("L7", "refuted", "demo")], expected) == []
    assert run.fallen([entry("L7", "refuted", "quick", "committed, quick, abc")], expected) == []
    number = "0.200 [0.100, 0.300], claimed > 0"
    assert run.fallen([entry("S2", "refuted", "quick")], expected) == [
        f"S2 had held (supported, {number}) and does not: refuted, {number}"
    ]
    assert len(run.fallen([entry("L7", "undecided", "quick")], expected)) == 1


def test_the_same_claim_has_the_same_word_or_the_reason():
    record = {"evidence": "this run", "finding": "supported", "profile": "demo", "source": "ours; the paper says less"}
    earlier = {"outcome": "undecided", "profile": "quick"}
    assert words.otherwise(record, earlier) == (
        "undecided at profile quick, which is committed: this run, profile demo, has other sizes and fewer runs"
    )
    for same in (earlier | {"outcome": "supported"}, None):
        assert words.otherwise(record, same) == ""
    assert [words.whose({"source": source}) for source in (record["source"], "Theorem 3.2")] == ["ours", "paper"]


@pytest.mark.parametrize(("floor", "root"), [("theory", "construct"), ("laboratory", "lab"), ("studies", "studies")])
def test_a_floor_s_evidence_depends_on_every_room_that_it_imports(floor, root):
    """Beside the graph of imports that import-linter draws."""
    graph = grimp.build_graph("secondlook")
    named = {name.removesuffix(".py") for name in run.rooms(floor)}
    used = graph.find_upstream_modules(f"secondlook.{root}", as_package=True)
    assert {module.split(".")[1] for module in used if "." in module} <= named
    assert root in named
