"""A run's page: how an answer was read stands beside it, and what does not hold of a run is not on its page."""

import html
import re
from dataclasses import replace

import pytest

from secondlook.benchmarks.benchmark import find
from secondlook.benchmarks.own.item import Question
from secondlook.correction.chat import ModelInfo, Usage
from secondlook.correction.elicit import Elicited
from secondlook.correction.transcript import Critique, Round, Transcript
from secondlook.evaluation import evaluate
from secondlook.evaluation.logs import Logged

RAMBLE = "Either 10 or 11, who knows?"
USAGE = Usage(calls=1, input=10, output=5)


def once_more(said, *, read=True):
    return Elicited(said, "turn", read, USAGE, 0.0)


def logged(arm, sample, first, last, **more):
    question = Question(sample, "sums", sample, None, "4 + 6?", "number", {"prompt": "4 + 6?", "answer": 10})
    critique = Critique("Hm.", "wrong", USAGE, elicited=once_more("Verdict: wrong"))
    rounds = (
        Round(0, *first[:1], "stop", USAGE, 0.0, critique, elicited=first[1]),
        Round(1, *last[:1], "stop", USAGE, 0.0, elicited=last[1]),
    )
    model = ModelInfo("maker/model")
    transcript = Transcript(sample, "own/binary@0", model, arm, "self", 0, (), rounds, "rounds", **more)
    return Logged(find("own"), arm, arm, 0.0, question, transcript)


@pytest.fixture
def page(tmp_path):
    """Text of the page of some samples."""

    def write(*samples):
        evaluate._report_on(list(samples), tmp_path)
        text = re.sub("<[^>]+>", " ", (tmp_path / "report.html").read_text("utf-8").partition("<body>")[2])
        return " ".join(html.unescape(text).split())

    return write


def test_equal_words_that_were_read_differently_show_why(page):
    shown = page(
        logged("self", "a", (RAMBLE, once_more("10")), (RAMBLE, once_more("11"))),
        logged("self", "b", ("It is 10.", None), (RAMBLE, once_more("Either.", read=False))),
        logged("self", "c", ("10", None), ("11", None)),
    )
    assert f"First answer (read as 10, asked once more) {RAMBLE}" in shown
    assert f"Last answer (read as 11, asked once more) {RAMBLE}" in shown
    assert "First answer (read as 10) It is 10." in shown
    assert f"Last answer (could not be read, asked once more) {RAMBLE}" in shown
    assert "Critique of it (read as wrong, asked once more) Hm." in shown
    assert "First answer 10 " in shown


def test_flips_stand_in_the_order_of_their_numbers(page):
    names = ("q10", "q9", "q9/2", "q100", "a")
    shown = page(*(logged("self", name, ("10", None), ("11", None)) for name in names))
    assert re.findall(r"Question (\S+) ", shown) == ["a", "q9", "q9/2", "q10", "q100"]


def test_a_call_that_was_refused_shows_the_servers_words(page):
    sample = logged("self", "a", ("10", None), ("11", None), error="filtered by the server")
    cut = replace(sample.transcript, rounds=sample.transcript.rounds[:1], stop="refused")
    assert "Last answer (refused) filtered by the server" in page(replace(sample, transcript=cut))


def test_advice_of_one_arm_has_its_name(page):
    samples = [logged("self", f"{n}", ("10", None), ("10" if n % 2 else "11", None)) for n in range(12)]
    limits = page(*samples).partition("What it does not say")[2].partition("What was run")[0]
    assert "self: " not in limits
    others = [logged("other", f"{n}", ("10", None), ("10" if n % 3 else "11", None)) for n in range(12)]
    both = page(*samples, *others).partition("What it does not say")[2].partition("What was run")[0]
    (own,) = re.findall(r"self: [^.]*needs [0-9,]+ samples", both)
    (others_,) = re.findall(r"other: [^.]*needs [0-9,]+ samples", both)
    assert own.removeprefix("self") != others_.removeprefix("other")
    assert own.removeprefix("self: ") in limits


def test_a_run_without_logs_is_not_said_to_have_some(page):
    sample = logged("self", "a", ("10", None), ("11", None))
    assert "as the log has them" in (text := page(sample))
    assert "every word in the logs" in text
    text = page(replace(sample, in_log=False))
    assert "Up to 10 of each way." in text
    assert "in the log" not in text
    assert "as the log" not in text
