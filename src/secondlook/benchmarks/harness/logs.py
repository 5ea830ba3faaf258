"""Records out of Inspect's logs: whatever was logged, finished or not, becomes rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from inspect_ai.log import EvalLog, EvalSample, list_eval_logs, read_eval_log

from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.harness.cases import item_of
from secondlook.benchmarks.harness.rows import to_records
from secondlook.benchmarks.harness.solver import Kept
from secondlook.correction.chat import ModelInfo
from secondlook.correction.transcript import Transcript
from secondlook.diagnosis.records import to_frame

_TRANSCRIPT = f"{Kept.__name__}:transcript"


@dataclass(frozen=True, slots=True)
class Logged:
    """One sample out of a log.

    Attributes:
        run: The benchmark.
        arm: The critic, with its noise.
        noise_p: Probability with which verdicts were flipped.
        item: The question.
        transcript: What happened.
    """

    run: str
    arm: str
    noise_p: float
    item: Item
    transcript: Transcript


def read_logged(folder: Path) -> list[Logged]:
    """Every sample in the logs below a folder; of a sample logged twice, the later log counts.

    Raises:
        ValueError: If there is no log of ours.
    """
    logs = sorted(list_eval_logs(str(folder)), key=lambda info: info.name) if folder.is_dir() else []
    latest: dict[tuple[str, str], Logged] = {}
    for info in logs:
        for logged in _of_log(read_eval_log(info)):
            latest[logged.arm, logged.item.id] = logged
    if not latest:
        raise ValueError(
            f"no log of a second look below {str(folder)!r}; make one with: secondlook eval --out {folder}"
        )
    return list(latest.values())


def to_table(samples: list[Logged]) -> pd.DataFrame:
    """The records of logged samples."""
    return to_frame(
        record
        for logged in samples
        for record in to_records(logged.transcript, logged.item, run=logged.run, arm=logged.arm, noise_p=logged.noise_p)
    )


def _of_log(log: EvalLog) -> Iterator[Logged]:
    critic = str(log.eval.task_args.get("critic", "self"))
    noise = float(log.eval.task_args.get("noise", 0.0))
    arm = f"noisy({noise:.15g}, {critic})" if noise else critic
    for sample in log.samples or ():
        if sample.metadata is not None and "item" in sample.metadata:
            item = item_of(sample.metadata)
            yield Logged(log.eval.task, arm, noise, item, _transcript(log, sample, arm))


def _transcript(log: EvalLog, sample: EvalSample, arm: str) -> Transcript:
    if text := sample.store.get(_TRANSCRIPT):
        return Transcript.from_json(text)
    # Inspect gave the sample up before the loop returned (a limit, an operator): an error row, nothing lost.
    return Transcript(
        sample=str(sample.id),
        prompt=str(log.eval.task_args.get("prompt", "")),
        model=ModelInfo(log.eval.model),
        critic=arm,
        variant=log.eval.task_args.get("variant", "self"),
        seed=int(log.eval.task_args.get("seed", 0)),
        messages=(),
        rounds=(),
        stop="error",
        error=sample.error.message if sample.error else "the sample has no transcript",
    )
