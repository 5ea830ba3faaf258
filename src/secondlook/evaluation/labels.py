"""People's labels, kept with a run: its reports correct the judges' rates by them."""

from __future__ import annotations

from pathlib import Path

from secondlook.correction.transcript import Transcript
from secondlook.diagnosis.labels import Labels, read_labels
from secondlook.machine import whole

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
    with whole(kept) as copy:
        copy.write(file.read_bytes())
    for other in _kept(folder):
        if other != kept:
            other.unlink()


def kept_labels(folder: Path) -> Labels | None:
    """The labels kept with a run, if there are any."""
    return next((read_labels(file) for file in _kept(folder)), None)


def _kept(folder: Path) -> list[Path]:
    """Files that labels are kept in; one of a longer name, as judge-labels.v2.jsonl, is the user's."""
    return sorted(file for file in folder.glob(f"{_NAME}.*") if file.stem == _NAME)


def labels_by_round(labels: Labels | None, arm: str, transcript: Transcript) -> dict[int, str | bool]:
    """People's labels of the answers of one conversation, by round."""
    if labels is None:
        return {}
    said = {round_.index: labels.of(arm, transcript.sample, round_.index) for round_ in transcript.rounds}
    return {index: label for index, label in said.items() if label is not None}
