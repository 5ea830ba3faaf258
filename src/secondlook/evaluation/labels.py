"""People's labels, kept with a run: its reports correct the judges' rates by them."""

from __future__ import annotations

import shutil
from pathlib import Path

from secondlook.correction.transcript import Transcript
from secondlook.diagnosis.labels import Labels, read_labels

_NAME = "judge-labels"


def keep_labels(folder: Path, file: Path) -> None:
    """Keep a file of labels in a run's folder, in the place of another one.

    Raises:
        ValueError: If the file is not in order.
    """
    read_labels(file)
    kept = folder / f"{_NAME}{file.suffix}"
    if file.resolve() == kept.resolve():
        return
    for other in folder.glob(f"{_NAME}.*"):
        other.unlink()
    shutil.copyfile(file, kept)


def kept_labels(folder: Path) -> Labels | None:
    """The labels kept with a run, if there are any."""
    return next((read_labels(file) for file in sorted(folder.glob(f"{_NAME}.*"))), None)


def labels_by_round(labels: Labels | None, arm: str, transcript: Transcript) -> dict[int, str | bool]:
    """People's labels of the answers of one conversation, by round."""
    if labels is None:
        return {}
    said = {round_.index: labels.of(arm, transcript.sample, round_.index) for round_ in transcript.rounds}
    return {index: label for index, label in said.items() if label is not None}
