"""Batches with a kept cache say what the model says to each prompt alone, whatever the architecture."""

from __future__ import annotations

import random
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, LlamaConfig, MistralConfig, Qwen3NextConfig

from secondlook.local.cache import CachedPrefix
from secondlook.local.engine import BatchEngine, PromptRequest
from secondlook.local.model import DecodingSettings, LocalModel, checkpoint
from secondlook.local.scoring import ScoreRequest, score_all

SMALL = {"vocab_size": 773, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
ROTARY = {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8}
CONFIGS = {
    "llama, grouped heads": LlamaConfig(**ROTARY, max_position_embeddings=64),
    "mistral, all layers sliding": MistralConfig(**ROTARY, sliding_window=5, max_position_embeddings=64),
    "gemma2, every other layer sliding": Gemma2Config(**ROTARY, sliding_window=6, max_position_embeddings=64),
    "gpt2, learned positions": GPT2Config(vocab_size=773, n_embd=32, n_layer=2, n_head=4, n_positions=64),
}


def save(config, folder, ends=5):
    """A checkpoint of random weights with the planted tokenizer; large weights, so that no two tokens tie."""
    shutil.copytree(checkpoint("planted"), folder, ignore=shutil.ignore_patterns("model*", "*config.json"))
    shutil.copy(checkpoint("planted") / "tokenizer_config.json", folder)
    torch.manual_seed(1)
    config.initializer_range = 0.5
    config.pad_token_id, config.eos_token_id, config.bos_token_id = 1, ends, None
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=CONFIGS)
def model(request, tmp_path_factory):
    # Every fourth token ends a reply, so that replies of one batch end at all times.
    ends = [5, *range(6, 773, 4)]
    return LocalModel(str(save(CONFIGS[request.param], tmp_path_factory.mktemp("model") / "it", ends)), "cpu")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    config = LlamaConfig(**ROTARY, max_position_embeddings=64)
    return LocalModel(str(save(config, tmp_path_factory.mktemp("l") / "it")), "cpu")


def ids(rng, low, high):
    return [rng.randrange(6, 773) for _ in range(rng.randint(low, high))]


def alone(model, prompt, settings, seed=None):
    settings = DecodingSettings(settings.max_tokens, settings.temperature, settings.top_p, seed)
    (reply,) = model.generate([prompt], settings)
    return reply


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_conversations_of_any_lengths_are_replied_to_as_if_alone(model, temperature):
    settings = DecodingSettings(max_tokens=7, temperature=temperature, top_p=0.95 if temperature else 1.0)
    engine = BatchEngine(model, settings, max_batch=4)
    rng = random.Random(4)
    shared = ids(rng, 6, 6)
    requests = [PromptRequest(shared + ids(rng, 1, 12), seed=number) for number in range(8)]
    for turn in range(3):
        replies = engine.generate(requests)
        for request, reply in zip(requests, replies, strict=True):
            assert reply == alone(model, request.prompt, settings, request.seed)
        for number, request in enumerate(requests):
            prompt = request.kept.ids + ids(rng, 1, 5)
            if number % 4 == 1:
                # The template has rewritten what it showed, from some token on.
                prompt = prompt[: rng.randint(1, len(prompt))] + ids(rng, 1, 3)
            if number % 4 == 2:
                prompt = list(request.prompt)  # the same is asked again
            requests[number] = PromptRequest(prompt[-60:], request.kept, seed=100 * turn + number)


def test_what_is_kept_is_what_the_tokens_give(model):
    engine = BatchEngine(model, DecodingSettings(max_tokens=6))
    rng = random.Random(8)
    requests = [PromptRequest(ids(rng, 3, 15)) for _ in range(5)]
    for _ in range(3):
        engine.generate(requests)
        requests = [PromptRequest(request.kept.ids + ids(rng, 1, 4), request.kept) for request in requests]
    for request in requests:
        kept = request.kept
        with torch.inference_mode():
            output = model.model(torch.tensor([kept.ids]), use_cache=True, past_key_values=None)
        for layer, pair in zip(output.past_key_values.layers, kept.layers, strict=True):
            for whole, side in zip((layer.keys, layer.values), pair, strict=True):
                known = side[kept.row, :, kept.start : kept.start + len(kept.ids)]
                # A sliding layer of transformers' own drops what has slid out of sight.
                torch.testing.assert_close(known[:, -whole.shape[2] :], whole[0], atol=2e-4, rtol=1e-3)


