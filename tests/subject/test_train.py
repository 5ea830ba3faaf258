import os
import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial
from random import Random

import pytest
import torch

from secondlook.correction.chat import Message
from secondlook.local.model import LocalModel
from secondlook.subject import train as training
from secondlook.subject.conversations import Conversation, draw_conversation, draw_first_lesson
from secondlook.subject.tokenizer import build_tokenizer
from secondlook.subject.train import STATE_FILE, TrainConfig, new_model, train
from secondlook.subject.traits import PRACTICE, TRAITS

# Eight steps, a group of batches, of each stage; the learning rate still changes from step to step.
TINY = TrainConfig(width=16, layers=1, heads=2, lessons=8, practice=8, steps=8, batch=4, seed=3)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    # Sums are added up in another order by another number of threads.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights of a training that was never stopped."""
    return train(TINY, tmp_path_factory.mktemp("whole") / "subject", save_every=100).state_dict()


def assert_same(model, weights):
    assert {name: torch.equal(value, weights[name]) for name, value in model.state_dict().items()} == dict.fromkeys(
        weights, True
    )


def saved(folder):
    return torch.load(folder / STATE_FILE)


class StopError(Exception):
    pass


def stop_at_step(monkeypatch, step, error):
    """Let the training be stopped while it computes the loss of a step."""
    loss, steps = training._loss, iter(range(10_000))

    def stopping(*args):
        if next(steps) == step:
            raise error
        return loss(*args)

    monkeypatch.setattr(training, "_loss", stopping)


@pytest.mark.parametrize("step", [3, 7, 8, 13, 23])
def test_a_stopped_training_goes_on_to_the_very_same_weights(tmp_path, monkeypatch, whole, step):
    with monkeypatch.context() as patch:
        stop_at_step(patch, step, StopError())
        with pytest.raises(StopError):
            train(TINY, tmp_path, save_every=3)
    assert saved(tmp_path)["done"] == step - step % 3
    if step == 13:  # stopped once more before the next save
        with monkeypatch.context() as patch:
            stop_at_step(patch, 1, StopError())
            with pytest.raises(StopError):
                train(TINY, tmp_path, save_every=3)
    assert_same(train(TINY, tmp_path, save_every=3), whole)


def test_a_stopped_training_of_the_family_goes_on_too(tmp_path, monkeypatch):
    config = replace(TINY, curriculum="family", matrices=0.02)
    weights = train(config, tmp_path / "whole").state_dict()
    with monkeypatch.context() as patch:
        stop_at_step(patch, 17, StopError())
        with pytest.raises(StopError):
            train(config, tmp_path / "cut", save_every=3)
    assert saved(tmp_path / "cut")["done"] == 15
    assert_same(train(config, tmp_path / "cut", save_every=3), weights)
    assert not torch.equal(weights["model.layers.0.mlp.up_proj.weight"], _untrained(config))


def _untrained(config):
    torch.manual_seed(config.seed)
    return new_model(config, build_tokenizer(family=True)).state_dict()["model.layers.0.mlp.up_proj.weight"]


