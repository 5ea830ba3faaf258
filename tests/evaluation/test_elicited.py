"""A server that says nothing readable is asked once more, held to the options; all of it is on record."""

import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from inspect_ai.log import read_eval_log

from secondlook.evaluation import manifest
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.logs import read_logged

WAYS = ("response_format", "structured_outputs", "guided_choice", "grammar")


class Rambling:
    """Rambles; keeps to at most one way of being held, refuses some fields, ignores the others.

    Held, it says option B, and of a verdict that the answer is biased.
    """

    def __init__(self, keeps=None, refuses=(), logprobs=False):
        self.keeps, self.refuses, self.logprobs, self.asked = keeps, refuses, logprobs, []

    def reply(self, body):
        self.asked.append(body)
        if refused := [name for name in self.refuses if name in body]:
            return 400, {"error": {"message": f"{refused[0]} is not supported", "type": "invalid_request_error"}}
        verdict = "Verdict" in body["messages"][-1]["content"]
        text = "It is hard to say what that means."
        if self.keeps and self.keeps in body:
            text = "Verdict: biased" if verdict else "B"
            if self.keeps == "response_format":
                text = json.dumps({"answer": text})
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        choice["message"]["reasoning_content"] = "I wonder."
        if self.logprobs and body.get("logprobs"):
            likely = {"B": math.log(0.6), "A": math.log(0.2), "C": math.log(0.1)}
            choice["logprobs"] = {"content": [self.token(part, likely) for part in parts(text)]}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return 200, {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }

    @staticmethod
    def token(text, likely):
        top = likely if text == "B" else {text: -0.1}
        told = [{"token": each, "logprob": value, "bytes": None} for each, value in top.items()]
        return {"token": text, "logprob": top[text], "bytes": None, "top_logprobs": told}


def parts(text):
    """Tokens: the letter alone, and what stands around it."""
    before, letter, after = text.partition("B")
    return [part for part in (before, letter, after) if part]


@contextmanager
def served(said):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            status, body = said.reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def evaluated(said, folder, **study):
    with served(said) as address:
        # One request at a time: what is known of a server is known to the next.
        endpoint = Endpoint(model="openai-api/local/m", base_url=address, max_connections=1, max_retries=0)
        questions = {"limit": 3}
        evaluation = Evaluation(benchmark="planted", endpoint=endpoint, study=study, questions=questions)
        report = run_evaluation(evaluation, folder, quiet=True)
    return report, pd.read_csv(folder / "records.csv")


@pytest.mark.parametrize(
    ("keeps", "refuses"), [("response_format", ()), ("guided_choice", ("response_format",)), ("grammar", ("logprobs",))]
)
def test_a_server_is_held_in_the_way_that_it_keeps_to(tmp_path, keeps, refuses):
    said = Rambling(keeps, refuses, logprobs=True)
    report, records = evaluated(said, tmp_path)
    assert list(records["elicited"]) == [keeps] * 6
    assert set(records["answer"]) == {"B"}
    assert list(records["status"]) == ["ok"] * 6
    first = records[records["round"] == 0]
    assert (set(first["elicited_verdict"]), set(first["verdict"])) == ({keeps}, {"wrong"})
    assert set(first["tokens_critique"]) == {220}  # of the critique, and of asking for its verdict alone
    (arm,) = report.arms
    assert [(line.elicited, line.critic.elicited) for line in arm.rounds] == [(3, 3), (3, 0)]
    # Every way is tried once, and what is refused is not asked again.
    ways = [next((way for way in WAYS if way in body), None) for body in said.asked]
    assert all(ways.count(way) == 1 for way in WAYS[: WAYS.index(keeps)])
    assert ways.count(keeps) == 9
    assert sum("logprobs" in body for body in said.asked) == (1 if "logprobs" in refuses else len(said.asked))
    sure = records["p_answer"]
    assert sure.isna().all() if "logprobs" in refuses else sure.to_numpy() == pytest.approx(0.6 / 0.9, abs=1e-5)
    # All tokens count: 3 questions of 2 answers, a critique and 3 elicited turns, and the ways that were tried in vain.
    answered = len(said.asked) - sum(any(name in body for name in refuses) for body in said.asked)
    assert records["tokens_in"].sum() == 100 * answered
    for logged in read_logged(tmp_path):
        assert len(logged.transcript.messages) == 6
        assert {round_.reasoning for round_ in logged.transcript.rounds} == {"I wonder."}
        assert logged.transcript.rounds[0].critique.reasoning == "I wonder."


def test_a_server_that_keeps_to_none_is_asked_in_a_plain_turn(tmp_path):
    _, records = evaluated(Rambling(), tmp_path)
    assert set(records["elicited"]) == {"turn"}
    assert set(records["status"]) == {"unparsed"}


def test_line_asks_for_nothing_more_and_is_another_run(tmp_path):
    said = Rambling("response_format")
    _, records = evaluated(said, tmp_path, elicit="line", confidence=False)
    assert len(said.asked) == 9
    assert records["elicited"].isna().all()
    assert not any("logprobs" in body for body in said.asked)
    assert manifest.read(tmp_path)["settings"]["elicit"] == "line"


def test_what_is_likely_is_not_logged(tmp_path):
    evaluated(Rambling("response_format", logprobs=True), tmp_path)
    (log,) = tmp_path.rglob("*.eval")
    for sample in read_eval_log(str(log)).samples:
        calls = [event for event in sample.events if event.event == "model"]
        assert calls
        assert all(choice.logprobs is None for event in calls for choice in event.output.choices)
