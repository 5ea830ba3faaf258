"""Records out of Inspect's logs: whatever was logged, finished or not, becomes rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from inspect_ai.log import EvalLog, EvalSample, list_eval_logs, read_eval_log

from secondlook.benchmarks.benchmark import AnyBenchmark, ItemLike, find
from secondlook.cluster.place import Place, there
from secondlook.correction.chat import ModelInfo
from secondlook.correction.transcript import Transcript
from secondlook.diagnosis.records import Record, to_frame
from secondlook.evaluation.asking import unreadable
from secondlook.evaluation.judging import read_judged
from secondlook.evaluation.kept import kept_in
from secondlook.evaluation.rows import NOBODY, JudgedBy, to_records
from secondlook.evaluation.samples import asked_in
from secondlook.evaluation.shards import is_shard, without_merged
from secondlook.evaluation.solver import TranscriptStore
from secondlook.evaluation.study import OF_CRITIC
from secondlook.evaluation.task import ARM, NOTES

# Task arguments in which arms of one run may differ; controls drop noise, gate and keep (`Evaluation._given`).
_OWN = ("critic", *OF_CRITIC, "noise", "keep", "gate")
_TRANSCRIPT = f"{TranscriptStore.__name__}:transcript"


@dataclass(frozen=True, slots=True)
class Logged:
    """One sample out of a log.

    Attributes:
        benchmark: What was asked.
        name: The arm as the command names it.
        arm: The same, with its noise.
        noise_p: Probability with which verdicts were flipped.
        item: The question.
        transcript: What happened.
        judged: What a judge model said of each answer.
        notes: What must be known of the questions to read the results.
        in_log: Whether a log holds it; the fast path keeps none.
    """

    benchmark: AnyBenchmark
    name: str
    arm: str
    noise_p: float
    item: ItemLike
    transcript: Transcript
    judged: JudgedBy = NOBODY
    notes: tuple[str, ...] = ()
    in_log: bool = True

    @property
    def records(self) -> list[Record]:
        """One record a round."""
        return to_records(
            self.transcript, self.benchmark, self.item, arm=self.arm, noise_p=self.noise_p, judged=self.judged
        )


def read_logged(folder: Place) -> list[Logged]:
    """Every sample in the logs below a folder; of a sample logged twice, the later log counts.

    Raises:
        ValueError: If there is no log of ours, or logs of more than one run.
        RunError: If a log cannot be read.
    """
    logs = list_eval_logs(str(folder)) if there(folder) else []
    # Parts rather than what they were merged into: a log is read whole, and a part is small.
    # A log's name begins with its time, so that later ones overwrite what earlier ones hold.
    logs = sorted(without_merged(logs), key=lambda info: info.name)
    latest: dict[tuple[str, str], Logged] = {}
    shared: set[str] = set()
    own: set[tuple[str, str]] = set()
    for info in logs:
        try:
            log = read_eval_log(info)
        except Exception as error:
            raise unreadable(info.name, error) from error
        samples = list(_of_log(log))
        if samples:
            ours, its_own = _source(log)
            shared.add(ours)
            own |= {(logged.arm, its_own) for logged in samples}
        latest |= {(logged.arm, logged.item.id): logged for logged in samples}
    # One run: its logs agree in what arms share, and the logs of an arm in what that arm has for itself.
    if len(shared) > 1 or len(own) > len({arm for arm, _ in own}):
        raise ValueError(
            f"folder {str(folder)!r} holds logs of more than one run; report on the folder of one (Inspect's own "
            "command puts each into a folder of its own with --log-dir)"
        )
    if not latest and there(folder / "records.csv"):
        raise ValueError(
            f"{str(folder)!r} holds records but no logs, as --fast leaves it; open its report.html, or call: "
            f"secondlook diagnose {folder}"
        )
    if not latest and kept_in(Path(str(folder))):
        raise ValueError(f"the run of --fast in {str(folder)!r} has not ended; end it with the command that began it")
    if not latest:
        raise ValueError(
            f"no log of a second look below {str(folder)!r}; make one with: secondlook eval --out {folder}"
        )
    # In the order of one log, whose samples Inspect sorts, whatever the parts.
    return (
        sorted(latest.values(), key=lambda logged: logged.item.id) if any(map(is_shard, logs)) else [*latest.values()]
    )


def arm_name(name: str, noise: float) -> str:
    """Name of an arm in the records: its name, with its noise."""
    return f"noisy({noise:.15g}, {name})" if noise else name


def to_table(samples: list[Logged]) -> pd.DataFrame:
    """The records of logged samples."""
    return to_frame(record for logged in samples for record in logged.records)


def _of_log(log: EvalLog) -> Iterator[Logged]:
    about = log.eval.metadata or {}
    if ARM not in about:
        return  # a log of somebody else's
    name, noise = about[ARM]["name"], about[ARM]["noise"]
    arm = arm_name(name, noise)
    for sample in log.samples or ():
        if sample.metadata is not None and "item" in sample.metadata:
            benchmark, asked = asked_in(sample.metadata)
            transcript, judged = _transcript(log, sample, arm), read_judged(sample)
            yield Logged(benchmark, name, arm, noise, asked.item, transcript, judged, tuple(about[NOTES]))


def _source(log: EvalLog) -> tuple[str, str]:
    """Source of a log as text: what all arms of a run share, and what one arm has for itself."""
    config = log.eval.model_generate_config
    shared = [log.eval.task, log.eval.model, log.eval.model_args, config.temperature, config.max_tokens]
    arguments = dict(log.eval.task_args)
    own = {name: arguments.pop(name, None) for name in (*_OWN, find(log.eval.task).arm_word)}
    return json.dumps([*shared, arguments], sort_keys=True), json.dumps(own, sort_keys=True)


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
