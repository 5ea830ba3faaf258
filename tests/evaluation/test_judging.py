"""A judge model beside answers that a filter withheld, and beside those that were not kept."""

import gc
import json
from itertools import zip_longest

import inspect_ai
import pytest
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from secondlook.evaluation.logs import read_logged, to_table
from secondlook.evaluation.task import build_task


@pytest.fixture(autouse=True)
def collected():
    """The warnings of a run belong here, not to whichever test comes next."""
    yield
    gc.collect()


def said(text, stop="stop"):
    made = ModelOutput.from_content("mockllm/model", text, stop_reason=stop)
    made.usage = ModelUsage(input_tokens=1, output_tokens=1)  # else Inspect fetches a tokenizer
    return made


def judged(folder, replies, words, stops=(), **study):
    """One question asked; the score of the judge, and the records."""
    (folder / "homes.jsonl").write_text(json.dumps({"prompt": "Where does the zor live?"}))
    judgements = [said(f"Grade: {word}", stop) for word, stop in zip_longest(words, stops, fillvalue="stop")]
    about = {"data": str(folder / "homes.jsonl"), "grader": "model", "elicit": "line"}
    (log,) = inspect_ai.eval(
        build_task("own", judge_model=True, **about, **study),
        model=get_model("mockllm/model", custom_outputs=replies),
        model_roles={"judge": get_model("mockllm/judge", custom_outputs=judgements)},
        log_dir=str(folder / "log"),
        display="none",
    )
    assert log.status == "success", log.error
    (sample,) = log.samples
    return sample.scores["judged_by_model"].value, to_table(read_logged(folder / "log"))


def test_a_first_answer_that_a_filter_refused_leaves_nothing_to_judge(tmp_path):
    shares, table = judged(tmp_path, [said("", "content_filter")], [])
    assert set(shares.values()) == {0.0}
    assert list(table["status"]) == ["refused"]


def test_the_share_is_of_the_answer_that_was_kept(tmp_path):
    replies = [said(text) for text in ("In the sea.", "Verdict: wrong", "On land.", "Choice: earlier")]
    shares, table = judged(tmp_path, replies, ["right", "wrong"], keep="preferred")
    assert list(table["kept"]) == [True, False]
    assert set(table["keep"]) == {"preferred"}
    assert (shares["right"], shares["wrong"]) == (1.0, 0.0)


def test_a_judgement_that_a_filter_withheld_leaves_the_others(tmp_path):
    replies = [said(text) for text in ("In the sea.", "Verdict: wrong", "On land.")]
    _, table = judged(tmp_path, replies, ["right", "wrong"], stops=["stop", "content_filter"])
    assert [status == "ok" for status in table["status"]] == [True, False]
    assert bool(table["correct"][0])