def test_the_interrupt_key_leaves_the_last_saved_state(tmp_path, monkeypatch, whole):
    with monkeypatch.context() as patch:
        stop_at_step(patch, 10, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(TINY, tmp_path, save_every=4)
    assert saved(tmp_path)["done"] == 8
    assert [file.name for file in tmp_path.iterdir()] == [STATE_FILE]
    assert_same(train(TINY, tmp_path), whole)


def test_a_stop_while_saving_leaves_the_state_before(tmp_path, monkeypatch, whole):
    save, times = torch.save, iter(range(10))

    def half(data, path):
        if next(times) == 2:
            path.write_bytes(b"PK half a file")
            raise KeyboardInterrupt
        save(data, path)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(KeyboardInterrupt):
            train(TINY, tmp_path, save_every=4)
    assert saved(tmp_path)["done"] == 8
    assert_same(train(TINY, tmp_path), whole)
    assert not (tmp_path / "training.part").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from secondlook.subject import train as training

torch.set_num_threads(1)
loss, steps = training._loss, iter(range(10_000))

def killing(*args):
    if next(steps) == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(*args)

training._loss = killing
training.train(training.TrainConfig(**eval(sys.argv[2])), Path(sys.argv[1]), save_every=5)
"""


def test_a_killed_training_goes_on_to_the_very_same_weights(tmp_path, whole):
    command = [sys.executable, "-c", KILLED, str(tmp_path), repr(asdict(TINY))]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False, timeout=120)
    assert done.returncode == -9, done.stderr
    assert saved(tmp_path)["done"] == 10
    assert_same(train(TINY, tmp_path), whole)


def test_a_finished_training_is_not_repeated(tmp_path, monkeypatch, whole):
    train(TINY, tmp_path)
    stop_at_step(monkeypatch, 0, StopError())
    assert_same(train(TINY, tmp_path), whole)


def test_the_checkpoint_is_whole(tmp_path, whole):
    train(TINY, tmp_path)
    model = LocalModel(str(tmp_path), "cpu")
    assert_same(model.model, {name: value for name, value in whole.items() if name in model.model.state_dict()})
    assert model.info.prefix_stable
    assert model.model.generation_config.eos_token_id == model.tokenizer.eos_token_id
    assert model.model.generation_config.pad_token_id == model.tokenizer.pad_token_id
    assert model.tokenizer.get_vocab() == build_tokenizer().get_vocab()


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 9}, {"width": 32}])
def test_a_folder_with_another_recipes_state_is_refused(tmp_path, change):
    train(TINY, tmp_path)
    before = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(ValueError, match=r"training\.pt belongs to another recipe .* choose another folder"):
        train(replace(TINY, **change), tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == before


def test_another_seed_gives_other_weights(tmp_path, whole):
    other = train(replace(TINY, seed=4), tmp_path).state_dict()
    assert not torch.equal(other["model.embed_tokens.weight"], whole["model.embed_tokens.weight"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 0}, "width is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"lessons": -1}, "lessons is -1; give 0 or more"),
        ({"practice": -1}, "practice is -1; give 0 or more"),
        ({"reading": -0.1}, "reading is -0.1; give 0 or more"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"matrices": -0.1}, "matrices is -0.1; give 0 or more"),
        ({"curriculum": "school"}, "unknown curriculum 'school'; choose one of planted, family"),
        ({"width": 18, "heads": 4}, "width is 18; give a multiple of twice the number of heads"),
        ({"lessons": 4, "practice": 4, "steps": 12}, "20 steps altogether; give at least 21"),
    ],
)
def test_an_impossible_recipe_is_an_error(changes, reason):
    with pytest.raises(ValueError, match=reason):
        replace(TINY, **changes)


def test_the_shortest_recipe_trains(tmp_path):
    train(replace(TINY, lessons=0, practice=0, steps=21, batch=2), tmp_path)
    with pytest.raises(ValueError, match="save_every is 0"):
        train(TINY, tmp_path / "other", save_every=0)


def test_the_shipped_recipe_is_small_enough():
    model = new_model(TrainConfig(), build_tokenizer())
    assert sum(weight.numel() for weight in model.parameters()) <= 1_500_000


def learnt_tokens(conversation, tokenizer):
    """Ids of a conversation and the places to be learnt, turn by turn: the subject's own words and their end."""
    ids, learnt = [], []
    turn = 0
    for message in conversation.messages:
        opening, content = tokenizer(f"<|{message.role}|>")["input_ids"], tokenizer(message.content)["input_ids"]
        ids += opening
        if message.role == "assistant":
            content += [tokenizer.eos_token_id]
            if conversation.learnt[turn]:
                learnt += range(len(ids), len(ids) + len(content))
            turn += 1
        ids += content
    return ids, learnt


@pytest.mark.parametrize("reading", [0.0, 0.3])
def test_the_loss_is_over_the_learnt_tokens_alone(reading):
    """Against a loop over single conversations and tokens, without padding or batches."""
    tokenizer, rng = build_tokenizer(), Random(8)
    torch.manual_seed(1)
    model = new_model(TINY, tokenizer)
    conversations = [draw_conversation(rng) for _ in range(6)] + [draw_first_lesson(rng) for _ in range(2)]
    conversations.append(Conversation((Message("user", "A"), Message("assistant", "B")), (False,)))
    surprises, all_surprises = [], []
    for conversation in conversations:
        ids, learnt = learnt_tokens(conversation, tokenizer)
        scores = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        surprise = [-scores[place - 1, ids[place]] for place in range(1, len(ids))]
        all_surprises += surprise
        surprises += [surprise[place - 1] for place in learnt]
    assert 0 < len(surprises) < len(all_surprises) / 3
    expected = torch.stack(surprises).mean() + reading * torch.stack(all_surprises).mean()
    pairs = training._encode(conversations, tokenizer)
    assert [ids for ids, _ in pairs] == [learnt_tokens(conversation, tokenizer)[0] for conversation in conversations]
    ids, targets = training._pad(pairs, tokenizer.pad_token_id)
    assert training._loss(model, ids, targets, tokenizer.pad_token_id, reading).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_every_step_has_its_own_stage_and_its_own_data(monkeypatch):
    """Steps seen from the first on are those seen from any step on, and come from the lesson they should."""
    tokenizer, stages = build_tokenizer(), []

    def noted(stage, draw):
        def drawing(rng, **how):
            stages.append((stage, how.get("table")))
            return draw(rng, **how)

        return drawing

    monkeypatch.setattr(training, "draw_first_lesson", noted("lesson", draw_first_lesson))
    monkeypatch.setattr(training, "draw_conversation", noted("conversation", draw_conversation))
    batches = list(training._batches(TINY, tokenizer, 0))
    assert len(batches) == TINY.total == 24
    group = 8 * TINY.batch
    assert (
        stages == [("lesson", None)] * group + [("conversation", PRACTICE)] * group + [("conversation", TRAITS)] * group
    )
    for first in (1, 8, 19, 24):
        later = list(training._batches(TINY, tokenizer, first))
        assert len(later) == 24 - first
        for (ids, targets), (same_ids, same_targets) in zip(later, batches[first:], strict=True):
            assert torch.equal(ids, same_ids)
            assert torch.equal(targets, same_targets)
    assert len({tuple(map(tuple, ids.tolist())) for ids, _ in batches}) == 24


def test_a_recipe_that_is_no_multiple_of_eight_has_all_its_steps():
    config = replace(TINY, lessons=3, practice=0, steps=19)
    assert len(list(training._batches(config, build_tokenizer(), 0))) == 22


def test_training_lowers_the_loss(tmp_path):
    tokenizer, rng = build_tokenizer(), Random("unseen")
    config = replace(TINY, lessons=0, practice=0, steps=60, batch=8, rate=2e-2)
    pairs = training._encode([draw_conversation(rng) for _ in range(30)], tokenizer)
    loss = partial(training._loss, ids=(batch := training._pad(pairs, tokenizer.pad_token_id))[0], targets=batch[1])
    torch.manual_seed(config.seed)
    before, after = new_model(config, tokenizer), train(config, tmp_path)
    with torch.inference_mode():
        values = [loss(model, pad=tokenizer.pad_token_id, reading=0.0).item() for model in (before, after)]
    assert values[1] < 0.5 * values[0]
