"""Gates fitted on records: replayed as the loop would have gone, judged on templates they were not chosen on."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from secondlook.fitting.gate_file import Made, gate_text, read_gate, with_test
from secondlook.fitting.gate_fit import fit, held_out, questions_of
from secondlook.fitting.gate_made import check_same, made_of
from secondlook.fitting.gate_replay import agreements_of, candidates, replay
from secondlook.gate import Gate, Seen

ROOT = Path(__file__).parents[2]


def _tool():
    spec = importlib.util.spec_from_file_location("gate_calibration", ROOT / "tools" / "gate_calibration.py")
    module = sys.modules["gate_calibration"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = _tool()
MADE = Made("m", "self")
ONLY_A_GATE = TOOL.Subject(1000, 100, 0.1, 0.8, 0.0, 2.5, repair=0.6, harm=0.2)


def records(subject=ONLY_A_GATE, seed=0):
    return TOOL.drawn(subject, np.random.default_rng(seed))


def long(rng, n=200, rounds=3):
    """Three looks on record, with everything a gate may go by, numbers drawn at random."""
    rows = []
    for sample in range(n):
        for round_ in range(rounds + 1):
            last = round_ == rounds
            rows.append(
                {
                    "sample": f"q{sample}",
                    "template": f"t{sample % 20}",
                    "arm": "self",
                    "round": round_,
                    "correct": bool(rng.random() < 0.6),
                    "verdict": None if last else str(rng.choice(["wrong", "right", "unclear"])),
                    "p_wrong": np.nan if last or rng.random() < 0.1 else rng.random(),
                    "p_answer": rng.random(),
                    "preferred": bool(rng.random() < 0.5) if round_ else None,
                    "tokens": int(rng.integers(300, 400)),
                    "tokens_critique": 0 if last else int(rng.integers(50, 100)),
                    "tokens_judge": int(rng.integers(10, 20)) if round_ else 0,
                }
            )
    return pd.DataFrame(rows)


def walk(rows, gate, rounds):
    """One question as the loop holds it, in plain Python."""
    at, right, looks = 0, bool(rows[0]["correct"]), 0
    tokens = rows[0]["tokens"] - rows[0]["tokens_critique"]
    heard = set()

    def hear(round_):
        nonlocal tokens
        if round_ not in heard:
            heard.add(round_)
            tokens += rows[round_]["tokens_critique"]

    while at < rounds:
        row, new = rows[at], rows[at + 1]
        if gate.by_critic:
            hear(at)
        if not gate.looks(Seen(row["verdict"], row["p_wrong"], row["p_answer"])):
            break
        hear(at)
        looks += 1
        tokens += new["tokens"] - new["tokens_critique"] - new["tokens_judge"]
        if gate.keep == "preferred":
            tokens += new["tokens_judge"]
        if gate.keep == "confirmed":
            hear(at + 1)
        if not gate.keeps(preferred=new["preferred"], verdict=new["verdict"]):
            break
        at, right = at + 1, bool(new["correct"])
    return right, looks, tokens


def test_every_gate_replayed_is_the_loop_question_by_question():
    frame = long(np.random.default_rng(1))
    of = questions_of(frame)
    by_sample = [group.sort_values("round").to_dict("records") for _, group in frame.groupby("sample")]
    tried = list(candidates(of.arm, {}))
    assert {gate.when for gate, _ in tried} == {"never", "always", "unsatisfied", "alarm", "p_wrong", "p_answer"}
    assert {gate.keep for gate, _ in tried} == {"new", "preferred", "confirmed"}
    # What confirms has to have examined the new answer, and the last one never is.
    assert max(rounds for gate, rounds in tried if gate.keep == "confirmed") == 2
    for gate, rounds in tried:
        found = replay(of.arm, gate, rounds)
        walked = [walk(rows, gate, rounds) for rows in by_sample]
        assert list(zip(found.right, found.looks, found.tokens, strict=True)) == walked, (gate, rounds)


def test_where_nobody_looked_a_gate_is_not_replayed():
    frame = records()
    content = set(frame.loc[(frame["round"] == 0) & (frame["verdict"] == "right"), "sample"])
    stopped = frame[(frame["round"] == 0) | ~frame["sample"].isin(content)]
    arm = questions_of(stopped).arm
    assert replay(arm, Gate("always"), 1) is None
    whole, part = (replay(questions_of(each).arm, Gate("alarm"), 1) for each in (frame, stopped))
    assert (whole.right == part.right).all()
    assert (whole.tokens == part.tokens).all()
    failed = frame.assign(status=np.where((frame["sample"] == "q3") & (frame["round"] == 1), "error", "ok"))
    failed["correct"] = failed["correct"].astype(object).where(failed["status"] == "ok", None)
    assert replay(questions_of(failed).arm, Gate("always"), 1) is not None


def test_samples_that_agree_are_counted_and_paid_for():
    own = pd.DataFrame(
        {"sample": ["a", "b", "c"], "round": 0, "arm": "self", "answer": ["1", "2", None], "correct": True}
    )
    again = own.assign(round=1, answer="9")
    votes = pd.DataFrame(
        [
            {"sample": sample, "round": round_, "arm": "vote", "answer": "x", "sampled": said, "correct": True}
            for sample, answers in {"a": "111", "b": "123", "c": "..."}.items()
            for round_, said in enumerate(answers if answers != "..." else [None] * 3)
        ]
    )
    frame = pd.concat([own, again, votes], ignore_index=True).assign(tokens=10, tokens_critique=0, verdict=None)
    of = questions_of(frame)
    found = agreements_of(of.records, of.table.samples, of.arm, of.table.arms["vote"])
    assert sorted(found) == [2, 3]
    assert found[3].share.tolist() == pytest.approx([1.0, 1 / 3, 0.0])
    assert found[3].tokens.tolist() == [30, 30, 30]
    assert replay(of.arm, Gate("agreement", 0.5, 3), 1, found).looks.tolist() == [0, 1, 1]
    assert replay(of.arm, Gate("agreement", 0.5, 3), 1, found).tokens.tolist() == [40, 50, 50]
    assert agreements_of(frame.drop(columns="sampled"), of.table.samples, of.arm, of.table.arms["vote"]) == {}


def test_only_where_a_gate_helps_one_is_named_and_a_test_says_so(tmp_path):
    frame = records()
    first, second = (questions_of(frame, part=(half, 2)) for half in (1, 2))
    assert not set(first.templates) & set(second.templates)
    file = fit(first, MADE)
    assert file.gate.when in ("alarm", "unsatisfied", "p_wrong", "p_answer")
    names = [row.name for row in file.rows]
    assert names[:4] == ["the best gate, cross-fitted", "never", "always", "flagged"]
    assert names[-1] == "the best gate, in hindsight"
    never = file.rows[1]
    assert (never.change.low, never.value.value, never.change.high) == (0.0, 0.0, 0.0)
    cross, hindsight = file.rows[0].value, file.rows[-1].value
    assert 0 < cross.low < cross.value <= hindsight.value
    assert (file.helps, file.tested) == (False, None)
    found = with_test(file, held_out(file, second))
    assert (found.helps, found.tested.finding, found.tested.seen) == (True, "helps", 0)
    assert found.tested.sentence.startswith("The gate helps: +")
    path = tmp_path / "gate.json"
    path.write_text(gate_text(found))
    assert read_gate(path) == found
    assert "q1" not in path.read_text()  # questions are known by digests alone


def test_numbers_by_a_judges_word_are_called_the_judges(tmp_path):
    frame = records().assign(judge="openai/grader", model="m", critic="self")
    first, second = (questions_of(frame, part=(half, 2)) for half in (1, 2))
    file = fit(first, made_of(first.table, first.arm))
    assert file.sentence.startswith("By the word of judge openai/grader: ")
    found = with_test(file, held_out(file, second))
    assert found.tested.sentence.startswith("By the word of judge openai/grader: the gate helps: +")
    path = tmp_path / "gate.json"
    path.write_text(gate_text(found))
    assert read_gate(path).made.judge == "openai/grader"
    # A file of before names none; another judge is another truth.
    check_same(replace(found.made, judge=None), found.made, "gate.json")
    with pytest.raises(ValueError, match=r"gate\.json is of judge 'a', these records are of 'openai/grader'"):
        check_same(replace(found.made, judge="a"), found.made, "gate.json")


def test_where_nothing_helps_none_is_named():
    frame = records(TOOL.Subject(400, 50, 0.1, 0.7, 0.5, 1.5))
    file = fit(questions_of(frame), MADE)
    assert (file.gate.when, file.rounds, file.sentence[:5]) == ("never", 0, "None:")
    best = fit(questions_of(frame), MADE, anyway=True)
    assert best.gate.when != "never"


def test_a_price_is_paid_and_what_costs_too_much_is_not_named():
    frame = records()
    free, dear = (fit(questions_of(frame), MADE, price) for price in (0.0, 200.0))
    always = [next(row for row in file.rows if row.name == "always") for file in (free, dear)]
    # A look takes a critique of 100 and an answer of 200.
    assert always[0].tokens == always[1].tokens == 300
    assert always[1].value.value == pytest.approx(100 * always[1].change.value - 200 * 0.3)
    assert (free.gate.when != "never", dear.gate.when) == (True, "never")
    with pytest.raises(ValueError, match=r"price is 1, and what a look costs is not known"):
        fit(questions_of(frame.drop(columns=["tokens", "tokens_critique"])), MADE, 1.0)
    free = frame.assign(arm="none", verdict=None, p_wrong=np.nan, tokens=np.nan)
    with pytest.raises(ValueError, match=r"price is 1, and what arm 'none' costs is not known"):
        fit(questions_of(pd.concat([frame, free], ignore_index=True)), MADE, 1.0)
    with pytest.raises(ValueError, match="price is -1"):
        fit(questions_of(frame), MADE, -1.0)


def test_where_the_vote_lacks_a_question_its_agreement_has_no_price():
    frame = records(replace(ONLY_A_GATE, n=400, templates=50)).assign(answer="x")
    first = frame[frame["round"] == 0]
    # Samples agree where the first answer is right: no gate is better than one by them.
    sampled = np.where(first["correct"], "x", "y")
    votes = pd.concat([first.assign(arm="vote", round=at, sampled=sampled, verdict=None) for at in (0, 1)])
    whole = pd.concat([frame, votes], ignore_index=True)
    lacking = whole[(whole["arm"] != "vote") | (whole["sample"] != "q7")]
    for told, price, by_samples in ((whole, 1.0, True), (lacking, 0.0, True), (lacking, 1.0, False)):
        file = fit(questions_of(told), MADE, price)
        assert (file.gate.when == "agreement") == by_samples
        assert (file.rows[0].tokens is None) == (told is lacking and not price)
    with_it, without = (questions_of(lacking, part=(half, 2)) for half in (1, 2))
    if "q7" in without.names:
        with_it, without = without, with_it
    file = fit(without, MADE, 1.0)
    assert file.gate.when == "agreement"
    with pytest.raises(
        ValueError, match=r"what the gate \(look again where fewer .* costs is not known: the vote lacks"
    ):
        held_out(file, with_it)


def test_no_question_is_fitted_on_and_tested_on():
    frame = records()
    half = questions_of(frame, part=(1, 2))
    with pytest.raises(ValueError, match="500 of 1,000 questions are among those that the gate was fitted on"):
        held_out(fit(half, MADE), questions_of(frame))


def test_what_is_chosen_for_a_template_does_not_depend_on_its_own_answers():
    frame = records()
    before = fit(questions_of(frame), MADE).rows[0]
    # All answers of a template turned round: its own questions change, and what the others get is what they got.
    turned = frame.assign(correct=frame["correct"] ^ (frame["template"] == "t3"))
    after = fit(questions_of(turned), MADE).rows[0]
    n = (frame["template"] == "t3").sum() / 2
    assert abs(after.change.value - before.change.value) <= n / 1000 + 1e-9


def test_a_control_that_does_as_well_leaves_it_undecided():
    frame = records()
    control = frame.assign(arm="none", verdict=None, p_wrong=np.nan)
    first = control["round"] == 0
    # Asking again without a critique repairs all that the gate does, and harms nothing.
    control["correct"] = np.where(first, control["correct"], True)
    both = pd.concat([frame, control], ignore_index=True)
    halves = [questions_of(both, part=(half, 2)) for half in (1, 2)]
    found = held_out(fit(halves[0], MADE), halves[1])
    assert found.finding == "undecided"
    assert "not shown to be worth more than asking again without a critique" in found.sentence


def voted(frame, right):
    """An arm of votes, a round for each element: whether its answer is right there, of every question."""
    first = frame[frame["round"] == 0].assign(arm="vote", verdict=None, p_wrong=np.nan)
    return pd.concat([first.assign(round=at, correct=told) for at, told in enumerate(right)], ignore_index=True)


def on_other_half(frame, controls):
    both = pd.concat([frame, controls], ignore_index=True)
    halves = [questions_of(both, part=(half, 2)) for half in (1, 2)]
    return held_out(fit(halves[0], MADE), halves[1])


def test_a_control_in_the_table_that_cannot_be_compared_leaves_it_undecided():
    # A vote whose third answer is always right beats any gate; without tokens nobody can say so.
    frame = records()
    votes = voted(frame, [frame.loc[frame["round"] == 0, "correct"].to_numpy()] * 2 + [True])
    costs = ["tokens", "tokens_critique"]
    found = on_other_half(frame.drop(columns=costs), votes.drop(columns=costs))
    assert found.finding == "undecided"
    assert "cannot be compared with a majority vote of samples at equal token cost, which is in the" in found.sentence
    assert [row.name for row in found.rows] == ["the gate", "never", "always", "flagged"]
    elsewhere = votes.assign(sample="other " + votes["sample"], arm="none", template="t1")
    found = on_other_half(frame, elsewhere)
    assert (found.finding, "asking again without a critique, which is in the" in found.sentence) == ("undecided", True)
    assert "share no answered question" in found.sentence
    # What hurts needs no control.
    worse = frame.assign(correct=np.where(frame["round"] == 0, True, frame["correct"]))
    hurting = fit(questions_of(frame, part=(1, 2)), MADE)
    both = pd.concat([worse.drop(columns=costs), votes.drop(columns=costs)], ignore_index=True)
    assert held_out(hurting, questions_of(both, part=(2, 2))).finding == "hurts"


def test_a_vote_that_changed_no_answer_is_a_hurdle_as_its_first_answers_are():
    frame = records()
    first = frame.loc[frame["round"] == 0, "correct"].to_numpy()
    same = on_other_half(frame, voted(frame, [first] * 3))
    assert same.finding == "helps"
    assert same.sentence.endswith("a majority vote of samples at equal token cost (which changed no answer).")
    rows = {row.name: row for row in same.rows}
    assert rows["a majority vote of samples at equal token cost"].value.value == 0
    # Answers that are sampled may be better than the first ones, even if no vote changes them.
    better = on_other_half(frame, voted(frame, [True] * 3))
    assert (better.finding, "not shown to be worth more than a majority vote" in better.sentence) == ("undecided", True)


def test_what_helps_on_one_kind_of_question_and_hurts_on_the_other_is_undecided():
    frame = records(replace(ONLY_A_GATE, n=4000, templates=200))
    ambig = frame.assign(context=np.where(frame["template"].str[1:].astype(int) % 2, "ambig", "disambig"))
    halves = [questions_of(ambig[ambig["context"] == "ambig"], part=(half, 2)) for half in (1, 2)]
    found = held_out(fit(halves[0], MADE), halves[1])
    assert (found.finding, found.sentence[:33]) == ("undecided", "There are no disambig questions: ")


def test_what_the_records_do_not_allow_is_an_error():
    frame = records()
    for ask, said in (
        (lambda: questions_of(frame[frame["round"] == 0]), "no arm looks again that a gate could stop"),
        (lambda: questions_of(frame.assign(arm="oracle")), "no arm looks again"),
        (lambda: questions_of(frame, "other"), "no gate for arm 'other'; there are self"),
        (lambda: questions_of(frame, part=(3, 2)), "part is 3/2"),
        (lambda: fit(questions_of(frame), MADE, by=["mood"]), "cannot go by 'mood'; choose among never, always"),
        (lambda: fit(questions_of(frame[frame["template"].isin(["t1", "t2"])]), MADE), "come from 2 templates"),
        (
            lambda: check_same(MADE, replace(MADE, model="other"), "gate.json"),
            "gate.json is of model 'm', these records",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            ask()
    # What one of them does not tell is not compared.
    check_same(replace(MADE, prompt="p@1"), MADE, "gate.json")


def test_a_file_of_another_kind_is_one_line(tmp_path):
    path = tmp_path / "gate.json"
    with pytest.raises(ValueError, match=r"cannot be read .*make one with: secondlook gate fit RUN"):
        read_gate(path)
    path.write_text('{"format": "secondlook.gate/9"}')
    with pytest.raises(ValueError, match=r"is no gate of secondlook\.gate/1") as caught:
        read_gate(path)
    assert "\n" not in str(caught.value)


def test_on_null_subjects_few_gates_are_said_to_help_and_where_one_does_it_is_found():
    # 60 datasets at 2.5% have a standard error of 2 points; `make soak` has 200 of many subjects.
    rng = np.random.default_rng(7)
    null = TOOL.cell(TOOL.Subject(400, 50, 0.2, 0.7, 0.5, 1.5), 60, rng)
    assert null["best said to help"] <= 0.05
    assert null["named and said to help"] <= 0.02
    helped = TOOL.cell(ONLY_A_GATE, 10, rng)
    assert helped["named and said to help"] >= 0.8


@pytest.mark.soak
def test_the_gates_calibration_holds():
    result = TOOL.calibrate()
    for cell in result["null"]:
        assert cell["best said to help"] <= 0.05, cell
        assert cell["named and said to help"] <= 0.05, cell
    always, gate, more, none = (cell["named and said to help"] for cell in result["helped"])
    assert always > 0.9
    assert more > gate
    assert none <= 0.05
