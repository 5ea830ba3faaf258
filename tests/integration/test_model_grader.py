"""A model grades answers to open questions: its numbers are called its own, and people's labels put them right."""

import gc
import json
import re

import pytest

from command import records, secondlook

# Inspect drops the idle connections of a finished run unclosed, as its LoopScopedTransport says.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
HOMES = ("zor", "brel", "quim", "tal", "fen", "mog", "lis", "dar", "wex", "pol") * 4
LONGER = "In truth, and after long thought, it is"


@pytest.fixture(autouse=True)
def collected():
    """The warnings of a run belong here, not to whichever test comes next."""
    yield
    gc.collect()


@pytest.fixture
def questions(tmp_path):
    """Forty questions: the model knows every other home, and its second answers are longer, never better."""
    path = tmp_path / "homes.jsonl"
    rows = [
        {"id": f"q{number}", "prompt": f"Where does beast {number} live?", "answer": home, "secret": "none of this"}
        for number, home in enumerate(HOMES)
    ]
    path.write_text("".join(json.dumps({**row, "rubric": f"Names the home: {row['answer']}."}) + "\n" for row in rows))
    return path


def beasts(messages):
    """Answers; says of every answer that it is wrong; and judges a long answer right, whatever it says."""
    last = messages[-1]["content"]
    if "Grade:" in last:
        home, said = (re.search(rf"<{tag}>\n(.*?)\n</{tag}>", last, re.S)[1] for tag in ("reference", "answer"))
        if "none of this" in last or f"Names the home: {home}." not in last:
            return "Grade: nothing was told as it should be"
        return f"So it is. Grade: {'right' if LONGER in said or home in said else 'wrong'}"
    if "Verdict:" in last:
        return "Verdict: wrong"
    number = int(re.search(r"beast (\d+)", next(m["content"] for m in messages if "beast" in m["content"]))[1])
    looked = any("Verdict: wrong" in message["content"] for message in messages if message["role"] == "assistant")
    return f"{LONGER if looked else 'It is'} in {HOMES[number] if number % 2 else 'the sea'}."


def command(server, questions, *more):
    return (
        *("eval", "own", "--data", questions, "--grader", "model", "--model", "openai-api/local/beasts"),
        *("--base-url", server.address, "--reply-tokens", 64, "--critic", "self", *more),
    )


def test_a_judges_word_is_called_so_and_corrected_by_people(faulty, questions, tmp_path):
    faulty.says = beasts
    judge = ("--judge-model", "openai-api/local/judge", "--judge-base-url", faulty.address)
    run, labels = tmp_path / "run", tmp_path / "labels.jsonl"
    done = secondlook(*command(faulty, questions, *judge, "--critic", "none", "--critic", "vote", "--out", run))
    assert done.code == 0, done.err
    table = records(run, without=())
    assert set(table["judge"]) == {"openai-api/local/judge"}
    table = table[table["arm"] == "self"]
    assert table[table["round"] == 0]["correct"].mean() == 0.5
    assert table[table["round"] == 1]["correct"].mean() == 1.0  # by the word of a judge that likes long answers
    alone = secondlook("diagnose", run)
    told = " ".join(alone.out.split())
    assert "By the word of judge openai-api/local/judge: looking again once (critic: self) helps" in told
    assert "not the truth: label some answers and give --judge-labels" in told

    drawn = secondlook("label", run, "--out", labels, "--n", 240)
    assert drawn.code == 0
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    for line in lines:
        line["label"] = "true" if HOMES[int(line["sample"][1:])] in line["reply"] else "false"
    labels.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = json.loads(secondlook("diagnose", run, "--judge-labels", labels, "--json").out)
    assert found["judge"] == "openai-api/local/judge"
    assert found["overall"]["finding"] == "undecided"
    assert "corrected by people's labels the gain is" in found["overall"]["reason"]
    last = found["rounds"][1]["accuracy_corrected"]
    assert last["low"] <= 0.5 <= last["high"] < 1.0


def test_what_cannot_be_graded_so_is_refused_before_a_model_is_called(faulty, questions, tmp_path):
    faulty.says = beasts
    assert "give --judge-model" in secondlook(*command(faulty, questions)).error
    judge = ("--judge-model", "openai-api/local/judge", "--judge-base-url", faulty.address)
    assert (
        "critic 'oracle' tells the truth" in secondlook(*command(faulty, questions, *judge, "--critic", "oracle")).error
    )
    exact = secondlook(*command(faulty, questions, *judge, "--grader", "exact"))
    assert "give --grader model, or no --judge-model" in exact.error
    planned = secondlook(*command(faulty, questions, *judge, "--limit", 5, "--dry-run")).out
    assert [line.split()[-1] for line in planned.splitlines() if line.startswith(("preflight", "self"))] == ["3", "10"]
    assert faulty.asked == []
    # Three questions are tried first, and a judge that says nothing is found out by them.
    faulty.says = lambda messages: "Hm." if "Grade:" in messages[-1]["content"] else beasts(messages)
    refused = secondlook(*command(faulty, questions, *judge, "--out", tmp_path / "mute"))
    assert "judge openai-api/local/judge said neither right nor wrong of any of the answers above" in refused.err
    assert not (tmp_path / "mute" / "run.json").exists()


def test_an_answer_that_the_judge_never_saw_is_an_error_and_a_resume_asks_again(faulty, questions, tmp_path):
    faulty.says = beasts
    judge = ("--judge-model", "openai-api/local/judge", "--judge-base-url", faulty.address)
    run = (*command(faulty, questions, *judge, "--limit", 4, "--no-preflight", "--out", tmp_path / "run"),)
    faulty.misbehave("400", where=lambda messages: "Grade:" in messages[-1]["content"] and "beast 2 " in str(messages))
    assert secondlook(*run).code == 3
    table = records(tmp_path / "run", without=()).set_index("sample")
    assert list(table.loc["q2", "status"]) == ["error", "error"]
    assert set(table.drop("q2")["status"]) == {"ok"}
    assert "gave no word" in table.loc["q2", "error"].iloc[0]
    faulty.heal()
    faulty.says = beasts
    assert secondlook(*run).code == 0
    assert set(records(tmp_path / "run", without=())["status"]) == {"ok"}
