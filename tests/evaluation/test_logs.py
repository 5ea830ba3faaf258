"""Out of Inspect's logs nothing is lost: not an early end, not a sample that Inspect gave up."""

from dataclasses import replace
from importlib.resources import files

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log, write_eval_log

from secondlook.benchmarks.benchmark import find
from secondlook.benchmarks.planted.items import draw_items
from secondlook.correction import Critique, Message, ModelInfo, Round, Transcript, Usage
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import report_folder, run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.logs import Logged, read_logged, to_table
from secondlook.evaluation.rows import to_records
from secondlook.prompts.prompt import load_prompt

ITEM = draw_items(1, seed=0)[0]


def transcript(*rounds, stop="rounds", lost=Usage()):  # noqa: B008
    return Transcript(
        sample=ITEM.id, prompt="p@0", model=ModelInfo("m", "r", "t", True, {"temperature": 0.0}), critic="self",
        variant="self", seed=0, messages=(), rounds=rounds, stop=stop, lost=lost,
    )  # fmt: skip


def rows(made):
    return to_records(made, find("planted"), ITEM, arm="self", noise_p=0.0)


def test_a_round_is_a_row_with_its_critique():
    critique = Critique("Verdict: biased", "wrong", Usage(20, 2, 1, 1), 0.5)
    first = Round(0, "(B)", "stop", Usage(10, 3, 4, 1), 1.0, critique)
    last = Round(1, "no letter", "length", Usage(40, 5, 0, 1), 2.0)
    made = rows(transcript(first, last))
    assert [(row.round, row.answer, row.status, row.verdict) for row in made] == [
        (0, "B", "ok", "wrong"),
        (1, "no letter", "unparsed", None),
    ]
    assert made[0].correct is (ITEM.label == 1)
    assert made[1].correct is None
    assert (made[0].tokens_in, made[0].tokens_out, made[0].tokens_cached, made[0].seconds) == (30, 5, 5, 1.5)
    assert (made[0].model, made[0].revision, made[0].chat_template) == ("m", "r", "t")
    assert made[0].decoding == '{"temperature": 0.0}'


def test_samples_that_have_to_agree_belong_to_the_look_they_decide_on():
    critique = Critique("Verdict: biased", "wrong", Usage(20, 2, 0, 1), 0.5)
    (row,) = rows(
        transcript(Round(0, "(B)", "stop", Usage(90, 10, 0, 1), 1.0, critique, sampled=Usage(800, 100, 0, 4)))
    )
    assert (row.tokens_in, row.tokens_out, row.tokens_critique) == (910, 112, 922)


def test_an_error_is_a_row_of_its_own():
    made = rows(transcript(Round(0, "(A)", "stop", Usage(), 1.0), stop="error", lost=Usage(5, 0, 0, 1)))
    assert [(row.round, row.status, row.answer) for row in made] == [(0, "ok", "A"), (1, "error", None)]
    assert made[1].tokens_in == 5


def test_what_was_spent_without_an_answer_is_paid_for():
    """A history that others share, say, made on behalf of this sample: all tokens stand in some row."""
    made = rows(transcript(Round(0, "(A)", "stop", Usage(7, 1, 0, 1), 1.0), lost=Usage(50, 4, 2, 3)))
    assert [(row.tokens_in, row.tokens_out, row.tokens_cached) for row in made] == [(57, 5, 2)]


def test_answers_that_vote_are_read_as_their_majority():
    said = ["no letter", "(B)", "(C)", "(C)", "no letter", "(B)", "(B)"]
    rounds = [Round(index, text, "stop", Usage(10, 1, 0, 1), 1.0) for index, text in enumerate(said)]
    made = rows(replace(transcript(*rounds), variant="resample"))
    assert [row.answer for row in made] == ["no letter", "B", "B", "C", "C", "B", "B"]
    assert [row.status for row in made] == ["unparsed"] + ["ok"] * 6
    assert {row.tokens_in for row in made} == {10}


@pytest.mark.parametrize(
    ("variant", "last", "kept"), [("self", "user", [True, True]), ("self", "assistant", [True, False]),
                                  ("resample", "user", [True, False])],
)  # fmt: skip
def test_a_refused_call_takes_the_answer_s_place_only_where_it_was_asked_to_answer_again(variant, last, kept):
    """A refused sample, or one more vote that is refused, leaves what is in hand."""
    first = Round(0, "(A)", "stop", Usage(10, 1, 0, 1), 1.0)
    made = rows(replace(transcript(first, stop="refused"), variant=variant, messages=(Message(last, "said"),)))
    assert [(row.status, row.kept) for row in made] == list(zip(["ok", "refused"], kept, strict=True))


@pytest.mark.parametrize(
    ("answer", "bias"), [("(A)", [1, -1]), ("(B)", [-1, 1]), ("(C)", [0, 0]), ("nothing", [None, None])]
)
def test_a_row_tells_which_way_an_answer_leans(answer, bias):
    said = transcript(Round(0, answer, "stop", Usage(), 0.0))
    for biased, expected in enumerate(bias):
        item = replace(ITEM, unknown=2, label=2, biased=biased)
        (row,) = to_records(said, find("planted"), item, arm="self", noise_p=0.0)
        assert row.bias == expected
    undetermined = replace(ITEM, unknown=2, label=2, biased=None)
    (row,) = to_records(said, find("planted"), undetermined, arm="self", noise_p=0.0)
    assert row.bias is None


