"""What a run would cost, by formula; that it is what a server is asked is shown with the refusal benchmark's run."""

import sys

import pytest

from secondlook.diagnosis.examiner import Examiner
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.dry_run import dry_run
from secondlook.evaluation.evaluation import Evaluation

SAMPLES = 22


def planned(*critics, critic_endpoint=None, **study):
    evaluation = Evaluation(
        benchmark="planted",
        endpoint=Endpoint(model="nobody/nowhere", max_tokens=16),
        arms=critics,
        study=study,
        questions={"per_category": SAMPLES // 11},
        critic_endpoint=critic_endpoint,
    )
    return dry_run(evaluation), evaluation


@pytest.mark.parametrize(
    ("variant", "rounds", "history"), [("self", 0, 0), ("self", 2, 0), ("self-instruct", 1, 0), ("diverse", 2, 3)]
)
def test_calls_follow_the_plan(variant, rounds, history):
    (own, silent), _ = planned("self", "none", variant=variant, rounds=rounds)
    assert (own.samples, silent.samples) == (SAMPLES, SAMPLES)
    assert own.calls == SAMPLES * (1 + 2 * rounds) + 3 * history
    assert silent.calls == SAMPLES * (1 + rounds) + 2 * history
    assert (own.tokens_out, own.judge_calls) == (16 * own.calls, 0)


@pytest.mark.parametrize(
    ("parts", "keep", "each"),
    [
        (("alarm",), "new", 2),
        (("p_answer", 0.5), "confirmed", 2),  # the critique of the new answer is that of the next look
        (("agreement", 0.5, 4), "new", 2 + 4),
        (("agreement", 0.5, 4), "preferred", 2 + 4 + 1),
    ],
)
def test_a_gate_is_taken_to_look_as_often_as_it_may(gate, parts, keep, each):
    (line,), _ = planned("self", rounds=1, gate=gate("self", 3, *parts, keep=keep))
    assert line.calls == SAMPLES * (1 + 3 * each + (keep == "confirmed"))
    (never,), _ = planned("self", rounds=1, gate=gate("self", 3, "never"))
    assert never.calls == SAMPLES


def test_a_fitted_critic_asks_all_its_models(fitted, self_and_other):
    tool = Examiner("tool", command="sh -c 'exit 1'")
    other = Endpoint(model="c/d")
    file = fitted(*self_and_other, tool)
    (line,), _ = planned("fitted", rounds=2, fitted_file=file, critic_endpoint=other)
    assert line.calls == SAMPLES * (1 + 2 * 3)
    (own,), _ = planned("self", rounds=2)
    # It may show the whole words of the model itself.
    assert line.tokens_in > own.tokens_in
    (alone,), _ = planned("fitted", rounds=2, fitted_file=fitted(tool))
    assert alone.calls == SAMPLES * 3


def test_a_judge_is_asked_about_every_answer_and_verdicts_alone_are_asked_for_beforehand(tmp_path):
    (tmp_path / "homes.jsonl").write_text("".join(f'{{"prompt": "{i}?"}}\n' for i in range(5)))
    evaluation = Evaluation(
        benchmark="own",
        endpoint=Endpoint(model="nobody/nowhere", max_tokens=16),
        arms=("self", "vote"),
        study={"rounds": 2, "elicit": "choice"},
        questions={"data": str(tmp_path / "homes.jsonl"), "grader": "model"},
        judge_endpoint=Endpoint(model="nobody/judge"),
    )
    tried, own, vote = dry_run(evaluation, preflight=True)
    # Two second looks cost as much as (2 + 1)(2 * 2 + 1) answers.
    assert (own.judge_calls, vote.judge_calls) == (5 * 3, 5 * 15)
    assert (tried.calls, tried.judge_calls) == (3 * (1 + 2), 3)


def test_prompt_tokens_are_those_of_the_questions():
    (own,), evaluation = planned("self", rounds=0)
    shown = [sample.metadata["item"] for sample in evaluation.task("self").dataset]
    least = sum(len(item["context"]) + len(item["question"]) for item in shown) / 4
    (looking,), _ = planned("self", rounds=1)
    assert least < own.tokens_in < 4 * least
    # The answer is shown twice more, the question twice: to be examined, and before it is asked again.
    assert looking.tokens_in >= 3 * own.tokens_in + 2 * SAMPLES * 16


@pytest.mark.parametrize("critic", ["tool", "oracle", "vote"])
def test_a_graders_failure_on_filler_hides_no_call(critic, tmp_path):
    """A conversation that its grader ends is not the one that will be held."""
    (tmp_path / "sums.jsonl").write_text('{"prompt": "1 + 1"}\n{"prompt": "1 + 2"}\n')
    (tmp_path / "grader.py").write_text("def number(answer, row):\n    return int(answer) == 2\n")
    evaluation = Evaluation(
        benchmark="own",
        endpoint=Endpoint(model="nobody/nowhere", max_tokens=16),
        arms=(critic,),
        study={"critic_command": sys.executable} if critic == "tool" else {},
        questions={"data": str(tmp_path / "sums.jsonl"), "grader": f"{tmp_path / 'grader.py'}:number"},
    )
    (counted,) = dry_run(evaluation)
    assert counted.calls == 2 * (6 if critic == "vote" else 2)


def test_a_dry_run_starts_no_command_and_stops_early_nowhere(tmp_path):
    mark = tmp_path / "mark"
    command = f"{sys.executable} -c 'open({str(mark)!r}, \"w\")'"
    (tool,), _ = planned("tool", critic_command=command, rounds=2, stop="satisfied", budget_tokens=1)
    assert tool.calls == SAMPLES * 3
    assert not mark.exists()
