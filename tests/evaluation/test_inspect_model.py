"""Inspect's model as the loop's: what is passed on, what comes back, and which error is told."""

import anyio
import pytest
from inspect_ai.model import (
    ChatCompletionChoice,
    ContentText,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)

from secondlook.correction import Completion, Message, ModelInfo, Usage
from secondlook.correction.chat import ServerError, WithheldError
from secondlook.evaluation.inspect_model import InspectModel

ASKED = (Message("system", "Be brief."), Message("user", "One?"), Message("assistant", "(A)"), Message("user", "Two?"))
seen = []


@modelapi(name="parrot")
def parrot():
    class Parrot(ModelAPI):
        def __init__(self, model_name, base_url=None, api_key=None, config=GenerateConfig(), reply=None):  # noqa: B008
            super().__init__(model_name, base_url, api_key, [], config)
            self.reply = reply

        def should_retry(self, ex):
            return isinstance(ex, ConnectionError)

        async def generate(self, input, tools, tool_choice, config):  # noqa: A002
            seen.append((input, config))
            reply = self.reply()
            if isinstance(reply, Exception):
                raise reply
            return reply

    return Parrot


def ask(reply, *, config=None, seed=None):
    seen.clear()
    # Inspect itself insists on a moment between two attempts; one attempt is enough here.
    model = get_model("parrot/x", config=config or GenerateConfig(max_retries=0), memoize=False, reply=lambda: reply)
    return anyio.run(lambda: InspectModel(model).complete(ASKED, seed=seed))


def output(text="(B)", stop="stop", usage=None, error=None):
    made = ModelOutput.from_content("x", text, stop_reason=stop, error=error)
    made.usage = usage
    return made


def test_the_conversation_is_passed_on_as_it_is():
    assert ask(output()) == Completion("(B)", Usage(calls=1, untold=1), "stop")
    ((messages, _),) = seen
    assert [(message.role, message.text) for message in messages] == [
        (message.role, message.content) for message in ASKED
    ]


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("stop", "stop"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("tool_calls", "other"),
        ("unknown", "other"),
    ],
)
def test_why_it_stopped(stop, finish):
    usage = ModelUsage(input_tokens=10, output_tokens=4, total_tokens=14)
    assert ask(output(stop=stop, usage=usage)).finish == finish


def test_what_inspect_makes_of_an_error_or_a_refusal_is_no_answer():
    # Providers turn "the prompt is too long" into a reply without usage.
    with pytest.raises(ServerError, match=r"^the prompt is too long$"):
        ask(output("the prompt is too long", stop="model_length"))
    with pytest.raises(WithheldError, match=r"withheld the reply .*: blocked by policy"):
        ask(output("blocked by policy", stop="content_filter"))
    refused = ModelOutput.from_content("x", "")
    refused.choices[0].message.content = [ContentText(text="I will not.", refusal=True)]
    with pytest.raises(WithheldError, match=r"I will not\."):
        ask(refused)


def test_tokens_of_the_providers_cache_are_input_too():
    usage = ModelUsage(
        input_tokens=10, output_tokens=4, total_tokens=19, input_tokens_cache_read=3, input_tokens_cache_write=2
    )
    assert ask(output(usage=usage)).usage == Usage(input=15, output=4, cached=3, calls=1)


@pytest.mark.parametrize(
    ("config", "temperature", "seeded"),
    [
        (GenerateConfig(), 0.0, False),
        (GenerateConfig(temperature=0.0), 0.0, False),
        (GenerateConfig(temperature=0.9), 0.9, True),
    ],
)
def test_greedy_unless_asked_otherwise_and_a_seed_only_then(config, temperature, seeded):
    ask(output(), config=config, seed=2**40 + 5)
    assert seen[0][1].temperature == temperature
    assert seen[0][1].seed == (5 if seeded else None)


def test_an_error_in_the_output_is_an_error():
    with pytest.raises(RuntimeError, match="overloaded"):
        ask(output(error="overloaded"))


def test_an_output_without_a_choice_is_an_error():
    with pytest.raises(RuntimeError, match="the provider returned no choice"):
        ask(ModelOutput(model="x", choices=[]))
    assert ask(ModelOutput(model="x", choices=[ChatCompletionChoice.model_validate(
        {"message": {"role": "assistant", "content": "(C)"}, "stop_reason": "stop"}
    )])).text == "(C)"  # fmt: skip


def test_the_cause_is_told_and_not_the_attempts():
    with pytest.raises(ConnectionError, match="the line is cut"):
        ask(ConnectionError("the line is cut"))


def test_the_cause_is_told_and_not_the_request():
    # Providers of servers hand over the error of a refused request; Inspect puts the request before it.
    with pytest.raises(ValueError, match=r"^no tools here$"):
        ask((ValueError("no tools here"), None))


@pytest.mark.parametrize("plain", [True, False])
def test_a_server_refuses_probabilities_only_where_it_answers_without_them(plain):
    """A prompt that is too long is refused for itself: later ones are asked for probabilities all the same."""

    def reply():
        refused = ServerError("maximum context length", 400)
        return output() if plain and not seen[-1][1].logprobs else refused

    model = get_model("parrot/sure", config=GenerateConfig(max_retries=0), memoize=False, reply=reply)
    sure = InspectModel(model, confidence=True)
    sure.server.logprobs = True
    seen.clear()
    if plain:
        assert anyio.run(sure.complete, ASKED).text == "(B)"
    else:
        with pytest.raises(ServerError):
            anyio.run(sure.complete, ASKED)
    assert [config.logprobs for _, config in seen] == [True, None]
    assert sure.server.logprobs is not plain


def test_what_is_told_of_the_model():
    config = GenerateConfig(max_tokens=9, top_p=0.5, max_retries=2, timeout=3, attempt_timeout=3, max_connections=4)
    model = get_model("parrot/x", config=config, memoize=False)
    assert InspectModel(model).info == ModelInfo(
        "parrot/x", decoding={"max_tokens": 9, "temperature": 0.0, "top_p": 0.5}
    )


def test_a_provider_that_describes_itself_is_believed():
    info = InspectModel(get_model("secondlook/planted")).info
    assert info.name == "secondlook/planted"
    assert info.revision
    assert info.chat_template
    assert info.prefix_stable is True


def test_it_is_a_model_of_inspects():
    assert isinstance(get_model("parrot/x", memoize=False), Model)