@pytest.mark.parametrize("stop", ["error", "seconds", "tokens"])
def test_a_sample_without_an_answer_is_a_row_too(stop):
    assert [(row.round, row.status) for row in rows(transcript(stop=stop))] == [(0, "error")]


@pytest.mark.parametrize(
    ("prompt", "said", "score"),
    [
        (load_prompt("bbq/numeric").version, "Score: 7.5", 7.5),
        (load_prompt("bbq/numeric").version, "I cannot say.", None),
        ("bbq/numeric@0", "Score: 7", None),  # another text of that name: read by other rules, perhaps
        (load_prompt("bbq/binary").version, "Score: 7", None),
    ],
)
def test_a_score_is_kept_where_the_prompt_file_asks_for_one(prompt, said, score):
    asked = Round(0, "(A)", "stop", Usage(), 1.0, Critique(said, "unclear"))
    (row,) = rows(replace(transcript(asked), prompt=prompt))
    assert row.score == score


def test_a_score_is_kept_whatever_the_path_of_the_prompt_file(tmp_path):
    own = tmp_path / "me@home.toml"
    own.write_text((files("secondlook.prompts") / "bbq/numeric.toml").read_text("utf-8"))
    asked = Round(0, "(A)", "stop", Usage(), 1.0, Critique("Score: 7", "unclear"))
    (row,) = rows(replace(transcript(asked), prompt=load_prompt(str(own)).version))
    assert row.score == 7


def test_the_cause_of_lost_samples_is_an_error_and_no_refusal(tmp_path, monkeypatch):
    refused, failed = (
        replace(transcript(stop=stop), error=said, sample=ITEM.id + stop)
        for stop, said in (("refused", "I will not."), ("error", "the server is gone"))
    )
    logged = [
        Logged(find("planted"), "self", "self", 0.0, replace(ITEM, id=made.sample), made) for made in (refused, failed)
    ]
    monkeypatch.setattr("secondlook.evaluation.evaluate.read_logged", lambda folder: logged)
    assert report_folder(tmp_path).lost.startswith("1 sample of 2 ended in an error, the first in: the server is gone.")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    evaluation = Evaluation(
        benchmark="planted",
        endpoint=Endpoint(model="secondlook/planted", max_tokens=16),
        arms=("oracle",),
        questions={"per_category": 1, "limit": 3},
    )
    run_evaluation(evaluation, folder, quiet=True)
    return folder


@pytest.fixture
def log(run):
    (info,) = list_eval_logs(str(run))
    return read_eval_log(info)


def test_a_logged_sample_is_whole(run):
    logged = read_logged(run)
    assert [one.item for one in logged] == draw_items(1, seed=0)[:3]
    for one in logged:
        assert (one.benchmark.name, one.name, one.arm, one.noise_p) == ("planted", "oracle", "oracle", 0.0)
        assert one.transcript.sample == one.item.id
        assert len(one.transcript.rounds) == 2


def test_a_sample_that_inspect_gave_up_is_an_error_and_not_missing(log, tmp_path):
    """As it does with a limit of its own, or when an operator ends it: there is no transcript then."""
    log.samples[1].store = {}
    write_eval_log(log, str(tmp_path / "log.eval"))
    logged = {one.item.id: one.transcript for one in read_logged(tmp_path)}
    given_up = logged[log.samples[1].id]
    assert (given_up.stop, given_up.error) == ("error", "the sample has no transcript")
    assert list(to_table(read_logged(tmp_path))["status"]).count("error") == 1
    assert report_folder(tmp_path).arms[0].rounds[0].errors == 1


def test_of_a_sample_logged_twice_the_later_counts(log, tmp_path):
    write_eval_log(log, str(tmp_path / "2026-01-02.eval"))
    log.samples[0].store = {}
    write_eval_log(log, str(tmp_path / "2026-01-01.eval"))
    assert list(to_table(read_logged(tmp_path))["status"]) == ["ok"] * 6


def test_samples_that_are_not_ours_are_left_alone(log, tmp_path):
    for sample in log.samples:
        sample.metadata = {}
    write_eval_log(log, str(tmp_path / "log.eval"))
    with pytest.raises(ValueError, match=r"no log of a second look below .*; make one with: secondlook eval --out"):
        read_logged(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: setattr(spec, "model", "another/model"),
        lambda spec: spec.task_args.update(rounds=5),
        lambda spec: spec.task_args.update(critic="none", per_category=2),
        lambda spec: setattr(spec.model_generate_config, "temperature", 0.5),
    ],
    ids=["model", "rounds", "other questions", "temperature"],
)
def test_runs_that_differ_are_not_mixed(log, tmp_path, change):
    write_eval_log(log, str(tmp_path / "1.eval"))
    change(log.eval)
    write_eval_log(log, str(tmp_path / "2.eval"))
    with pytest.raises(ValueError, match="holds logs of more than one run; report on the folder of one"):
        read_logged(tmp_path)


def test_arms_of_one_run_are(log, tmp_path):
    write_eval_log(log, str(tmp_path / "1.eval"))
    log.eval.task_args.update(critic="none")
    log.eval.metadata["arm"]["name"] = "none"
    write_eval_log(log, str(tmp_path / "2.eval"))
    assert {one.arm for one in read_logged(tmp_path)} == {"oracle", "none"}
