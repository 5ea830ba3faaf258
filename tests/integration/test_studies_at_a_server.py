"""Studies of a model behind a server: what failed is asked again, and what nobody tells is left out."""

from dataclasses import replace

import pandas as pd
import pytest

from secondlook.evaluation.asking import RunError
from secondlook.evidence.experiment import conduct
from secondlook.studies.experiments import REAL, defences
from secondlook.studies.pairs import accuracy, arms_of, change
from secondlook.studies.real import RealBench, profile_of

MODEL = "openai-api/local/m"


def bench(server, folder):
    asked = replace(profile_of(MODEL, base_url=server.address), problems=2)
    return RealBench(asked, folder / "store", folder / "work")


def test_a_unit_with_a_failed_call_is_not_kept_and_the_next_call_asks_for_it_alone(faulty, tmp_path):
    faulty.misbehave("500", where=lambda messages: messages[0] == faulty.asked[0][0])
    with pytest.raises(RunError, match=r"own-word-problems-none-\w+ is not kept: 1 sample of 2 ended in an error"):
        bench(faulty, tmp_path).problems("none")
    assert not [*tmp_path.rglob("*.parquet")]
    failed = faulty.asked[0][0]
    faulty.heal()
    faulty.asked.clear()
    records = bench(faulty, tmp_path).problems("none")
    assert (records["sample"].nunique(), set(records["status"])) == (2, {"unparsed"})  # "(A)" is no number
    assert {messages[0]["content"] for messages in faulty.asked} == {failed["content"]}
    assert len([*tmp_path.rglob("*.parquet")]) == 1


def test_what_fails_again_is_left_out(faulty, tmp_path):
    """A prompt that is too long would else keep its whole unit out for ever."""
    faulty.misbehave("500", where=lambda messages: messages[0] == faulty.asked[0][0])
    with pytest.raises(RunError, match="What fails again is left out"):
        bench(faulty, tmp_path).problems("none")
    (arm,) = arms_of(bench(faulty, tmp_path).problems("none")).values()
    assert (accuracy(arm, 0).n, arm.failed.sum()) == (1, 1)


def test_calls_that_fail_first_after_a_stop_are_asked_again_too(faulty, tmp_path):
    """A folder that a stopped call left shows that it was begun, not that any failure was told."""

    class Stopped(RealBench):
        def _ask(self, unit):
            (self.folder / unit.profile.name / unit.name).mkdir(parents=True)
            raise KeyboardInterrupt

    of = bench(faulty, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        Stopped(of.profile, of.store, of.folder).problems("none")
    faulty.misbehave("500", where=lambda messages: messages[0] == faulty.asked[0][0])
    with pytest.raises(RunError, match="is not kept: 1 sample of 2 ended in an error"):
        of.problems("none")
    faulty.heal()
    assert not of.problems("none")["status"].eq("error").any()


def test_a_filter_s_refusal_is_no_compliance_and_a_failed_call_says_nothing():
    """Records that others made may hold both."""
    rows = [
        {"arm": arm, "sample": f"s{index}", "context": "harmful", "round": 0, "correct": right, "status": status}
        for arm, given in (
            ("none", [(False, "ok")] * 4 + [(True, "ok")]),
            ("self", [(None, "refused")] * 2 + [(True, "ok"), (False, "ok"), (None, "error")]),
        )
        for index, (right, status) in enumerate(given)
    ]
    arms = arms_of(pd.DataFrame(rows))
    assert (accuracy(arms["self"], 0).value, accuracy(arms["self"], 0).n) == (0.25, 4)
    assert change(arms["none"], arms["self"], 0, 0).value == 0.25
    found = defences._less(arms["none"], arms["self"], forbidden=True)
    assert (found.value, found.n) == (-0.75, 4)
    benign = defences._share(arms["self"], forbidden=False)
    assert (benign.value, benign.n) == (0.75, 4)


def test_without_usage_there_is_no_vote_at_equal_cost_and_all_else_is_judged(faulty, tmp_path):
    faulty.says = lambda messages: "Answer: 7"
    faulty.odd = lambda request, reply: {name: part for name, part in reply.items() if name != "usage"}
    result = conduct(REAL["R1"], bench(faulty, tmp_path), tmp_path / "R1", "study")
    outcomes = {part["name"]: part["outcome"] for part in result["parts"]}
    assert outcomes["beyond a vote"] == "not estimated"
    assert {outcomes[name] for name in ("self", "beyond", "truth", "tool")} <= {"undecided", "supported", "refuted"}
    assert "does not tell what its calls cost" in " ".join(result["notes"])
