"""The provider's batches: no reply depends on the company its request was in."""

from __future__ import annotations

import asyncio
import random
import shutil

import anyio
import pytest
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from inspect_ai.tool import ToolInfo

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.noise import Noise
from secondlook.local.model import LocalModel, checkpoint
from secondlook.local.provider import LocalProvider
from secondlook.prompts.prompt import load_prompt

GREEDY = GenerateConfig(temperature=0.0, max_tokens=12)


def queries(count):
    """Questions of the language, and some of other lengths: one word, and several questions in a row."""
    prompt = load_prompt("bbq/binary-cot")
    texts = [BBQCase(item, prompt, Noise(item.id, "fresh", 3).words).query(0) for item in draw_items(2, 3)]
    texts = [*texts[: count - 3], "lantern", "\n".join(texts[:3]), "\n".join(texts[3:9])]
    return [[ChatMessageUser(content=text)] for text in texts]


async def ask(provider, messages, config=GREEDY):
    return await provider.generate(messages, [], "none", config)


async def ask_all(provider, conversations, config=GREEDY):
    return await asyncio.gather(*(ask(provider, messages, config) for messages in conversations))


def one(provider, messages, config=GREEDY):
    return anyio.run(ask, provider, messages, config)


def said(output):
    return output.completion, output.stop_reason, output.usage.input_tokens, output.usage.output_tokens


@pytest.fixture(scope="module")
def alone():
    """Each question asked by itself."""
    provider = LocalProvider("planted", max_batch=1, window=0.0, device="cpu")

    async def one_by_one():
        return [said(await ask(provider, messages)) for messages in queries(16)]

    return anyio.run(one_by_one)


@pytest.mark.parametrize("max_batch", [1, 3, 128])
def test_a_batch_says_what_each_request_gets_alone(alone, max_batch):
    provider = LocalProvider("planted", max_batch=max_batch, device="cpu")
    assert [said(output) for output in anyio.run(ask_all, provider, queries(16))] == alone


def test_whatever_the_company_and_its_settings(alone):
    provider = LocalProvider("planted", max_batch=5, device="cpu")
    asked = list(enumerate(queries(16)))
    random.Random(4).shuffle(asked)
    other = [GREEDY, GenerateConfig(max_tokens=2), GenerateConfig(temperature=1.0, seed=3, max_tokens=12)]

    async def mixed():
        return await asyncio.gather(
            *(ask(provider, messages, other[place % 3]) for place, (_, messages) in enumerate(asked))
        )

    for place, output in enumerate(anyio.run(mixed)):
        number = asked[place][0]
        if place % 3 == 0:
            assert said(output) == alone[number]
        if place % 3 == 1:
            assert output.usage.output_tokens <= 2


@pytest.mark.parametrize(("limit", "most", "reason"), [(1, 1, "max_tokens"), (None, 64, "stop")])
def test_a_reply_that_is_cut_off_says_so_and_without_a_limit_has_the_providers(limit, most, reason):
    output = one(LocalProvider("planted", device="cpu"), queries(4)[0], GenerateConfig(max_tokens=limit))
    assert output.stop_reason == reason
    assert 0 < output.usage.output_tokens <= most
    assert output.usage.total_tokens == output.usage.input_tokens + output.usage.output_tokens


def test_a_seed_makes_a_sampled_reply_repeatable_in_any_company():
    provider = LocalProvider("planted", device="cpu")
    question = queries(4)[:1]

    def sampled(seed):
        return GenerateConfig(temperature=2.0, top_p=0.95, seed=seed, max_tokens=12)

    async def in_company():
        replies = [ask(provider, question[0], sampled(seed)) for seed in range(6)]
        *outputs, _ = await asyncio.gather(*replies, ask_all(provider, queries(8)))
        return [said(output) for output in outputs]

    async def by_themselves():
        return [said(await ask(provider, question[0], sampled(seed))) for seed in reversed(range(6))][::-1]

    first = [said(output) for seed in range(6) for output in anyio.run(ask_all, provider, question, sampled(seed))]
    assert anyio.run(by_themselves) == first
    assert anyio.run(in_company) == first
    assert len(set(first)) > 1


