"""Studies that cannot be run are refused by name and value, before anything is asked."""

import pytest

from secondlook.correction import (
    CommandCritic,
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    RecordedCritic,
    ScriptedModel,
    SilentCritic,
)
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.planning.pilot import evaluation_of
from secondlook.evaluation.study import Study

MODEL, OTHER = ScriptedModel([]), ScriptedModel([])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"critic": "nobody"}, "unknown critic 'nobody'; choose one of self, other"),
        ({"noise": -0.1}, "noise is -0.1; .* give 0 to 1"),
        ({"noise": 0.5, "critic": "none"}, "choose another critic"),
        ({"variant": "other"}, "variant is 'other': choose one of self, diverse, self-instruct"),
        ({"rounds": -1}, "rounds is -1: give 0 or more"),
        ({"rounds": -1, "variant": "diverse"}, "rounds is -1: give 0 or more"),
        ({"stop": "never"}, "stop is 'never': choose one of fixed, satisfied"),
        ({"budget_tokens": 0}, "max_tokens is 0"),
        ({"budget_seconds": -1.0, "variant": "diverse"}, "max_seconds is -1.0"),
        ({"history": 0}, "history is 0"),
        ({"prompt": "bbq/none"}, "unknown prompt 'bbq/none'; known: "),
        ({"critic": "tool"}, "give both or neither"),
        ({"critic_file": "x"}, "give both or neither"),
        ({"critic": "vote", "noise": 0.5}, "'vote' has none"),
        ({"critic": "vote", "votes": 0}, "votes is 0; only critic 'vote' has votes, 1 or more"),
        ({"critic": "self", "votes": 3}, "votes is 3; only critic 'vote' has votes"),
        ({"critic": "vote", "vote_temperature": 0.0}, "above 0: at 0 the vote would be one answer repeated"),
        ({"critic": "self", "critic_seconds": 3.0}, "only critic 'tool' has a time limit"),
        ({"variant": "resample"}, "'resample' is what critic 'vote' does"),
    ],
)
def test_impossible_studies(fields, said):
    with pytest.raises(ValueError, match=said):
        Study.of(**fields)


def test_an_unknown_field_lists_the_known():
    with pytest.raises(ValueError, match="unknown setting 'round'; known: critic, noise, variant, rounds"):
        Study.of(round=1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"critic": "self"}, ModelCritic(MODEL, "self")),
        ({"critic": "other"}, ModelCritic(OTHER, "other")),
        ({"critic": "oracle"}, OracleCritic()),
        ({"critic": "oracle", "noise": 0.2, "seed": 7}, NoisyCritic(0.2, OracleCritic(), 7)),
        ({"critic": "none"}, SilentCritic()),
        ({"critic": "vote"}, SilentCritic("vote")),
        ({"critic": "tool", "critic_command": "sh -c 'echo x'"}, CommandCritic(("sh", "-c", "echo x"))),
    ],
)
def test_the_critic_that_is_asked_for(fields, expected):
    study = Study.of(**fields)
    study.check_critic()
    assert study.build_critic(MODEL, OTHER) == expected


@pytest.mark.parametrize(("rounds", "votes", "rows"), [(0, None, 1), (1, None, 6), (2, None, 15), (2, 4, 4)])
def test_a_vote_has_as_many_answers_as_the_looks_cost(rounds, votes, rows):
    plan = Study(critic="vote", rounds=rounds, votes=votes, variant="diverse", stop="satisfied").plan()
    assert (plan.variant, plan.rounds, plan.history) == ("resample", rows - 1, ())


def test_recorded_verdicts_are_read(tmp_path):
    file = tmp_path / "verdicts.jsonl"
    file.write_text('{"sample": "s", "round": 0, "verdict": "right"}\n')
    study = Study.of(critic="recorded", critic_file=str(file))
    study.check_critic()
    assert study.build_critic(MODEL) == RecordedCritic.load(file)


def test_critic_other_needs_another_model():
    with pytest.raises(ValueError, match="name it with --critic-model"):
        Study.of(critic="other").build_critic(MODEL)


@pytest.mark.parametrize(("own", "given", "sampled"), [(0.0, None, 0.7), (0.4, None, 0.4), (0.0, 1.1, 1.1)])
def test_answers_that_vote_are_sampled(own, given, sampled):
    asked = evaluation(
        endpoint=Endpoint(model="a/b", temperature=own), arms=("self", "vote"), study={"vote_temperature": given}
    )
    assert asked.settings_by_arm["vote"] == {"vote_temperature": sampled}
    assert asked.study_of("vote").vote_temperature == sampled


@pytest.mark.parametrize("later", ["none", "vote", "tool"])
def test_an_arm_is_asked_the_same_whatever_stands_beside_it(later):
    """So that a control can be added to a run that is finished, or was stopped."""
    study = {"rounds": 2, "noise": 0.0, "votes": None, "vote_temperature": None, "critic_command": None}
    study |= {"critic_file": None, "critic_seconds": None}
    alone = evaluation(arms=("self",), study=study)
    beside = evaluation(arms=("self", later), study=study | ({"critic_command": "sh"} if later == "tool" else {}))
    assert alone.arm("self") == beside.arm("self")
    assert alone.settings == beside.settings
    assert evaluation(arms=("none",), study=study).arm("none") == evaluation(arms=("self", "none"), study=study).arm(
        "none"
    )


def evaluation(**changes):
    return Evaluation(**{"benchmark": "planted", "endpoint": Endpoint(model="a/b")} | changes)


