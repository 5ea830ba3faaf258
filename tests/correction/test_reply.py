"""Every odd body of a server has one rule, and none but an answer in words is an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.correction.chat import Usage
from secondlook.correction.reply import error_of, likely_tokens, read_completion, usage_of

USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
LIMIT = {"finish_reason": "length"}


def body(content="71", choice=None, message=None, **more):
    whole = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **(message or {})},
        "finish_reason": "stop",
    }
    return {"id": "c1", "choices": [whole | (choice or {})], "usage": USAGE} | more


def parts(*pairs):
    return [{"type": kind, name: text} for kind, name, text in pairs]


def test_an_answer():
    found = read_completion(body())
    assert (found.kind, found.text, found.finish, found.usage) == ("words", "71", "stop", Usage(11, 3, 0, 1))


@pytest.mark.parametrize(
    ("odd", "kind", "said"),
    [
        ([], "error", "no chat completion"),
        (None, "error", "no chat completion"),
        ("text", "error", "no chat completion"),
        ({}, "error", "no choices"),
        (body(choices=None), "error", "no choices"),
        (body(choices=[]), "error", "no choices"),
        (body(choices={}), "error", "no choices"),
        (body(choices=[3]), "error", "no choices"),
        (body(choices=[{}]), "error", "no message"),
        (body(choice={"message": None}), "error", "no message"),
        (body(choice={"message": "71"}), "error", "no message"),
        (body(error={"message": "the input is\n too long", "code": 400}), "error", "the input is too long"),
        (body(error="overloaded"), "error", "overloaded"),
        ({"object": "error", "message": "no such model"}, "error", "no such model"),
        ({"detail": [{"msg": "odd"}]}, "error", "odd"),
        (body(choice={"finish_reason": "error"}), "error", "stopped with 'error'"),
        (body(choice={"finish_reason": "content_filter"}), "refused", "withheld"),
        (body(choice={"finish_reason": "SAFETY"}), "refused", "withheld"),
        (body(None, message={"refusal": "I will not."}), "refused", "I will not."),
        (body(None, message={"tool_calls": [{"id": "1"}]}), "call", "calls a tool"),
        (body("71", message={"function_call": {"name": "f"}}), "call", "calls a tool"),
        (body(None), "empty", "is empty"),
        (body(""), "empty", "is empty"),
        (body(" \n"), "empty", "is empty"),
        (body([]), "empty", "is empty"),
        (body(7), "empty", "is empty"),
        (body(None, LIMIT), "empty", "token limit with no words; allow more"),
        (body(None, LIMIT, {"reasoning_content": "Well"}), "empty", "token limit with thoughts alone; allow more"),
        (body("<think>\nMaybe 41", LIMIT), "empty", "token limit with thoughts alone"),
        (body(parts(("thinking", "thinking", "Maybe 41")), LIMIT), "empty", "token limit with thoughts alone"),
        (body(parts(("image_url", "image_url", "x"))), "empty", "is empty"),
    ],
)
def test_what_is_no_answer_says_why(odd, kind, said):
    found = read_completion(odd)
    assert (found.kind, found.text) == (kind, "")
    assert said in found.said
    assert "\n" not in found.said


@pytest.mark.parametrize(
    ("odd", "text", "thoughts"),
    [
        (body(parts(("text", "text", "7"), ("text", "text", "1"))), "71", ""),
        (body(["7", "1"]), "71", ""),
        (body(parts(("thinking", "thinking", "41?"), ("text", "text", "71"))), "71", "41?"),
        (body([{"type": "thinking", "thinking": parts(("text", "text", "41?"))}, {"text": "71"}]), "71", "41?"),
        (body("<think>\n41?\n</think>\n\n71"), "71", "41?"),
        (body("The tag <think> is text."), "The tag <think> is text.", ""),
        (body("71", message={"reasoning_content": "41?"}), "71", "41?"),
        (body("71", message={"tool_calls": [], "function_call": None, "refusal": None, "audio": None}), "71", ""),
        (body("71 \ud83d"), "71 \ud83d", ""),
        (
            body(choices=[{"index": 1, "message": {"content": "75"}}, {"index": 0, "message": {"content": "71"}}]),
            "71",
            "",
        ),
        (body(id=None, object=None, created="odd", error=None), "71", ""),
    ],
)
def test_what_is_an_answer_is_read(odd, text, thoughts):
    found = read_completion(odd)
    assert (found.kind, found.text, found.thoughts) == ("words", text, thoughts)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("eos_token", "stop"), ("max_tokens", "length"), (None, "other"), ("", "other"), ("odd", "other"), (3, "other")],
)
def test_why_it_stopped(reason, finish):
    assert read_completion(body(choice={"finish_reason": reason})).finish == finish


@pytest.mark.parametrize(
    "usage",
    [
        *(None, 3, [], {}, {"prompt_tokens": 3}, {**USAGE, "completion_tokens": None}, {**USAGE, "prompt_tokens": -1}),
        *({**USAGE, "prompt_tokens": "11"}, {**USAGE, "prompt_tokens": True}),
        {**USAGE, "prompt_tokens": 2**70},
    ],
)
def test_what_a_server_does_not_say_is_unknown_and_not_zero(usage):
    assert read_completion(body(usage=usage)).usage is None
    assert read_completion(body()).usage is not None


def test_tokens_of_a_prefix_cache():
    found = read_completion(body(usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 8}}))
    assert found.usage == Usage(11, 3, 8, 1)
    # Messages leave them out of the input; chat completions that tell of them too hold them.
    more = {"cache_read_input_tokens": 20, "cache_creation_input_tokens": 5}
    assert usage_of({"input_tokens": 10, "output_tokens": 3, **more}) == Usage(35, 3, 20, 1)
    assert usage_of({**USAGE, **more}) == Usage(11, 3, 0, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "error", "type", "text", "finish_reason", "usage"]), inner
        )
    ),
    max_leaves=15,
)


@given(JSON)
def test_no_body_breaks_the_reader_and_words_are_never_empty(value):
    for odd in (value, {"choices": value}, body(value), body(message={"refusal": value}), body(usage=value)):
        found = read_completion(odd)
        assert (found.kind == "words") == bool(found.text.strip())
        assert (found.kind == "words") == (not found.said)
        assert error_of(odd) is None or found.kind == "error"


def test_how_likely_tokens_were_is_read_where_it_is_told():
    top = [{"token": " wrong", "logprob": -0.1}, {"token": " right", "logprob": -2}]
    told = [{"token": "Verdict:", "logprob": -0.5}, {"token": " wrong", "logprob": -0.1, "top_logprobs": top}]
    body = {"choices": [{"index": 0, "message": {"content": "Verdict: wrong"}, "logprobs": {"content": told}}]}
    first, second = likely_tokens(body)
    assert (first.text, first.logprob, dict(first.top)) == ("Verdict:", -0.5, {})
    assert dict(second.top) == {" wrong": -0.1, " right": -2.0}
    for odd in (
        {},
        {"choices": []},
        {"choices": [{"index": 0, "logprobs": None}]},
        {"choices": [{"logprobs": {"content": [1]}}]},
    ):
        assert likely_tokens(odd) == ()
    told[1]["top_logprobs"] = [{"token": " wrong"}]
    assert dict(likely_tokens(body)[1].top) == {}
