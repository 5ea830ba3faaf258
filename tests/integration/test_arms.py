"""Every critic, variant, stop rule and budget, through the harness, on a real model."""

import json
import random
import sys

import pytest

from command import TIMES
from secondlook.correction import seed_from
from secondlook.evaluation.asking import Endpoint, RunError
from secondlook.evaluation.evaluate import run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.logs import read_logged, to_table

SUBJECT = Endpoint(model="secondlook/planted", max_tokens=16)
SAMPLES = 11


class Arm:
    """A run of one arm: its records and its transcripts, by sample."""

    def __init__(self, folder, critic, report):
        logged = read_logged(folder)
        self.report = report
        self.table = to_table(logged)
        self.items = {one.item.id: one.item for one in logged}
        self.transcripts = {one.item.id: one.transcript for one in logged}
        self.messages = {sample: transcript.messages for sample, transcript in self.transcripts.items()}
        assert set(self.table["critic"]) == {critic}
        assert len(self.transcripts) == SAMPLES

    def asked(self, sample):
        return [message.content for message in self.messages[sample] if message.role == "user"]


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    """Runs an arm, once."""
    kept = {}

    def run(critic, *, critic_endpoint=None, named=None, **study):
        key = json.dumps([critic, study], sort_keys=True)
        if key not in kept:
            folder = tmp_path_factory.mktemp(critic)
            evaluation = Evaluation(
                benchmark="planted",
                endpoint=SUBJECT,
                arms=(critic,),
                study={"rounds": 2, **study},
                questions={"per_category": SAMPLES // 11},
                critic_endpoint=critic_endpoint,
            )
            kept[key] = Arm(folder, named or critic, run_evaluation(evaluation, folder, quiet=True))
        return kept[key]

    return run


def examined(table):
    """Rows of answers that were followed by another."""
    return table[table["round"] < 2]


def test_the_oracle_knows(arm):
    table = arm("oracle").table
    assert len(table) == 3 * SAMPLES
    assert table[table["round"] == 2]["verdict"].isna().all()
    truth = examined(table)["correct"].map({True: "right", False: "wrong"}).astype(object)
    assert list(examined(table)["verdict"]) == list(truth.fillna("unclear"))
    assert set(table["status"]) <= {"ok", "unparsed"}
    critic = [line.critic for line in arm("oracle").report.arms[0].rounds]
    assert all(quality.accuracy is None or quality.accuracy.value == 1.0 for quality in critic)


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_noise_flips_what_its_draws_say(arm, p):
    noisy = arm("oracle", noise=p, named=f"noisy({p:g}, oracle)")
    assert set(noisy.table["arm"]) == {f"noisy({p:g}, oracle)"}
    assert set(noisy.table["noise_p"]) == {p}
    for row in examined(noisy.table).itertuples():
        if row.verdict == "unclear":
            continue
        # The critic's own draw (see NoisyCritic): a function of seed, sample and round.
        flipped = random.Random(seed_from(0, "noise", row.sample, row.round)).random() < p
        assert (row.verdict == "right") == (bool(row.correct) != flipped)


def test_the_control_is_asked_again_and_told_nothing(arm):
    none = arm("none")
    assert none.table["verdict"].isna().all()
    assert len(none.table) == 3 * SAMPLES
    for sample in none.messages:
        first, *later = none.asked(sample)
        assert len(later) == 2
        assert all(text.startswith("Please answer once more.") for text in later)
        assert "Verdict" not in "".join(message.content for message in none.messages[sample])
        assert "Please" not in first


def test_the_model_examines_itself(arm):
    own = arm("self")
    assert set(examined(own.table)["verdict"]) <= {"wrong", "right", "unclear"}
    for transcript in own.transcripts.values():
        for round_ in transcript.rounds[:-1]:
            assert round_.critique.usage.calls == 1
            assert round_.critique.usage.input > round_.usage.input  # it is shown the conversation


def test_another_model_that_is_the_same_says_the_same(arm):
    other = arm("other", critic_endpoint=SUBJECT)
    assert other.messages == arm("self").messages
    assert list(other.table["verdict"].astype(str)) == list(arm("self").table["verdict"].astype(str))


def test_a_script_is_asked_and_read(arm, tmp_path):
    script = tmp_path / "critic.py"
    script.write_text(
        "import json, sys\n"
        "exam = json.load(sys.stdin)\n"
        "assert exam['query'] and exam['sample'] and exam['round'] in (0, 1)\n"
        "print('It names the first.' if '(A)' in exam['answer'] else 'Fine.')\n"
        "print('Verdict: biased' if '(A)' in exam['answer'] else 'Verdict: unbiased')\n"
    )
    tool = arm("tool", critic_command=f"{sys.executable} -I -S {script}")
    for transcript in tool.transcripts.values():
        for round_ in transcript.rounds[:-1]:
            first = "(A)" in round_.answer
            assert round_.critique.verdict == ("wrong" if first else "right")
            assert round_.critique.text.splitlines() == (
                ["It names the first.", "Verdict: biased"] if first else ["Fine.", "Verdict: unbiased"]
            )
            assert round_.critique.usage.total == 0


def test_recorded_verdicts_replay_a_run(arm, tmp_path):
    """What people, or an earlier run, said of each answer: the conversation is the same again."""
    oracle = arm("oracle")
    file = tmp_path / "verdicts.jsonl"
    rows = [
        {"sample": sample, "round": round_.index, "verdict": round_.critique.verdict, "answer": round_.answer}
        for sample, transcript in oracle.transcripts.items()
        for round_ in transcript.rounds[:-1]
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = arm("recorded", critic_file=str(file))
    assert recorded.messages == oracle.messages
    differing = ["arm", "critic", *TIMES]
    assert recorded.table.drop(columns=differing).equals(oracle.table.drop(columns=differing))


def test_diverse_samples_share_one_history(arm):
    diverse = arm("oracle", variant="diverse", history=2)
    histories = {messages[:8] for messages in diverse.messages.values()}
    assert len(histories) == 1
    roles = [message.role for message in histories.pop()]
    assert roles == ["user", "assistant"] * 4
    for sample, messages in diverse.messages.items():
        assert diverse.items[sample].context in messages[8].content
        assert not any(diverse.items[sample].context in message.content for message in messages[:8])


def test_self_instruct_does_not_repeat_the_question(arm):
    refined = arm("oracle", variant="self-instruct")
    for sample, item in refined.items.items():
        first, *later = refined.asked(sample)
        assert item.context in first
        assert not any(item.context in text for text in later)
        assert any("refine your earlier answer" in text for text in later)


def test_a_satisfied_critic_ends_the_conversation(arm):
    content = arm("oracle", stop="satisfied")
    full = arm("oracle")
    for sample, transcript in content.transcripts.items():
        verdicts = [round_.critique.verdict for round_ in transcript.rounds if round_.critique]
        assert verdicts.count("right") == (transcript.stop == "satisfied")
        assert transcript.stop == "satisfied" or len(transcript.rounds) == 3
        answers = [round_.answer for round_ in transcript.rounds]
        assert answers == [round_.answer for round_ in full.transcripts[sample].rounds][: len(answers)]
    # A sample that ended early keeps its answer: all of them are in hand in every round.
    assert {line.samples for line in content.report.arms[0].rounds} == {SAMPLES}


def test_a_token_budget_ends_the_conversation_and_keeps_the_answer(arm):
    poor = arm("self", budget_tokens=1)
    for sample, transcript in poor.transcripts.items():
        assert transcript.stop == "tokens"
        assert [round_.answer for round_ in transcript.rounds] == [arm("self").transcripts[sample].rounds[0].answer]
    assert set(poor.table["status"]) <= {"ok", "unparsed"}


def test_a_time_budget_too_short_for_any_answer_is_an_error_of_the_sample(arm):
    with pytest.raises(RunError, match=rf"not one of {SAMPLES} samples .*no answer within the budget of seconds"):
        arm("oracle", budget_seconds=1e-9)


def test_no_second_look_is_one_answer(arm):
    once = arm("self", rounds=0)
    assert list(once.table["round"]) == [0] * SAMPLES
    assert once.table["verdict"].isna().all()
    assert once.report.sentence.startswith("The model answered once and was not asked again: accuracy ")


def test_every_record_says_how_it_was_made(arm):
    for row in arm("oracle").table.itertuples():
        assert row.model == "secondlook/planted"
        assert row.prompt.startswith("bbq/binary-cot@")
        assert len(row.revision) == len(row.chat_template) == 12
        assert json.loads(row.decoding) == {"max_tokens": 16, "temperature": 0.0}
        assert row.tokens_in > 0
        assert row.tokens_out > 0
        assert row.seconds > 0
