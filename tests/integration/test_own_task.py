"""A user's own task, from the page alone: its commands, its output, its numbers; and on a real local model."""

import json
import sys
from pathlib import Path

import anyio
import pandas as pd
import pytest

from command import CACHED, TIMES, secondlook
from secondlook.benchmarks.own.case import OwnCase
from secondlook.benchmarks.own.item import Question
from secondlook.correction import CommandCritic, Plan, ScriptedModel, run
from secondlook.diagnosis.form import from_json
from secondlook.prompts.prompt import load_prompt

ROOT = Path(__file__).parents[2]


def test_the_page_does_what_it_says_and_says_what_it_does(tmp_path, monkeypatch):
    """The commands of docs/own-task.md, run as written in an empty folder, print what the page shows."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import own_task

    page = own_task.PAGE.read_text("utf-8")
    assert own_task.filled(page, tmp_path) == page
    found = {arm: from_json((tmp_path / f"runs/sums/diagnosis-{arm}.json").read_bytes()) for arm in ("self", "tool")}
    assert {arm: one.overall.finding for arm, one in found.items()} == {"self": "hurts", "tool": "helps"}
    assert found["tool"].overall.critic.accuracy.value == 1.0
    # By hand: the planted endpoint forgets the carry in 6 of 10 sums that have one.
    records = pd.read_csv(tmp_path / "runs/sums/records.csv")
    first = records[(records["round"] == 0) & (records["arm"] == "none")].set_index("sample")
    assert first[first["group"] == "plain"]["correct"].all()
    assert 0.2 < first[first["group"] == "carry"]["correct"].mean() < 0.6
    assert set(records["arm"]) == {"self", "tool", "none", "vote"}


def test_a_tool_is_told_all_but_the_truth(tmp_path):
    script = tmp_path / "check.py"
    script.write_text(
        "import json, sys\n"
        "exam = json.load(sys.stdin)\n"
        f"open({str(tmp_path / 'seen.json')!r}, 'w').write(json.dumps(exam))\n"
        "print('Verdict: wrong')\n"
    )
    question = Question("q1", "g", "q1", None, "2 + 2?", "number", {"prompt": "2 + 2?", "answer": 4, "hint": "add"})
    case = OwnCase(question, load_prompt("own/binary"))
    model = ScriptedModel([(None, "5"), (None, "4")])
    transcript = anyio.run(run, model, CommandCritic([sys.executable, str(script)]), case, Plan(rounds=1))
    assert [round_.answer for round_ in transcript.rounds] == ["5", "4"]
    assert transcript.rounds[0].critique.verdict == "wrong"
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["row"] == {"prompt": "2 + 2?", "hint": "add"}
    assert (seen["query"], seen["answer"]) == ("2 + 2?", "5")


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [{"prompt": f"Say {word}.", "answer": word, "context": "Quietly."} for word in ("zor", "brel", "quim")]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_local_model_by_both_paths_and_from_the_logs_again(questions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ("eval", "own", "--data", questions, "--grader", "contains", "--model", "secondlook/planted")
    options = ("--critic", "self", "--critic", "vote", "--reply-tokens", 12)
    slow, fast = (secondlook(*command, *options, "--out", name, *more) for name, more in (("a", ()), ("b", ["--fast"])))
    assert (slow.code, fast.code) == (0, 0), slow.err + fast.err
    assert "Recommended second looks: 0" in slow.out
    assert "files: diagnosis.json, report.json" in slow.out
    tables = [pd.read_csv(tmp_path / name / "records.csv") for name in ("a", "b")]
    same = [name for name in tables[0] if name not in (*TIMES, *CACHED)]
    pd.testing.assert_frame_equal(tables[0][same], tables[1][same])
    assert set(tables[0]["status"]) == {"ok"}
    assert secondlook("report", "a").code == 0
    assert secondlook("report", "b").error == (
        "'b' holds records but no logs, as --fast leaves it; open its report.html, or call: secondlook diagnose b"
    )
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a/records.csv"), tables[0])
    planned = secondlook(*command, *options, "--dry-run")
    assert "vote" in planned.out
    assert "sent to any model" in planned.out


def test_a_prompt_file_of_the_users_may_use_every_column(questions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "src/secondlook/prompts/own/numeric.toml").read_text("utf-8")
    Path("mine.toml").write_text(text.replace("{prompt}", "{context} {prompt}"))
    command = ("eval", "own", "--data", questions, "--model", "secondlook/planted", "--reply-tokens", 12, "--fast")
    done = secondlook(*command, "--prompt", "mine.toml", "--no-diagnose", "--out", "c")
    assert done.code == 0, done.err
    records = pd.read_csv("c/records.csv")
    assert records["prompt"].str.startswith("mine.toml@").all()
    assert not Path("c/diagnosis.json").exists()
    Path("mine.toml").write_text(text.replace("{prompt}", "{no_such} {prompt}"))
    assert "field 'no_such' that 'own' does not fill" in secondlook(*command, "--prompt", "mine.toml").error
    assert "prompt file 'none.toml' cannot be read" in secondlook(*command, "--prompt", "none.toml").error


def test_errors_come_before_a_model_is_loaded(questions):
    base = ("eval", "own", "--model", "no/such-model")
    for arguments, said in (
        ((), "give --data FILE"),
        (("--data", questions, "--grader", "exactly"), "unknown grader 'exactly'"),
        (("--data", questions, "--field", "prompt"), "field 'prompt' is not name=value, e.g. prompt=COLUMN"),
        (("--data", questions, "--permute"), "No such option: --permute"),
        (("--data", questions, "--prompt", "bbq/binary"), "choose one of own/binary"),
    ):
        assert said in secondlook(*base, *arguments).error