def test_a_beginning_shared_by_all_is_computed_once_and_padding_is_counted(llama):
    engine = BatchEngine(llama, DecodingSettings(max_tokens=1))
    rng = random.Random(2)
    history, more = ids(rng, 20, 20), ids(rng, 10, 10)
    requests = [PromptRequest([*history, 10 + number, *more[:length]]) for number, length in enumerate((10, 10, 9, 7))]
    engine.generate(requests)
    # 20 of the history, then two batches: 8 alone, for 10 is more than a tenth too long; 10 padded to 11, 11 and 11.
    counts = engine.counts
    assert (counts.fresh, counts.prefilled, counts.decoded) == (20 + 8 + 10 + 22, 20 + 8 + 33, 0)
    assert [request.cached for request in requests] == [0, 20, 20, 20]
    again = [PromptRequest([*history, 30 + number, 40]) for number in range(2)]
    engine.generate(again)
    assert [request.cached for request in again] == [20, 20]
    assert (counts.fresh, counts.prefilled) == (60 + 4, 61 + 4)
    twins = [PromptRequest([500, 501, 502]) for _ in range(2)]
    engine.generate(twins)
    assert [request.cached for request in twins] == [0, 2]
    assert (counts.fresh, counts.prefilled) == (64 + 4, 65 + 4)


def test_finished_replies_cost_nothing(llama):
    engine = BatchEngine(llama, DecodingSettings(max_tokens=50))
    # One batch: they have nothing in common, and about the same length.
    requests = [PromptRequest([7 + room, *[9] * (llama.positions - room - 1)]) for room in (1, 5, 10)]
    replies = engine.generate(requests)
    assert [reply.tokens_out for reply in replies] == [1, 5, 10]
    assert engine.counts.decoded == 4 + 9


def test_a_prompt_without_room_fails_alone(llama):
    engine = BatchEngine(llama, DecodingSettings(max_tokens=3))
    good, bad = PromptRequest([7, 8, 9]), PromptRequest([7] * llama.positions)
    replies = engine.generate([bad, good])
    assert replies[1] == alone(llama, good.prompt, DecodingSettings(max_tokens=3))
    with pytest.raises(ValueError, match="a prompt has 64 tokens"):
        raise replies[0]


def test_a_prompt_that_nearly_fills_the_model_stands_beside_a_short_one(model):
    """Each has its own room: a table of learned positions ends where the model's does."""
    settings, rng = DecodingSettings(max_tokens=30), random.Random(3)
    prompts = [ids(rng, length, length) for length in (4, model.positions - 2, 5, model.positions - 20)]
    assert model.generate(prompts, settings) == [alone(model, prompt, settings) for prompt in prompts]
    shorter, tails = ids(rng, 55, 55), ([7], [8, *ids(rng, 7, 7)])
    requests = [
        ScoreRequest([shorter + tail for tail in tails], CachedPrefix()),
        ScoreRequest([[*prompts[1], token] for token in (7, 8)], CachedPrefix()),
    ]
    apart = [score_all(model, [request])[0] for request in requests]
    for scored, own in zip(score_all(model, requests), apart, strict=True):
        assert scored.logprobs == pytest.approx(own.logprobs, abs=1e-3)


def test_a_repetition_penalty_is_kept_to(llama):
    settings = DecodingSettings(max_tokens=20)
    requests = [PromptRequest([7, 8, 9, 7]), PromptRequest([11, 7, 300, 12, 13, 9])]
    plain = BatchEngine(llama, settings).generate(requests)
    llama.model.generation_config.repetition_penalty = 3.0
    try:
        again = [PromptRequest(request.prompt) for request in requests]
        replies = BatchEngine(llama, settings).generate(again)
        assert replies == [alone(llama, request.prompt, settings) for request in again]
        assert replies != plain
    finally:
        llama.model.generation_config.repetition_penalty = None


def test_settings_and_states_it_cannot_do_are_refused(llama):
    llama.model.generation_config.no_repeat_ngram_size = 2
    try:
        with pytest.raises(ValueError, match="no_repeat_ngram_size=2"):
            BatchEngine(llama, DecodingSettings())
    finally:
        llama.model.generation_config.no_repeat_ngram_size = None
    with pytest.raises(ValueError, match="max_batch is 0"):
        BatchEngine(llama, DecodingSettings(), max_batch=0)
    (reply,) = BatchEngine(llama, DecodingSettings(temperature=1.0)).generate([PromptRequest([7, 8])])
    assert "needs a seed" in str(reply)


def test_a_running_state_is_refused(tmp_path):
    config = Qwen3NextConfig(**ROTARY, layer_types=["linear_attention", "full_attention"], num_experts=0)
    with pytest.raises(ValueError, match="cannot be cut back"):
        BatchEngine(LocalModel(str(save(config, tmp_path / "it")), "cpu"), DecodingSettings())