def test_arms_share_a_study_and_keep_their_own():
    asked = evaluation(
        arms=("self", "tool", "none"),
        study={"rounds": 2, "noise": 0.3, "critic_command": "sh", "critic_file": None},
    )
    shared = {"prompt": "bbq/binary-cot", "rounds": 2, "noise": 0.3}
    assert asked.arm("self") == {**shared, "critic": "self"}
    assert asked.arm("tool") == {**shared, "critic_command": "sh", "critic": "tool"}
    assert "noise" not in asked.arm("none")
    assert asked.settings_by_arm == {"self": {}, "tool": {"critic_command": "sh"}, "none": {}}


@pytest.mark.parametrize(
    "changes",
    [
        {"benchmark": "bbq"},
        {"seed": 1},
        {"arms": ("none",)},
        {"study": {"rounds": 3}},
        {"questions": {"limit": 2}},
        {"endpoint": Endpoint(model="a/c")},
        {"endpoint": Endpoint(model="a/b", base_url="http://localhost/v1")},
        {"endpoint": Endpoint(model="a/b", temperature=1.0)},
        {"endpoint": Endpoint(model="a/b", max_tokens=7)},
        {"endpoint": Endpoint(model="a/b", model_args={"device": "cpu"})},
        {"arms": ("other",), "critic_endpoint": Endpoint(model="a/b")},
        {"arms": ("other",), "critic_endpoint": Endpoint(model="a/c")},
    ],
)
def test_what_decides_the_result_names_the_run(changes):
    assert evaluation(**changes).name != evaluation().name


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(model="a/b", max_connections=3),
        Endpoint(model="a/b", max_retries=9, timeout=9),
        Endpoint(model="a/b", model_args={"api_key": "secret"}),
    ],
)
def test_what_does_not_decide_it_does_not(endpoint):
    assert evaluation(endpoint=endpoint).name == evaluation().name
    assert "secret" not in str(evaluation(endpoint=endpoint).settings)


def test_a_control_drops_what_the_arms_beside_it_have_a_use_for(gate, fitted, self_and_other):
    """Defences as critics: settings of one critic, a gate and votes are no reason to refuse a control."""
    behind = {"benchmark": "refusal", "arms": ("none", "icd", "again", "vote", "self")}
    own, _ = self_and_other
    file, when = fitted(own), gate("tool", 2, "alarm")
    for study, kept in (
        ({"critic": "fitted", "fitted_file": file}, {"fitted_file": file}),
        ({"critic": "tool", "critic_command": "sh", "critic_seconds": 3.0}, {"critic_seconds": 3.0}),
        ({"critic": "tool", "critic_command": "sh", "gate": when}, {"gate": when}),
        ({"critic": "self", "keep": "confirmed", "rounds": 2}, {"keep": "confirmed"}),
    ):
        asked = evaluation(**behind, study=study | {"votes": 3, "vote_temperature": 0.9})
        for name in asked.arms:
            arm = asked.study_of(name)
            assert {field: getattr(arm, field) for field in kept} == {
                field: value if name == "self" else getattr(Study(), field) for field, value in kept.items()
            }
            assert (arm.votes, arm.vote_temperature) == ((3, 0.9) if name == "vote" else (None, None))
        assert [asked.study_of(name).looks for name in ("none", "icd")] == [0, 0]
    with pytest.raises(ValueError, match="votes is 3; only critic 'vote'"):
        evaluation(benchmark="refusal", arms=("self",), study={"votes": 3})
    with pytest.raises(ValueError, match="decides on second looks; defence 'none' has none, leave it out"):
        evaluation(benchmark="refusal", arms=("none",), study={"gate": gate("none", 2, "p_answer", 0.5)})


def test_a_fitted_critic_that_asks_another_model_makes_no_arm_of_it(fitted, self_and_other):
    other = Endpoint(model="c/d", max_tokens=9)
    study = {"fitted_file": fitted(*self_and_other)}
    asked = evaluation(arms=("fitted", "none"), study=study, critic_endpoint=other)
    assert asked.settings_by_arm.keys() == {"fitted", "none"}
    assert asked.settings_by_arm["fitted"]["critic_endpoint"]["model"] == "c/d"
    # A pilot is read from these settings, and an arm may be added to a run.
    version = {"prompt": asked.study_of("none").file.version}
    again = evaluation_of(asked.settings | version, asked.settings_by_arm)
    assert (again.critic_endpoint, again.arms) == (other, asked.arms)
    beside = evaluation(arms=("fitted", "other"), study=study, critic_endpoint=other).settings_by_arm
    alone = evaluation(arms=("other",), critic_endpoint=other).settings_by_arm
    assert beside == {"fitted": asked.settings_by_arm["fitted"], "other": alone["other"]}


@pytest.mark.parametrize(("critic", "looks"), [("self", 3), ("none", 3), ("vote", 5)])
def test_a_gate_says_how_often_to_look(gate, critic, looks):
    study = Study(critic=critic, rounds=1, gate=gate(critic, 3, "p_answer", 0.5))
    assert study.looks == study.plan().rounds == looks


def test_a_name_is_a_file_name():
    name = evaluation(endpoint=Endpoint(model="openai-api/local//some where/x:y")).name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"questions": {"condition": "ambig"}}, "benchmark 'planted' has no --condition; .* --per-category"),
        ({"arms": ()}, "none given"),
        ({"arms": ("self", "self")}, "self, self; name each arm once"),
        ({"critic_endpoint": Endpoint(model="a/b")}, "give both or neither"),
        ({"arms": ("vote",), "study": {"vote_temperature": 0.0}}, "vote temperature is 0.0; .* above 0"),
    ],
)
def test_impossible_evaluations(changes, said):
    with pytest.raises(ValueError, match=said):
        evaluation(**changes)
