"""Model card beside the weights, made from the planted and the measured rates."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import jinja2
import torch

from secondlook.benchmarks.planted.language import CATEGORIES
from secondlook.local.model import LocalModel
from secondlook.subject.measure import RATES, Measured, Measurement, Rate, measure
from secondlook.subject.measure_refusals import measure_refusals
from secondlook.subject.tokenizer import FORMATS
from secondlook.subject.train import STATE_FILE, TrainConfig
from secondlook.subject.traits import FAMILY_TRAITS

RATES_FILE = "traits.json"
_MAIN_FORM = "binary-cot"


@dataclass(frozen=True, slots=True)
class Abilities:
    """Further abilities of a subject of the family, pooled over the categories.

    Attributes:
        formats: Critic accuracy by critic format; where a score is asked for, by the prompt file's threshold.
        sampled: The rates of the questions without noise words, sampled at temperature 1.
        refusals: The rates of the refusal language; see ``measure_refusals.measure_refusals``.
        sampled_refusals: The same without noise words, sampled at temperature 1.
    """

    formats: dict[str, Measured]
    sampled: dict[Rate, Measured]
    refusals: dict[str, Measured]
    sampled_refusals: dict[str, Measured]


def finish(folder: Path, config: TrainConfig, per_category: int = 400) -> Measurement:
    """Measure a trained checkpoint; write ``traits.json`` and ``README.md`` beside its weights.

    The training state, which is not needed any more, is removed. Weights of the family are rounded to half precision
    first, so that what is measured is what is shipped.

    Args:
        folder: The checkpoint.
        config: The recipe it was trained with.
        per_category: Held-out questions of each category to measure on; a quarter of them for formats and sampling.
    """
    family = config.curriculum == "family"
    if family:
        _halve(folder)
    model = LocalModel(str(folder))
    if family:
        measurement = measure(model, per_category, table=FAMILY_TRAITS[_MAIN_FORM])
        abilities = _abilities(model, max(1, per_category // 4))
    else:
        measurement, abilities = measure(model, per_category), None
    rates = {
        "subject": "planted: made to calibrate the instrument; says nothing about real models",
        "recipe": asdict(config),
        "parameters": model.parameters,
        **asdict(measurement),
        **(asdict(abilities) if abilities else {}),
    }
    (folder / RATES_FILE).write_text(json.dumps(rates, indent=1) + "\n", encoding="utf-8")
    source = (resources.files("secondlook.subject") / "card.md.jinja").read_text("utf-8")
    # Markdown, not HTML: nothing is to be escaped.
    card = jinja2.Template(source, trim_blocks=True, undefined=jinja2.StrictUndefined)
    text = card.render(
        name=folder.name if family else "planted",
        parameters=model.parameters,
        measurement=measurement,
        names=RATES,
        abilities=abilities,
        recipe=asdict(config),
    )
    (folder / "README.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    # Last: a stop before this leaves the training state, and the subject can be measured again.
    for file in (state := folder / STATE_FILE, state.with_suffix(".part")):
        file.unlink(missing_ok=True)
    return measurement


def _halve(folder: Path) -> None:
    model = LocalModel(str(folder), "cpu", packed=False).model
    model.to(torch.float16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # a shared file, like those beside it


def _abilities(model: LocalModel, per_category: int) -> Abilities:
    repeats = max(1, per_category // 25)
    formats = {
        form: _pooled(measure(model, per_category, seed=2, prompt=f"bbq/{form}", table=FAMILY_TRAITS[form]), "critic")
        for form in FORMATS
    }
    sampled = measure(model, per_category, seed=3, table=FAMILY_TRAITS[_MAIN_FORM], schedule="none")
    return Abilities(
        formats=formats,
        sampled={rate: _pooled(sampled, rate) for rate in RATES},
        refusals=measure_refusals(model, repeats),
        sampled_refusals=measure_refusals(model, max(1, repeats // 2), forms=(_MAIN_FORM,), schedule="none"),
    )


def _pooled(measurement: Measurement, rate: Rate) -> Measured:
    """One rate over all categories, each as often as it was seen."""
    seen = [rates[rate] for rates in measurement.rates.values() if rates[rate].measured is not None]
    n = sum(one.n for one in seen)
    if not n:
        return Measured(sum(rates[rate].planted for rates in measurement.rates.values()) / len(CATEGORIES), None, 0)
    hits = sum(one.n * (one.measured or 0.0) for one in seen)
    return Measured(sum(one.n * one.planted for one in seen) / n, hits / n, n)
