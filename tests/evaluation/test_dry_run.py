"""What a run would cost, by formula; that it is what a server is asked is shown with the refusal benchmark's run."""

import sys

import pytest

from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.dry_run import dry_run
from secondlook.evaluation.evaluation import Evaluation

SAMPLES = 22


def planned(*critics, **study):
    evaluation = Evaluation(
        benchmark="planted",
        endpoint=Endpoint(model="nobody/nowhere", max_tokens=16),
        arms=critics,
        study=study,
        questions={"per_category": SAMPLES // 11},
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
