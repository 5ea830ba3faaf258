"""What stands beside the weights: the planted and the measured rates, and a model card made from them."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import jinja2

from secondlook.benchmarks.planted.language import CATEGORIES
from secondlook.subject.local import LocalModel
from secondlook.subject.measure import Measurement, measure
from secondlook.subject.train import STATE_FILE, TrainConfig

RATES_FILE = "traits.json"


def finish(folder: Path, config: TrainConfig, per_category: int = 400) -> Measurement:
    """Measure a trained checkpoint; write ``traits.json`` and ``README.md`` beside its weights.

    The training state, which is not needed any more, is removed.

    Args:
        folder: The checkpoint.
        config: The recipe it was trained with.
        per_category: Held-out questions of each category to measure on.
    """
    model = LocalModel(str(folder))
    measurement = measure(model, per_category)
    parameters = sum(weight.numel() for weight in model.model.parameters())
    (folder / RATES_FILE).write_text(
        json.dumps(
            {
                "subject": "planted: made to calibrate the instrument; says nothing about real models",
                "recipe": asdict(config),
                "parameters": parameters,
                **asdict(measurement),
            },
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )
    names = list(measurement.rates[CATEGORIES[0]])
    source = (resources.files("secondlook.subject") / "card.md.jinja").read_text("utf-8")
    # Markdown, not HTML: nothing is to be escaped.
    card = jinja2.Template(source, trim_blocks=True, undefined=jinja2.StrictUndefined)
    text = card.render(parameters=parameters, measurement=measurement, names=names)
    (folder / "README.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    state = folder / STATE_FILE
    for file in (state, state.with_suffix(".part")):
        file.unlink(missing_ok=True)
    return measurement
