"""Inspect logs of a task's parts, laid out as Inspect's viewer expects them, and merged into one.

The log of part k of an arm stands in ``<arm>/<arm>.shards/<k>/``, the merged one is ``<arm>/<arm>.eval``; once that is
there, ``inspect view`` shows it in place of its parts.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence

from inspect_ai.log import (
    EvalLog,
    EvalLogInfo,
    EvalShardEntry,
    EvalShards,
    list_eval_logs,
    read_eval_log,
    recompute_metrics,
    write_eval_log,
)
from inspect_ai.model import ModelUsage

from secondlook.cluster.place import Place, there
from secondlook.evaluation.asking import RunError, one_line, unreadable

NUMBER = "shards.json"
"""Holds the number of parts of each arm of a run."""
_SHARDS = ".shards/"


def cut(count: int, shards: int) -> list[slice]:
    """Cut a sequence into runs of neighbours, as equal as they can be.

    Raises:
        ValueError: No part, or more parts than there are things.
    """
    if not 1 <= shards <= count:
        raise ValueError(f"shards is {shards}: give 1 to {count}, as many as there are questions")
    edges = [number * count // shards for number in range(shards + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


def shard_folder(arm: Place, number: int) -> Place:
    """Folder of the log of a part."""
    return arm / f"{arm.name}.shards" / f"{number:05d}"


def merged_log(arm: Place) -> Place:
    """Place of the merged log."""
    return arm / f"{arm.name}.eval"


def finished(folder: Place) -> bool:
    """Whether a part's folder holds a log in which no sample failed."""
    newest = _newest(folder)
    return newest is not None and _read(newest, header_only=True).status == "success"


def merge(arm: Place, shards: int) -> None:
    """Write the merged log of an arm, if every part is finished.

    Raises:
        RunError: A log cannot be read or written.
    """
    folders = [shard_folder(arm, number) for number in range(shards)]
    if not all(finished(folder) for folder in folders):
        return
    parts = [newest for folder in folders if (newest := _newest(folder)) is not None]
    try:
        write_eval_log(_merged(parts), str(merged_log(arm)))
    except OSError as error:
        raise RunError(f"the merged log {merged_log(arm)} cannot be written: {one_line(error)}") from error


def without_merged(logs: Iterable[EvalLogInfo]) -> list[EvalLogInfo]:
    """The logs of a listing, without merged ones whose parts are listed too."""
    logs = list(logs)
    held = {log.name[: log.name.index(_SHARDS)] + ".eval" for log in logs if is_shard(log)}
    return [log for log in logs if log.name not in held]


def is_shard(log: EvalLogInfo) -> bool:
    """Whether a log is that of a part."""
    return _SHARDS in log.name


def _merged(parts: Sequence[EvalLogInfo]) -> EvalLog:
    logs = [_read(part) for part in parts]
    first = logs[0]
    whole = first.model_copy(deep=False)
    samples = [sample for log in logs for sample in log.samples or ()]
    ids = [identity for log in logs for identity in log.eval.dataset.sample_ids or ()]
    dataset = first.eval.dataset.model_copy(update={"samples": len(ids), "sample_ids": ids})
    # A part was asked some samples by their ids; the whole was asked all.
    config = first.eval.config.model_copy(update={"sample_id": None})
    shards = EvalShards(selection="ids", ledger=[_entry(*each) for each in enumerate(zip(parts, logs, strict=True))])
    whole.eval = first.eval.model_copy(update={"dataset": dataset, "config": config, "shards": shards})
    whole.stats = first.stats.model_copy(
        update={
            "started_at": min(log.stats.started_at for log in logs),
            "completed_at": max(log.stats.completed_at for log in logs),
            "model_usage": _summed([log.stats.model_usage for log in logs]),
            "role_usage": _summed([log.stats.role_usage for log in logs]),
        }
    )
    whole.samples = samples
    recompute_metrics(whole)
    return whole


def _entry(number: int, part: tuple[EvalLogInfo, EvalLog]) -> EvalShardEntry:
    info, log = part
    ids = log.eval.dataset.sample_ids or []
    return EvalShardEntry(
        shard=f"{number:05d}",
        log=info.name.rpartition("/")[2],
        eval_set_id=log.eval.eval_set_id,
        status=log.status,
        samples=len(log.samples or ()),
        selected=len(set(ids)),
        selection_digest=hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        started_at=log.stats.started_at,
        completed_at=log.stats.completed_at,
        model_usage=log.stats.model_usage,
        role_usage=log.stats.role_usage,
        size=info.size,
        mtime=info.mtime,
    )


def _summed(usages: Sequence[dict[str, ModelUsage]]) -> dict[str, ModelUsage]:
    total: dict[str, ModelUsage] = {}
    for usage in usages:
        for name, spent in usage.items():
            total[name] = total[name] + spent if name in total else spent
    return total


def _newest(folder: Place) -> EvalLogInfo | None:
    logs = list_eval_logs(str(folder)) if there(folder) else []
    return max(logs, key=lambda info: info.name, default=None)  # a name begins with its time


def _read(info: EvalLogInfo, *, header_only: bool = False) -> EvalLog:
    try:
        return read_eval_log(info, header_only=header_only)
    except Exception as error:
        raise unreadable(info.name, error) from error
