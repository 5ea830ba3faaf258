"""Servers as they are: each reply is read by its rule, one row a sample, and a later run asks what is missing alone."""

import json
import random

import pandas as pd
import pytest
from odd_replies import SAID, SPOILT, marked, spoil
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from command import secondlook
from secondlook.correction.transcript import Transcript
from secondlook.evaluation.logs import read_logged

TURNS = (0, 1, 2)


def says(messages):
    return "Verdict: wrong" if "Verdict" in messages[-1]["content"] else f"The answer is {70 + len(messages)}."


def ask(server, folder, marks, *options):
    """Ask a question a mark; its answer is right at once and wrong after the check."""
    data = folder.parent / f"{folder.name}.jsonl"
    lines = [
        {"id": f"{number}:{name}@{turn}", "prompt": marked(name, turn, f"What is 40 + 31? ({number})"), "answer": 71}
        for number, (name, turn) in enumerate(marks)
    ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    server.says = says
    run = (
        "eval",
        "own",
        "--data",
        data,
        "--grader",
        "number",
        "--model",
        "openai-api/local/m",
        "--no-diagnose",
        "--no-preflight",
    )
    return secondlook(*run, "--base-url", server.address, "--max-retries", 0, "--out", folder, *options)


def rows_of(folder):
    table = pd.read_csv(folder / "records.csv", dtype={"answer": "str", "error": "str"})
    return {sample: rows.sort_values("round") for sample, rows in table.groupby("sample")}


def expected(name, turn):
    """Statuses of a sample's rows."""
    status = SPOILT[name][1]
    if turn == 1 and (status == "refused" or name in ("null", "empty", "think-open")):
        return ["ok", "ok"]  # a check without words states no verdict
    return {0: [status], 1: ["ok", status], 2: ["ok", status]}[turn] if status != "ok" else ["ok", "ok"]


def check(folder, marks):
    found = rows_of(folder)
    assert len(found) == len(marks)
    for number, (name, turn) in enumerate(marks):
        rows = found[f"{number}:{name}@{turn}"]
        assert list(rows["status"]) == expected(name, turn), (name, turn)
        assert list(rows["answer"].dropna()) == ["71", "75"][: list(rows["status"]).count("ok")], (name, turn)
        last = rows.iloc[-1]
        if last["status"] != "ok":
            assert SAID.get(name, "") in last["error"], (name, turn)
            assert "\n" not in last["error"]
        unknown = name in ("no-usage", "null-usage", "odd-usage")
        assert bool(rows["tokens_in"].isna().any()) == unknown, (name, turn)
    return found


def test_every_way_has_its_rule_and_a_later_run_asks_only_what_failed(faulty, tmp_path):
    marks = [(name, turn) for name in SPOILT for turn in TURNS]
    faulty.odd = spoil
    done = ask(faulty, tmp_path / "run", marks)
    assert done.code in (0, 3), done.err
    check(tmp_path / "run", marks)
    failed = {mark for mark in marks if expected(*mark)[-1] == "error"}

    faulty.heal()
    faulty.asked.clear()
    again = ask(faulty, tmp_path / "run", marks)
    assert again.code == 0, again.err
    assert len([messages for messages in faulty.asked if len(messages) == 1]) == len(failed)
    statuses = pd.concat(rows_of(tmp_path / "run").values())["status"]
    assert set(statuses) == {"ok", "refused"}
    assert (statuses == "refused").sum() == sum(expected(*mark)[-1] == "refused" for mark in marks)


@pytest.mark.parametrize(("count", "shards"), [(60, ()), (30, ("--shards", 3))], ids=["whole", "shards"])
def test_every_way_at_random_among_failures(faulty, tmp_path, count, shards):
    mixed_at_random(faulty, tmp_path / "run", count, *shards)


@pytest.mark.soak
def test_every_way_at_random_in_2000_samples(faulty, tmp_path):
    mixed_at_random(faulty, tmp_path / "run", 2000)


def mixed_at_random(server, folder, count, *options):
    """A fifth of the samples fail with a server's error, at any turn; the others have any way at any turn."""
    drawn = random.Random(3)
    marks = [("500" if drawn.random() < 0.2 else drawn.choice(list(SPOILT)), drawn.choice(TURNS)) for _ in range(count)]
    server.odd = spoil
    assert ask(server, folder, marks, *options).code in (0, 2, 3)
    secondlook("report", folder)
    check(folder, marks)
    server.heal()
    server.asked.clear()
    assert ask(server, folder, marks, *options).code == 0
    failed = sum(expected(*mark)[-1] == "error" for mark in marks)
    assert len([messages for messages in server.asked if len(messages) == 1]) == failed
    assert len(rows_of(folder)) == count


def test_tokens_are_counted_by_a_named_tokenizer_where_the_server_does_not_tell_them(faulty, tmp_path):
    file = tmp_path / "tokenizer.json"
    words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = WhitespaceSplit()
    words.save(str(file))
    faulty.odd = spoil
    marks = [("no-usage", 0), ("null-usage", 2), ("odd-usage", 1), ("sound", 0)]
    done = ask(faulty, tmp_path / "run", marks, "--count-tokens", file)
    assert done.code == 0, done.err
    found = rows_of(tmp_path / "run")
    conversations = {messages[0]["content"]: messages for messages in faulty.asked if len(messages) == 5}

    def cost(number, turn):
        """Tokens in and out of one call: as the server tells, or else its words."""
        name, untold = marks[number]
        if name == "sound" or untold != turn:
            return 7, 3
        (shown,) = (said for question, said in conversations.items() if f"({number})" in question)
        before = shown[: 2 * turn + 1]
        return sum(len(message["content"].split()) for message in before), len(says(before).split())

    for number, (name, turn) in enumerate(marks):
        first, last = found[f"{number}:{name}@{turn}"].itertuples()
        told = [(first.tokens_in, first.tokens_out), (last.tokens_in, last.tokens_out)]
        # A row holds an answer and its critique.
        (a, b), (c, d), after = (cost(number, turn) for turn in TURNS)
        assert told == [(a + c, b + d), after], (name, turn)
    notes = json.loads((tmp_path / "run" / "report.json").read_text())["notes"]
    assert f"Tokens are counted by {file}, of texts alone, where the server does not tell them." in notes

    done = ask(faulty, tmp_path / "other", marks, "--count-tokens", tmp_path / "none.json")
    assert "none.json' cannot be read" in done.error
    assert "give the tokenizer.json of a model" in done.error


REFUSING = {
    "max_tokens": lambda asked: "max_tokens" in asked and "this model takes max_completion_tokens, not max_tokens",
    "temperature": lambda asked: asked.get("temperature") not in (None, 1) and "temperature is 1 for this model",
    "stream": lambda asked: not asked.get("stream") and "only streams are served",
    "no stream": lambda asked: asked.get("stream") and "streaming is not supported",
    "stream_options": lambda asked: "stream_options" in asked and "extra inputs: stream_options",
}


@pytest.mark.parametrize("name", REFUSING)
def test_what_a_model_refuses_is_changed_once_recorded_and_told(faulty, tmp_path, name):
    def odd(request, reply):
        said = REFUSING[name](request)
        return SPOILT["sound"][0](reply) if not said else spoilt(said)

    def spoilt(said):
        from starlette.responses import JSONResponse

        refused.append(said)
        return JSONResponse({"error": {"message": said, "type": "invalid_request_error"}}, 400)

    # Inspect keeps a model for later runs, and what it refuses stays known.
    refused, model = [], f"openai-api/local/{name.replace(' ', '-')}"
    faulty.odd = odd
    done = ask(faulty, tmp_path / "run", [("sound", 0)] * 3, "--max-connections", 1, "--model", model)
    assert done.code == 0, done.err
    check(tmp_path / "run", [("sound", 0)] * 3)
    if name == "stream":
        assert refused == []  # replies are asked for as streams
        return
    assert len(refused) == 1
    changed = name.split()[-1]
    (decoding,) = {row.decoding for rows in rows_of(tmp_path / "run").values() for row in rows.itertuples()}
    assert json.loads(decoding)["refused"] == [changed]
    assert f"refuses {changed}" in " ".join(done.out.split())


def test_the_viewer_has_the_whole_conversation(faulty, tmp_path):
    from inspect_ai.log import list_eval_logs, read_eval_log

    assert ask(faulty, tmp_path / "run", [("sound", 0)], "--rounds", 2).code == 0
    (info,) = list_eval_logs(str(tmp_path / "run"))
    (sample,) = read_eval_log(info).samples
    (logged,) = read_logged(tmp_path / "run")
    assert isinstance(logged.transcript, Transcript)
    assert [(m.role, m.text) for m in sample.messages] == [(m.role, m.content) for m in logged.transcript.messages]
    assert [m.role for m in sample.messages] == ["user", "assistant"] * 5
