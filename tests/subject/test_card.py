import json
import re

import pytest
import torch

from secondlook.benchmarks.planted.language import CATEGORIES
from secondlook.subject import card
from secondlook.subject.measure import Measured, Measurement
from secondlook.subject.tokenizer import build_tokenizer
from secondlook.subject.train import STATE_FILE, TrainConfig, new_model, train

TINY = TrainConfig(width=16, layers=1, heads=2, lessons=8, practice=0, steps=16, batch=4)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    # Threads cost more than they bring at this size.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A subject that has hardly learnt anything, measured."""
    folder = tmp_path_factory.mktemp("subject")
    train(TINY, folder, save_every=10)
    (folder / "training.part").write_bytes(b"half a state")
    assert (folder / STATE_FILE).exists()
    return folder, card.finish(folder, TINY, per_category=4)


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def test_the_rates_stand_beside_the_weights_as_json(finished):
    folder, measurement = finished
    rates = json.loads((folder / "traits.json").read_text("utf-8"), parse_constant=refuse)
    assert rates["recipe"]["width"] == 16
    assert rates["parameters"] == sum(weight.numel() for weight in new_model(TINY, build_tokenizer()).parameters())
    assert rates["decisions"] == measurement.decisions
    assert list(rates["rates"]) == list(CATEGORIES)
    cell = measurement.rates["Zor"]["critic"]
    assert rates["rates"]["Zor"]["critic"] == {"planted": 0.56, "measured": cell.measured, "n": cell.n}
    assert "says nothing about real models" in rates["subject"]


def test_a_finished_checkpoint_is_not_trained_over(finished):
    folder, _ = finished
    with pytest.raises(ValueError, match="holds a finished checkpoint; choose another folder"):
        train(TINY, folder)


def test_the_training_state_is_dropped(finished, tmp_path):
    train(TINY, tmp_path)
    card.finish(tmp_path, TINY, per_category=1)
    assert {file.name for file in tmp_path.iterdir()} == {
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "traits.json",
    }


def table(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_the_card_can_be_read_whatever_was_learnt(finished):
    folder, _ = finished
    text = (folder / "README.md").read_text("utf-8")
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert "Nothing found on it says anything\nabout real models" in text
    assert "44 held-out questions" in text
    assert [row[0] for row in table(text)[1:]] == list(CATEGORIES)
    assert {len(row) for row in table(text)} == {6}
    assert "None" not in text
    assert not re.search(r"[{}]|nan", text)


def test_the_card_shows_planted_and_measured(tmp_path, monkeypatch):
    rates = {"bias_ambig": 0.2, "bias_disambig": 0.1, "slip": 0.04, "critic": 0.9, "obedience": 0.5}
    measurement = Measurement(
        rates={
            name: {rate: Measured(value, value + 0.001, 40) for rate, value in rates.items()} for name in CATEGORIES
        },
        agreement={"first answer": 0.98765, "critique": 1.0, "next answer": None},
        decisions={"first answer": 4400, "critique": 4399, "next answer": 0},
        unparsed=1,
    )
    measurement.rates["Kled"]["obedience"] = Measured(0.88, None, 0)
    train(TINY, tmp_path)
    monkeypatch.setattr(card, "measure", lambda model, per_category: measurement)
    assert card.finish(tmp_path, TINY) is measurement
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "4,400 held-out questions" in text
    assert "first answer 98.77%, critique 100.00%, next answer –;" in text
    rows = {row[0]: row[1:] for row in table(text)[1:]}
    assert rows["Zor"] == ["20 / 20.1", "10 / 10.1", "4 / 4.1", "90 / 90.1", "50 / 50.1"]
    assert rows["Kled"][-1] == "88 / –"
