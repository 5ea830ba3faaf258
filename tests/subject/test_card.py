"""What stands beside a subject's weights: rates as JSON, and a card made from them."""

import json
import re
import shutil

import pytest

from secondlook.benchmarks.planted.language import CATEGORIES
from secondlook.subject import card
from secondlook.subject.measure import Measured, Measurement
from secondlook.subject.tokenizer import build_tokenizer
from secondlook.subject.train import STATE_FILE, TrainConfig, new_model, train

TINY = TrainConfig(width=16, layers=1, heads=2, lessons=8, practice=0, steps=16, batch=4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A subject that has hardly learnt anything, measured."""
    folder = tmp_path_factory.mktemp("subject")
    train(TINY, folder, save_every=10)
    (folder / "training.part").write_bytes(b"half a state")
    assert (folder / STATE_FILE).exists()
    return folder, card.finish(folder, TINY, per_category=4)


def table(folder):
    lines = (folder / "README.md").read_text("utf-8").splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]


def test_the_rates_stand_beside_the_weights_as_json_and_the_training_state_is_dropped(finished):
    folder, measurement = finished
    text = (folder / "traits.json").read_text("utf-8")
    rates = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert rates["recipe"]["width"] == 16
    assert rates["parameters"] == sum(weight.numel() for weight in new_model(TINY, build_tokenizer()).parameters())
    assert rates["decisions"] == measurement.decisions
    assert list(rates["rates"]) == list(CATEGORIES)
    cell = measurement.rates["Zor"]["critic"]
    assert rates["rates"]["Zor"]["critic"] == {"planted": 0.56, "measured": cell.measured, "n": cell.n}
    assert "says nothing about real models" in rates["subject"]
    assert {file.suffix for file in folder.iterdir()} == {".md", ".jinja", ".json", ".safetensors"}
    with pytest.raises(ValueError, match="holds a finished checkpoint; choose another folder"):
        train(TINY, folder)


def test_the_card_can_be_read_whatever_was_learnt(finished):
    folder, _ = finished
    text = (folder / "README.md").read_text("utf-8")
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert "Nothing found on it says anything\nabout real models" in text
    assert "44 held-out questions" in text
    assert [row[0] for row in table(folder)[1:]] == list(CATEGORIES)
    assert {len(row) for row in table(folder)} == {6}
    assert not re.search(r"[{}]|nan|None", text)


def test_the_card_shows_planted_and_measured(finished, tmp_path, monkeypatch):
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
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.setattr(card, "measure", lambda model, per_category: measurement)
    assert card.finish(folder, TINY) is measurement
    text = (folder / "README.md").read_text("utf-8")
    assert "4,400 held-out questions" in text
    assert "first answer 98.77%, critique 100.00%, next answer –;" in text
    rows = {row[0]: row[1:] for row in table(folder)[1:]}
    assert rows["Zor"] == ["20 / 20.1", "10 / 10.1", "4 / 4.1", "90 / 90.1", "50 / 50.1"]
    assert rows["Kled"][-1] == "88 / –"
