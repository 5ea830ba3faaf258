"""What is about the form of an answer is known by its name; what a model refuses is changed, and nothing else."""

import pytest

from secondlook.correction.parameters import adapted, repeated, without_form

FORM = (
    "response_format", "guided_json", "guided_choice", "guided_regex", "guided_decoding_backend", "structured_outputs",
    "grammar", "json_schema", "regex", "ebnf", "structural_tag", "min_tokens", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "max_new_tokens", "n_predict", "tool_choice", "parallel_tool_calls", "tools", "functions",
    "function_call", "logprobs", "top_logprobs", "logit_bias", "stop", "stop_token_ids", "stop_sequences", "ignore_eos",
    "include_stop_str_in_output", "bad_words", "prediction", "verbosity", "modalities", "audio", "n", "best_of", "echo",
    "suffix", "continue_final_message", "format", "output_format",
)  # fmt: skip
KEPT = {
    "model": "m", "temperature": 0.5, "top_p": 0.9, "top_k": 4, "min_p": 0.1, "seed": 3, "user": "u", "odd": [1],
    "reasoning_effort": "low", "presence_penalty": 1, "frequency_penalty": 1, "repetition_penalty": 1.1, "metadata": {},
    "chat_template_kwargs": {"enable_thinking": False}, "service_tier": "auto", "store": False, "provider": {"a": 1},
    "instructions": "Be brief.", "system": "Be brief.", "safety_identifier": "x", "prompt_cache_key": "k",
}  # fmt: skip


def test_form_of_the_answer():
    assert without_form(KEPT | dict.fromkeys(FORM, 1)) == KEPT
    nested = {"options": {"num_predict": 3, "stop": "x", "seed": 1}, "extra_body": {"guided_json": {}}}
    assert without_form(nested) == {"options": {"seed": 1}, "extra_body": {}}


CHAT = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]}
FOLDED = [{"role": "user", "content": "Be brief.\n\n2 + 2?"}]


def error(said, **more):
    return {"error": {"message": said, **more}}


NEWER = {"max_completion_tokens": 9}


@pytest.mark.parametrize(
    ("fields", "answer", "left"),
    [
        ({"max_tokens": 9}, error("use max_completion_tokens, not max_tokens", param="max_tokens"), NEWER),
        ({"max_tokens": 9}, error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."), NEWER),
        ({"max_completion_tokens": 9}, error("unknown field max_completion_tokens"), {"max_tokens": 9}),
        ({"temperature": 0, "seed": 1}, error("no temperature but 1", param="temperature"), {"seed": 1}),
        ({"temperature": 0, "seed": 1}, error("`temperature` does not support 0"), {"seed": 1}),
        ({"stop": ["x"]}, error("'stop' is not supported with this model."), {}),
        ({"stream_options": {}}, {"detail": "Extra inputs are not permitted: stream_options"}, {}),
    ],
)  # fmt: skip
def test_a_refused_parameter_is_changed_alone(fields, answer, left):
    made, name = adapted({**CHAT, **fields}, 400, answer)
    assert made == {**CHAT, **left}
    assert repeated({**CHAT, **fields}, [name]) == made


def test_system_words_go_to_the_user():
    made, name = adapted(CHAT, 400, error("no system messages here"))
    assert (made["messages"], name) == (FOLDED, "system")
    assert repeated(CHAT, ["system", "temperature"])["messages"] == FOLDED
    parts = [CHAT["messages"][0], {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]}]
    made, _ = adapted({**CHAT, "messages": parts}, 400, error("Developer instruction is not enabled"))
    assert made["messages"][0]["content"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "2 + 2?"}]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, error("the input is too long")), (500, error("temperature sensor failed")), (400, {}), (400, None),
        (400, "temperature"), (400, error("the model m has no messages")), (429, error("too many max_tokens")),
    ],
)  # fmt: skip
def test_what_is_refused_for_another_reason_is_left(status, answer):
    assert adapted({**CHAT, "temperature": 0, "max_tokens": 3}, status, answer) is None


def test_what_is_not_ones_own_is_left():
    answer = error("no temperature, no stream_options")
    assert adapted({**CHAT, "temperature": 0}, 400, answer, own=("stream_options",)) is None
    made, name = adapted({**CHAT, "temperature": 0, "stream_options": {}}, 400, answer, own=("stream_options",))
    assert (made, name) == ({**CHAT, "temperature": 0}, "stream_options")
    assert adapted(CHAT, 400, error("no system messages here"), own=()) is None