def test_a_cancelled_request_breaks_no_other(alone):
    provider = LocalProvider("planted", max_batch=4, device="cpu")

    async def some_cancelled():
        tasks = [asyncio.create_task(ask(provider, messages)) for messages in queries(16)]
        await asyncio.sleep(0)
        tasks[0].cancel()  # while it waits
        await tasks[1]
        tasks[-1].cancel()  # while others are generated
        return await asyncio.gather(*tasks, return_exceptions=True)

    outputs = anyio.run(some_cancelled)
    assert isinstance(outputs[0], asyncio.CancelledError)
    for output, expected in list(zip(outputs, alone, strict=True))[1:-1]:
        assert said(output) == expected


def test_a_prompt_that_is_too_long_fails_alone(alone):
    provider = LocalProvider("planted", device="cpu")
    long = [ChatMessageUser(content="lantern " * 3000)]

    async def with_a_long_one():
        requests = [ask(provider, messages) for messages in (*queries(16), long)]
        return await asyncio.gather(*requests, return_exceptions=True)

    *outputs, failed = anyio.run(with_a_long_one)
    assert [said(output) for output in outputs] == alone
    assert isinstance(failed, ValueError)
    assert "3002 tokens, and planted reads 2048" in str(failed)


def test_a_run_that_was_cut_off_leaves_the_provider_usable(alone):
    provider = LocalProvider("planted", window=30.0, device="cpu")

    async def cut_off():
        with anyio.move_on_after(0.05):
            await ask_all(provider, queries(16))

    anyio.run(cut_off)
    provider._window = 0.0  # the next run need not wait as long for company
    assert [said(output) for output in anyio.run(ask_all, provider, queries(16))] == alone


def test_an_opened_reply_is_continued_and_a_system_message_is_read():
    provider, question = LocalProvider("planted", device="cpu"), queries(4)[0]
    whole = one(provider, question)
    opened = one(provider, [*question, ChatMessageAssistant(content="lantern")])
    assert opened.usage.input_tokens == whole.usage.input_tokens + 1  # the turn is not closed
    assert not opened.completion.startswith("lantern")
    told = one(provider, [ChatMessageSystem(content="lantern"), *question])
    assert told.usage.input_tokens == whole.usage.input_tokens + 2


def test_tools_are_refused():
    provider = LocalProvider("planted", device="cpu")
    tool = ToolInfo(name="look", description="Look something up.")

    async def with_a_tool():
        await provider.generate(queries(4)[0], [tool], "auto", GREEDY)

    with pytest.raises(ValueError, match="secondlook/planted cannot call tools; run it without"):
        anyio.run(with_a_tool)


def test_what_inspect_asks_of_it():
    provider = LocalProvider("planted", max_batch=7, device="cpu")
    assert provider.max_connections() == 7
    assert provider.should_retry(RuntimeError()) is False
    info = provider.describe()
    assert (info.name, info.prefix_stable) == ("planted", True)
    assert len(info.revision) == len(info.chat_template) == 12
    for arguments in ({"max_batch": 0}, {"window": -1.0}):
        with pytest.raises(ValueError, match="give at least 1 and at least 0 seconds"):
            LocalProvider("planted", **arguments)
    for name in ("nobody", "/nowhere/at/all"):
        with pytest.raises(ValueError, match=rf"^no checkpoint '{name}': .*secondlook/planted, .*\)$"):
            get_model(f"secondlook/{name}")


def test_a_folder_of_ones_own_is_a_checkpoint(tmp_path):
    folder = shutil.copytree(checkpoint("planted"), tmp_path / "mine")
    assert LocalModel(str(folder), "cpu").info.name == "mine"
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match=r"no chat template; add chat_template\.jinja to its folder"):
        LocalModel(str(folder), "cpu")
