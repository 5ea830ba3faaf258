"""A run before llama.cpp's own server, two slots and ten requests wanted: killed with -9, it loses nothing."""

import json
import signal
import time

from inspect_ai.log import list_eval_logs, read_eval_log_sample_summaries

from command import finish, records, start
from llama_server import MODEL, llama_server

QUESTIONS = 8


def finished(folder):
    """Samples that the logs hold, by arm and name."""
    logs = list_eval_logs(str(folder)) if folder.exists() else []
    found = {}
    for info in logs:
        for one in read_eval_log_sample_summaries(info):
            if not one.error:
                found[info.name.split("/")[-2], one.id] = one.uuid
    return found


def test_a_run_before_a_slow_real_server_is_killed_and_goes_on(tmp_path):
    data = tmp_path / "sums.jsonl"
    lines = [{"id": str(n), "prompt": f"What is {40 + n} + {31 + n}?", "answer": 71 + 2 * n} for n in range(QUESTIONS)]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with llama_server() as address:
        run = ("eval", "own", "--data", data, "--grader", "number", "--critic", "self", "--critic", "none")
        run += ("--model", f"openai-api/local/{MODEL}", "--base-url", address, "--max-connections", 10)
        run += ("--reply-tokens", 16, "--no-diagnose", "--no-preflight", "--elicit", "line", "--out", tmp_path / "run")
        process = start(*run, cwd=tmp_path)
        deadline = time.monotonic() + 600
        while len(before := finished(tmp_path / "run")) < 2:
            assert process.poll() is None, finish(process)
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done = finish(start(*run, cwd=tmp_path))
    assert done.code == 0, done.err
    after = finished(tmp_path / "run")
    assert before.items() <= after.items()  # what was finished was not asked again
    assert len(after) == 2 * QUESTIONS
    table = records(tmp_path / "run")
    assert table.groupby(["arm", "sample"]).size().eq(2).all()
    assert len(table) == 4 * QUESTIONS
    assert set(table["status"]) <= {"ok", "unparsed"}
    assert (table["tokens_in"] > 0).all()
