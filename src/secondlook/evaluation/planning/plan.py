"""The plan: calls, tokens, wall time, GPU hours and money of a study, and what is the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pandas as pd

from secondlook.evaluation.evaluate import Evaluation
from secondlook.evaluation.logs import Logged
from secondlook.evaluation.planning.counting import Counted, calls_of, count
from secondlook.evaluation.planning.pilot import Pilot
from secondlook.evaluation.planning.schedule import Load, Rates, Site, Wall, wall
from secondlook.evaluation.planning.timing import fit_clock, fit_latency, seconds_of
from secondlook.evaluation.planning.tokens import (
    Cell,
    Ratio,
    Spent,
    by_template,
    intervals,
    ratios,
    spent,
    sums,
    tabulated,
)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a study is paid by; what is ``None`` is not paid for.

    Attributes:
        gpu_hour: For an hour of a GPU.
        tokens_in: For a million prompt tokens.
        tokens_out: For a million reply tokens.
        tokens_cached: For a million prompt tokens from a cache; by default as any.

    Raises:
        ValueError: If a price is negative, or that of cached tokens stands alone.
    """

    gpu_hour: float | None = None
    tokens_in: float | None = None
    tokens_out: float | None = None
    tokens_cached: float | None = None

    def __post_init__(self) -> None:
        for price in fields(self):
            if (value := getattr(self, price.name)) is not None and not value >= 0:
                raise ValueError(f"a price is {value}; give 0 or more")
        if (self.tokens_in is None) != (self.tokens_out is None):
            raise ValueError("--price-in and --price-out go together; give both or neither")
        if self.tokens_cached is not None and self.tokens_in is None:
            raise ValueError("--price-cached belongs to --price-in and --price-out; give these too")

    def of(self, tokens: Spent, gpu_hours: float) -> float | None:
        """The sum; ``None`` without any price."""
        if self.gpu_hour is None and self.tokens_in is None:
            return None
        total = (self.gpu_hour or 0.0) * gpu_hours
        if self.tokens_in is not None and self.tokens_out is not None:
            cached = self.tokens_in if self.tokens_cached is None else self.tokens_cached
            fresh = tokens.tokens_in - tokens.tokens_cached
            total += (
                fresh * self.tokens_in + tokens.tokens_cached * cached + tokens.tokens_out * self.tokens_out
            ) / 1e6
        return total


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm of the study takes.

    Attributes:
        name: Of the arm.
        questions: Its questions.
        spent: Calls and tokens.
        intervals: 95% intervals of tokens, from the pilot's templates drawn again.
        latency: Seconds of all its calls together, as the pilot's endpoint would answer them.
    """

    name: str
    questions: int
    spent: Spent
    intervals: Mapping[str, tuple[float, float]]
    latency: float


@dataclass(frozen=True, slots=True)
class Planned:
    """What a study will cost.

    Attributes:
        arms: By arm.
        total: Calls and tokens of all arms.
        rates: What the pilot says of time.
        site: Where it would run.
        wall: Its time, and what limits it.
        processor: Processor seconds of the driver, the model's too where it runs in the driver; ``None`` where the
            pilot does not tell.
        gpu_hours: GPUs held, times hours.
        money: In the prices' currency; ``None`` without prices.
        notes: What must be known to read the numbers.
    """

    arms: tuple[Arm, ...]
    total: Spent
    rates: Rates
    site: Site
    wall: Wall
    processor: float | None
    gpu_hours: float
    money: float | None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Known:
    """What the pilot says of one arm."""

    measured: pd.DataFrame
    counted: pd.DataFrame
    ratios: dict[Cell, Ratio]
    spent: dict[Cell, Spent]
    answer: int
    critique: int
    once: Spent

    @property
    def latency(self) -> float:
        return float(self.measured["seconds"].sum())


def plan(
    pilot: Pilot, study: Evaluation, site: Site, prices: Prices = Prices(), *, questions: int | None = None
) -> Planned:
    """What a study will cost, by a pilot of it.

    Args:
        pilot: A finished run.
        study: The same at another size.
        site: Endpoints and drivers.
        prices: Of GPUs or tokens.
        questions: Questions of each arm, if not those that are here: what the questions here cost is then scaled.

    Raises:
        ValueError: If the pilot has no call of a kind that the study makes, or data or settings cannot be used.
    """
    if questions is not None and questions < 1:
        raise ValueError(f"questions is {questions}; give 1 or more")
    known = {name: _known(pilot, name) for name in pilot.evaluation.names}
    rates = _rates(pilot, known, site)
    latency = fit_latency([arm.ratios for arm in known.values()], [arm.spent for arm in known.values()])
    arms = []
    for name in study.names:
        arm = known[name]
        counted = _count(study, name, arm.answer, arm.critique)
        size = len(counted.transcripts)
        table = sums(_table(counted.transcripts, {}))
        cells = spent(arm.ratios, table)
        bounds = intervals(arm.measured, arm.counted, table, study.seed)
        factor = 1.0 if questions is None else questions / size
        arms.append(
            Arm(
                name,
                questions or size,
                sum(cells.values(), Spent()).times(factor) + arm.once,
                {name: (low * factor, high * factor) for name, (low, high) in bounds.items()},
                seconds_of(latency, arm.ratios, cells) * factor,
            )
        )
    total = sum((arm.spent for arm in arms), Spent())
    loads = [_load(arm) for arm in arms]
    took = wall(loads, rates, site)
    hours = site.gpus * took.seconds / 3600
    spent_by_driver = _processor(pilot, loads, rates)
    return Planned(
        tuple(arms),
        total,
        rates,
        site,
        took,
        spent_by_driver,
        hours,
        prices.of(total, hours),
        _notes(pilot, study, rates, total),
    )


def _known(pilot: Pilot, name: str) -> _Known:
    samples = pilot.samples[name]
    transcripts = [sample.transcript for sample in samples]
    calls = [call for transcript in transcripts for call in calls_of(transcript)]
    answer = _mean([call.text for call in calls if call.kind != "check"])
    critique = _mean([call.text for call in calls if call.kind == "check"])
    templates = by_template((sample.item.id, _template(sample)) for sample in samples)
    counted = _count(pilot.evaluation, name, answer, critique)
    own = _table(transcripts, templates)
    dry = _table([transcript for transcript in counted.transcripts if transcript.sample in templates], templates)
    found = ratios(sums(own), sums(dry))
    lost = [transcript.lost for transcript in transcripts]
    once = Spent(*(float(sum(getattr(one, name) for one in lost)) for name in ("calls", "input", "output", "cached")))
    return _Known(
        own, dry, found, spent(found, sums(dry)), answer, critique, once if counted.history.calls else Spent()
    )


def _rates(pilot: Pilot, known: Mapping[str, _Known], site: Site) -> Rates:
    sizes = [len(pilot.samples[name]) for name in known]
    latencies = [arm.latency for arm in known.values()]
    spans = [pilot.spans[name] for name in known]
    clock = fit_clock(sizes, latencies, spans)
    times = pilot.times
    longest = max(
        sum(call.seconds for call in calls_of(sample.transcript)) / (arm.latency / len(pilot.samples[name]))
        for name, arm in known.items()
        for sample in pilot.samples[name]
    )
    return Rates(
        question=clock.question,
        work=clock.work,
        in_flight=pilot.in_flight,
        longest=longest,
        opening=times.opening if times else 0.0,
        arm=max(0.0, times.asking - sum(spans)) / len(spans) if times else 0.0,
        report=times.reporting / sum(sizes) if times else 0.0,
        prompt_rate=site.prompt_rate,
        reply_rate=site.reply_rate,
    )


def _processor(pilot: Pilot, loads: Sequence[Load], rates: Rates) -> float | None:
    """The driver's processor seconds: of each part, what it was of the pilot's wall time.

    They are the same on a busy machine and an idle one, which wall time is not.
    """
    if pilot.times is None:
        return None
    times, here = pilot.times, wall(loads, replace(rates, prompt_rate=None, reply_rate=None), Site())
    walls = (times.opening, times.asking, times.reporting)
    shares = [used / took for used, took in zip(times.processor, walls, strict=True)]
    asking = here.arms + here.harness + here.endpoints + here.waiting
    return shares[0] * here.opening + shares[1] * asking + shares[2] * here.reporting


def _load(arm: Arm) -> Load:
    tokens = arm.spent
    return Load(
        questions=arm.questions,
        calls=tokens.calls,
        latency=arm.latency,
        uncached=tokens.tokens_in - tokens.tokens_cached,
        replied=tokens.tokens_out,
    )


def _notes(pilot: Pilot, study: Evaluation, rates: Rates, total: Spent) -> tuple[str, ...]:
    notes = []
    if failed := sum(pilot.failed.values()):
        notes.append(f"{failed} samples of the pilot failed and are left out; such calls are not in the counts.")
    if pilot.times is None:
        notes.append("The pilot was not run in one go: opening, starting arms and reporting are not in the time.")
    if len(pilot.evaluation.names) == 1:
        notes.append("The pilot has one arm: what a question costs the harness is counted as the endpoint's.")
    if total.tokens_cached == 0:
        notes.append(
            "The pilot's endpoint reported no cached tokens; what a prefix cache could serve is an upper bound."
        )
    smallest = min(len(samples) for samples in pilot.samples.values())
    if rates.in_flight and smallest < 2 * rates.in_flight:
        notes.append(
            f"The pilot's {smallest} questions hardly fill {rates.in_flight} requests in flight: its rate may be below "
            "that of a longer run."
        )
    had, asked = (int(one.study.get("rounds", 1)) for one in (pilot.evaluation, study))
    if asked > had:
        notes.append(f"Rounds {had + 1} to {asked} were not in the pilot: taken to be like its last.")
    if study.judge_endpoint:
        notes.append("Calls of the judge model are not in the counts; see eval --dry-run.")
    return tuple(notes)


def _count(evaluation: Evaluation, name: str, answer: int, critique: int) -> Counted:
    return count(evaluation.seed, evaluation.arm(name), evaluation.task(name), answer, critique)


def _table(transcripts: Sequence[Any], templates: Mapping[str, str]) -> pd.DataFrame:
    made = {transcript.sample: calls_of(transcript) for transcript in transcripts}
    return tabulated(made, templates or dict.fromkeys(made, ""))


def _template(sample: Logged) -> str:
    return str(sample.item.template or "")


def _mean(lengths: Sequence[int]) -> int:
    return round(sum(lengths) / len(lengths)) if lengths else 1
