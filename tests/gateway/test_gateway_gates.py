"""Gates and fitted critics in front of a server: served as they were fitted, or not at all."""

import json
from dataclasses import replace
from math import log

import pytest
from servers import Pair, completion, script
from starlette.datastructures import Headers
from test_gateway_app import PROMPT, RIGHT, WRONG, post, told

from secondlook.diagnosis.examiner import Examiner
from secondlook.fitted import Fitted, Input, Linear
from secondlook.fitting.critic_file import FORMAT as CRITIC
from secondlook.fitting.critic_file import CriticFile, critic_text
from secondlook.fitting.gate_file import FORMAT, GateFile, Made, Trial, gate_text
from secondlook.gate import Gate
from secondlook.gateway.policy import Policy
from secondlook.gateway.settings import GatewaySettings

MADE = Made("openai-api/x/m", "self", "self", PROMPT.version, "fixed", 99, "line", "t1", Examiner("self", tokens=99))
HELPS = Trial("helps", "The gate helps.", [], 100, 20, 0)


def gate(path, *parts, tested=HELPS, **made):
    file = GateFile(FORMAT, Gate(*parts), 1, replace(MADE, **made), 0.0, "", [], [], [], tested)
    path.write_text(gate_text(file))
    return path


def keeping(path, keep, **made):
    file = GateFile(FORMAT, Gate("always", keep=keep), 1, replace(MADE, **made), 0.0, "", [], [], [], HELPS)
    path.write_text(gate_text(file))
    return path


def critic(path, inputs=("p_wrong of self",), threshold=0.3, **made):
    form = Linear("linear", [1.0] * len(inputs), 0.0)
    fitted = Fitted([Input(name, None, 0.5, 0.1) for name in inputs], form, threshold)
    file = CriticFile(CRITIC, "fitted", fitted, {"self": Examiner("self")}, replace(MADE, **made), [], [])
    path.write_text(critic_text(file))
    return path


def served(file, **settings):
    return Pair(settings.pop("say"), policy="diagnosis", diagnoses=(file,), **settings)


def likely(text, wrong):
    """A critique whose server tells how likely its verdict was."""
    words = [*text.split(":")[0], ":"]
    other = " correct" if text.endswith("wrong") else " wrong"
    last = text.rpartition(":")[2]
    chance = wrong if last == " wrong" else 1 - wrong
    logs = {last: chance, other: 1 - chance}
    content = [{"token": each, "logprob": 0.0, "top_logprobs": []} for each in words]
    top = [{"token": token, "logprob": log(share)} for token, share in logs.items()]
    content.append({"token": last, "logprob": log(chance), "top_logprobs": top})
    body = completion("".join(words) + last)
    body["choices"][0]["logprobs"] = {"content": content}
    return body


def policy(file, **settings):
    return Policy(GatewaySettings(upstream="http://u/v1", policy="diagnosis", diagnoses=(file,), **settings))


def test_an_alarm_is_looked_at_and_nothing_else(tmp_path):
    file = gate(tmp_path / "g.json", "alarm")
    with served(file, say=script("5", WRONG, "4")) as pair:
        response = post(pair)
        assert len(pair.upstream.asked) == 3
    assert response.json()["choices"][0]["message"]["content"] == "4"
    assert told(response) == ("corrected", "helps", "diagnosis", "1", "wrong")
    with served(file, say=script("4", RIGHT)) as pair:
        response = post(pair)
    assert told(response) == ("kept", "gate", "diagnosis", "0", "right")


@pytest.mark.parametrize(("share", "looks"), [(0.45, True), (0.35, False)])
def test_the_probability_of_a_verdict_decides(tmp_path, share, looks):
    # The verdict is `right` in both cases: only how likely `wrong` was tells them apart.
    file = gate(tmp_path / "g.json", "p_wrong", 0.4)
    with served(file, say=script("5", likely("Verdict: correct", share), "4")) as pair:
        response = post(pair)
        check = pair.upstream.asked[1].json
    assert (check["logprobs"], check["top_logprobs"]) == (True, 5)
    assert "logprobs" not in pair.upstream.asked[0].json
    assert told(response)[:2] == (("corrected", "helps") if looks else ("kept", "gate"))


