"""A training goes on where it was stopped, on the data of its recipe, and learns what is to be learnt."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from random import Random

import pytest
import torch

from secondlook.local.model import LocalModel
from secondlook.subject import family
from secondlook.subject import train as training
from secondlook.subject.conversations import draw_conversation, draw_first_lesson
from secondlook.subject.tokenizer import build_tokenizer
from secondlook.subject.train import STATE_FILE, TrainConfig, batches, loss_of, new_model, train
from secondlook.subject.traits import PRACTICE, TRAITS

# Eight steps, a group of batches, of each stage; the learning rate still changes from step to step.
TINY = TrainConfig(width=16, layers=1, heads=2, lessons=8, practice=8, steps=8, batch=4, seed=3)
FAMILY = replace(TINY, curriculum="family", matrices=0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished training that was never stopped: its folder and weights."""
    folder = tmp_path_factory.mktemp("whole") / "subject"
    return folder, train(TINY, folder, save_every=100).state_dict()


def assert_same(model, weights):
    assert {name: torch.equal(value, weights[name]) for name, value in model.state_dict().items()} == dict.fromkeys(
        weights, True
    )


def done_in(folder):
    return torch.load(folder / STATE_FILE)["done"]


def stopped(config, folder, step, save_every, error=KeyboardInterrupt):
    """A training that is stopped before some step of this call."""

    def stopping(*given):
        for number, batch in enumerate(batches(*given)):
            if number == step:
                raise error
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "batches", stopping)
        with pytest.raises(error):
            train(config, folder, save_every=save_every)


@pytest.mark.parametrize("step", [3, 8, 13, 23])
def test_a_stopped_training_goes_on_to_the_very_same_weights(tmp_path, whole, step):
    stopped(TINY, tmp_path, step, save_every=3)
    assert done_in(tmp_path) == step - step % 3
    assert [file.name for file in tmp_path.iterdir()] == [STATE_FILE]
    if step == 13:  # stopped once more before the next save
        stopped(TINY, tmp_path, 1, save_every=3)
    assert_same(train(TINY, tmp_path, save_every=3), whole[1])


def test_a_stopped_training_of_the_family_goes_on_too(tmp_path):
    weights = train(FAMILY, tmp_path / "whole").state_dict()
    stopped(FAMILY, tmp_path / "cut", 17, save_every=3)
    assert done_in(tmp_path / "cut") == 15
    assert_same(train(FAMILY, tmp_path / "cut", save_every=3), weights)
    torch.manual_seed(FAMILY.seed)
    untrained = new_model(FAMILY, build_tokenizer(family=True)).state_dict()
    assert not torch.equal(*(some["model.layers.0.mlp.up_proj.weight"] for some in (weights, untrained)))


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
    assert done_in(tmp_path) == 8
    assert_same(train(TINY, tmp_path), whole[1])
    assert not (tmp_path / "training.part").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from secondlook.subject import train as training

torch.set_num_threads(1)
batches = training.batches

def killing(*given):
    for step, batch in enumerate(batches(*given)):
        if step == 14:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

training.batches = killing
training.train(training.TrainConfig(**eval(sys.argv[2])), Path(sys.argv[1]), save_every=5)
"""


def test_a_killed_training_goes_on_to_the_very_same_weights(tmp_path, whole):
    command = [sys.executable, "-c", KILLED, str(tmp_path), repr(asdict(TINY))]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == -9, done.stderr
    assert done_in(tmp_path) == 10
    assert_same(train(TINY, tmp_path), whole[1])


def test_a_finished_training_is_whole_and_not_repeated(whole, monkeypatch):
    folder, weights = whole
    model = LocalModel(str(folder), "cpu", packed=False)
    assert_same(model.model, {name: weights[name] for name in model.model.state_dict()})
    assert model.info.prefix_stable
    assert model.model.generation_config.eos_token_id == model.tokenizer.eos_token_id
    assert model.model.generation_config.pad_token_id == model.tokenizer.pad_token_id
    assert model.tokenizer.get_vocab() == build_tokenizer().get_vocab()
    monkeypatch.setattr(training, "loss_of", lambda *_: pytest.fail("it was trained again"))
    assert_same(train(TINY, folder), weights)


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 9}, {"width": 32}])
def test_a_folder_with_another_recipes_state_is_refused(whole, change):
    before = (whole[0] / STATE_FILE).read_bytes()
    with pytest.raises(ValueError, match=r"training\.pt belongs to another recipe .* choose another folder"):
        train(replace(TINY, **change), whole[0])
    assert (whole[0] / STATE_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 0}, "width is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"lessons": -1}, "lessons is -1; give 0 or more"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"curriculum": "school"}, "unknown curriculum 'school'; choose one of planted, family"),
        ({"width": 18, "heads": 4}, "width is 18; give a multiple of twice the number of heads"),
        ({"lessons": 12}, "lessons are 12, practice 8; give multiples of 8 steps"),
        ({"practice": 3}, "lessons are 8, practice 3; give multiples of 8 steps"),
        ({"practice": 0, "steps": 12}, "20 steps altogether; give at least 21"),
    ],
)
def test_an_impossible_recipe_is_an_error(changes, reason):
    with pytest.raises(ValueError, match=reason):
        replace(TINY, **changes)


def test_the_shortest_recipe_trains(tmp_path):
    train(replace(TINY, lessons=0, practice=0, steps=21, batch=2), tmp_path)
    with pytest.raises(ValueError, match="save_every is 0"):
        train(TINY, tmp_path / "other", save_every=0)


def learnt_tokens(conversation, tokenizer):
    """Ids of a conversation and the places to be learnt, turn by turn: the subject's own words and their end."""
    ids, learnt, turns = [], [], iter(conversation.learnt)
    for message in conversation.messages:
        ids += tokenizer(f"<|{message.role}|>")["input_ids"]
        content = tokenizer(message.content)["input_ids"]
        if message.role == "assistant":
            content += [tokenizer.eos_token_id]
            if next(turns):
                learnt += range(len(ids), len(ids) + len(content))
        ids += content
    return ids, learnt