@pytest.mark.parametrize(("says", "answer"), [("Choice: latest", "4"), ("Choice: earlier", "5"), ("Hm.", "5")])
def test_the_answer_that_is_given_is_the_one_that_was_kept(tmp_path, says, answer):
    file = keeping(tmp_path / "g.json", "preferred")
    with served(
        file, say=script({**completion("5"), "id": "first"}, WRONG, {**completion("4"), "id": "second"}, says)
    ) as pair:
        response = post(pair, {"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}], "stream": False})
        judge = pair.upstream.asked[3].json
    body = response.json()
    assert (body["choices"][0]["message"]["content"], body["id"]) == (answer, "second" if answer == "4" else "first")
    assert judge["messages"][-1]["content"] == PROMPT.preference_form.ask
    assert judge["max_tokens"] == 99
    assert told(response)[:2] == (("corrected", "helps") if answer == "4" else ("kept", "rejected"))
    assert body["usage"]["secondlook"]["calls"] == 4


def test_accept_reject_and_verify_first_are_served(tmp_path):
    file = keeping(tmp_path / "g.json", "preferred", critic="accept-reject", examiner=Examiner("accept-reject"))
    with served(file, say=script("5", "4", "Choice: latest")) as pair:
        assert post(pair).json()["choices"][0]["message"]["content"] == "4"
        assert [asked.json["messages"][-1]["content"][:16] for asked in pair.upstream.asked][1] == PROMPT.again[:16]
    file = gate(tmp_path / "g.json", "always", critic="verify-first", examiner=Examiner("verify-first"))
    with served(file, say=script("5", "4")) as pair:
        assert post(pair).json()["choices"][0]["message"]["content"] == "4"
        assert pair.upstream.asked[1].json["messages"][-1]["content"].endswith(PROMPT.verify)


@pytest.mark.parametrize("tested", [None, replace(HELPS, finding="undecided"), replace(HELPS, finding="hurts")])
def test_a_gate_that_was_not_shown_to_help_looks_at_nothing(tmp_path, tested):
    found = policy(gate(tmp_path / "g.json", "alarm", tested=tested)).decide("m", Headers())
    assert (found.rounds, found.reason) == (0, tested.finding if tested else "untested")


def test_other_models_are_passed_on_and_headers_may_ask_for_less(tmp_path):
    decide = policy(gate(tmp_path / "g.json", "alarm")).decide
    assert decide("another", Headers()).reason == "undiagnosed"
    found = decide("m", Headers())
    assert (found.rounds, found.stop, found.gate, found.critic_tokens) == (1, "gate", Gate("alarm"), 99)
    for asks, gate_, rounds in (
        ("never", Gate("alarm"), 0),
        ("flagged", Gate("alarm"), 1),
        ("always", Gate("alarm"), 1),
    ):
        found = decide("m", Headers({"x-secondlook-policy": asks}))
        assert (found.gate, found.rounds) == (gate_, rounds)
    decide = policy(gate(tmp_path / "g.json", "alarm"), override="any").decide
    assert decide("m", Headers({"x-secondlook-policy": "flagged"})).stop == "satisfied"


def test_the_start_says_what_a_gate_does(tmp_path):
    assert [*policy(gate(tmp_path / "g.json", "p_wrong", 0.4)).says()] == [
        "m: helps, looks again once, checked by the model itself; gate: look again where p_wrong > 0.4",
        "every other model and task: undiagnosed, passed on",
    ]


@pytest.mark.parametrize(
    ("parts", "made", "settings", "said"),
    [
        (("alarm",), {"prompt": "own/binary-cot@000000000000"}, {}, "was made with prompt own/binary-cot@0000"),
        (("alarm",), {"variant": "diverse"}, {}, "is of variant 'diverse', which is of studies"),
        (("alarm",), {}, {"variant": "self-instruct"}, "is of variant 'self', settings say 'self-instruct'"),
        (("alarm",), {}, {"elicit": "auto"}, "is of elicit 'line', settings say 'auto'"),
        (("alarm",), {}, {"critic_tokens": 5}, "is of critic_tokens 99, settings say 5"),
        (("alarm",), {}, {"chat_template": "t2"}, "is of chat_template 't1', settings say 't2'"),
        (("alarm",), {"stop": "odd"}, {}, "is of stop rule 'odd'"),
        (("alarm",), {"noise": 0.25}, {}, "is of verdicts that were flipped on purpose"),
        (("alarm",), {}, {"critic": "tool", "critic_command": ("sh",)}, "is of critic 'self', settings say 'tool'"),
        (("alarm",), {"critic": "oracle"}, {}, "is of critic 'oracle', which is of studies"),
        (("alarm",), {"critic": "verify-first"}, {}, "has none of critic 'verify-first'"),
        (("p_answer", 0.5), {}, {}, "goes by p_answer, which takes answers that are one of several choices"),
        (("agreement", 0.5, 2), {}, {}, "goes by agreement"),
    ],
)
def test_what_was_fitted_otherwise_is_refused_in_one_line(tmp_path, parts, made, settings, said):
    with pytest.raises(ValueError, match=said) as caught:
        policy(gate(tmp_path / "g.json", *parts, **made), **settings)
    assert "\n" not in str(caught.value)


def test_two_of_one_model_are_refused(tmp_path):
    file = gate(tmp_path / "g.json", "alarm")
    with pytest.raises(ValueError, match="two diagnoses of model 'm'"):
        Policy(GatewaySettings(upstream="http://u/v1", policy="diagnosis", diagnoses=(file, file)))


# --- fitted critics


@pytest.mark.parametrize(("share", "looks"), [(0.45, True), (0.3, False)])
def test_a_fitted_critic_decides_by_the_probability(tmp_path, share, looks):
    # 1 / (1 + e^-(0.45 - 0.5) / 0.1) = 0.38 is above 0.3, and 0.12 of a share of 0.3 is not.
    file = critic(tmp_path / "c.json", stop="satisfied")
    says = script("5", likely("Verdict: correct", share), "4")
    with Pair(says, policy="flagged", critic="fitted", critic_file=file) as pair:
        response = post(pair)
        again = [asked.json["messages"] for asked in pair.upstream.asked][2:]
    assert told(response)[:2] == (("corrected", "flagged") if looks else ("kept", "satisfied"))
    assert told(response)[4] == ("wrong" if looks else "right")
    if looks:  # what the critic said was another verdict: its words are the prompt's own
        assert again[0][-2]["content"] == PROMPT.feedback["wrong"]


@pytest.mark.parametrize(
    ("made", "settings", "said"),
    [
        ({}, {}, "is of stop rule 'fixed', policy 'flagged' is of 'satisfied'"),
        ({"stop": None, "prompt": "own/binary-cot@000000000000"}, {}, "was made with prompt own/binary-cot@0000"),
        ({"stop": None}, {"elicit": "choice"}, "is of elicit 'line', settings say 'choice'"),
        ({"stop": None}, {"chat_template": "t2"}, "is of chat_template 't1'"),
    ],
)
def test_a_critic_fitted_otherwise_is_refused(tmp_path, made, settings, said):
    values = {"upstream": "http://u/v1", "policy": "flagged", "critic": "fitted", **settings}
    with pytest.raises(ValueError, match=said):
        Policy(GatewaySettings(critic_file=critic(tmp_path / "c.json", **made), **values))


def test_a_critic_that_reads_what_a_gateway_does_not_know_is_refused_and_others_models_are_passed_on(tmp_path):
    values = {"upstream": "http://u/v1", "policy": "flagged", "critic": "fitted"}
    file = critic(tmp_path / "c.json", ("p_answer",), stop=None)
    with pytest.raises(ValueError, match=r"reads p_answer, .*train one with --without p_answer"):
        Policy(GatewaySettings(critic_file=file, **values))
    decide = Policy(GatewaySettings(critic_file=critic(file, stop=None), **values)).decide
    assert decide("another", Headers()).reason == "undiagnosed"
    assert decide("m", Headers()).critic.file == str(file)
    file.write_text(json.dumps({"format": CRITIC}))
    with pytest.raises(ValueError, match=r"is no critic of secondlook\.critic/1"):
        Policy(GatewaySettings(critic_file=file, **values))