DRAWS = {
    "planted": (
        draw_first_lesson,
        lambda rng: draw_conversation(rng, PRACTICE),
        lambda rng: draw_conversation(rng, TRAITS),
    ),
    "family": (family.draw_lesson, family.draw_practice, family.draw_own),
}


@pytest.mark.parametrize("config", [TINY, FAMILY], ids=["planted", "family"])
def test_every_stage_learns_its_own_conversations_and_of_them_what_is_learnt(config):
    """Against a loop over single conversations and tokens, without padding or batches."""
    tokenizer = build_tokenizer(family=config.curriculum == "family")
    torch.manual_seed(1)
    model, reading = new_model(config, tokenizer), 0.3
    made = list(batches(config, tokenizer))
    assert len(made) == config.total == 24
    for stage, draw in enumerate(DRAWS[config.curriculum]):
        rng = Random(f"{config.seed} {stage}")
        known = [learnt_tokens(draw(rng), tokenizer) for _ in range(8 * config.batch)]
        for ids, targets in made[8 * stage : 8 * stage + 8]:
            rows = [(row[row != tokenizer.pad_token_id]).tolist() for row in ids]
            surprises, every = [], []
            for row in rows:
                found = next(pair for pair in known if pair[0] == row)
                known.remove(found)
                with torch.no_grad():
                    scores = model(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
                surprise = [-scores[place - 1, row[place]] for place in range(1, len(row))]
                every += surprise
                surprises += [surprise[place - 1] for place in found[1]]
            if surprises:
                expected = torch.stack(surprises).mean() + reading * torch.stack(every).mean()
                loss = loss_of(model, ids, targets, tokenizer.pad_token_id, reading)
                assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        assert known == []


@pytest.mark.parametrize("first", [1, 8, 19, 24])
def test_data_from_any_step_on_are_those_of_the_whole(first):
    tokenizer = build_tokenizer()
    every, later = list(batches(TINY, tokenizer)), list(batches(TINY, tokenizer, first))
    assert len(later) == 24 - first
    for some, same in zip(later, every[first:], strict=True):
        assert all(torch.equal(one, other) for one, other in zip(some, same, strict=True))
    assert len({tuple(map(tuple, ids.tolist())) for ids, _ in every}) == 24
    assert len(list(batches(replace(TINY, practice=0, steps=14), tokenizer))) == 22


def test_training_lowers_the_loss_and_another_seed_gives_other_weights(tmp_path):
    tokenizer = build_tokenizer()
    config = replace(TINY, lessons=0, practice=0, steps=60, batch=8, rate=2e-2)
    torch.manual_seed(config.seed)
    before, after = new_model(config, tokenizer), train(config, tmp_path)
    unseen = next(batches(replace(config, seed=99), tokenizer))
    with torch.inference_mode():
        values = [loss_of(model, *unseen, tokenizer.pad_token_id, 0.0).item() for model in (before, after)]
    assert values[1] < 0.5 * values[0]
    torch.manual_seed(4)
    other = new_model(replace(TINY, seed=4), tokenizer).state_dict()
    assert not torch.equal(other["model.embed_tokens.weight"], before.state_dict()["model.embed_tokens.weight"])
