"""Wall time of a study on some endpoints, part by part, and which part is the limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """Where a study runs.

    Attributes:
        endpoints: Servers of the model, each like the pilot's.
        drivers: Processes that ask, each on a core of its own: 1, or workers of a cluster.
        gpus_per_endpoint: Held by each server.
        prompt_rate: Uncached prompt tokens that an endpoint reads in a second, in place of the pilot's rates.
        reply_rate: Tokens that an endpoint writes in a second, all its requests together.

    Raises:
        ValueError: If a number is out of range, or one rate stands alone.
    """

    endpoints: int = 1
    drivers: int = 1
    gpus_per_endpoint: float = 1.0
    prompt_rate: float | None = None
    reply_rate: float | None = None

    def __post_init__(self) -> None:
        for name, number in (("endpoints", self.endpoints), ("drivers", self.drivers)):
            if number < 1:
                raise ValueError(f"{name} is {number}; give 1 or more")
        if not self.gpus_per_endpoint >= 0:
            raise ValueError(f"GPUs of an endpoint are {self.gpus_per_endpoint}; give 0 or more")
        if (self.prompt_rate is None) != (self.reply_rate is None):
            raise ValueError("--prompt-rate and --reply-rate go together; give both or neither")
        for rate in (self.prompt_rate, self.reply_rate):
            if rate is not None and not rate > 0:
                raise ValueError(f"a rate is {rate} tokens a second; give more than 0")

    @property
    def gpus(self) -> float:
        """All GPUs."""
        return self.endpoints * self.gpus_per_endpoint


@dataclass(frozen=True, slots=True)
class Rates:
    """What a pilot says of time; seconds.

    Attributes:
        question: Of the harness, for a question.
        work: Of an endpoint, for a second of its calls' latencies.
        in_flight: Questions that a driver has on their way at a time; ``None`` where the log does not tell.
        longest: The longest conversation, as a multiple of the mean one.
        opening: From the start of the process to the first arm: imports, questions, the model.
        arm: For an arm to start and to end.
        report: To read back and report a question of an arm.
        prompt_rate: Tokens a second that stand in place of latencies, see :class:`Site`.
        reply_rate: Likewise.
        call: Of the harness, for a call, where that was told apart from the endpoint's.
    """

    question: float
    work: float
    in_flight: int | None
    longest: float
    opening: float
    arm: float
    report: float
    prompt_rate: float | None = None
    reply_rate: float | None = None
    call: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """One arm, as a schedule sees it.

    Attributes:
        questions: Its questions.
        calls: Its requests.
        latency: Seconds of all its calls together, on the pilot's endpoint.
        uncached: Prompt tokens to be read.
        replied: Tokens to be written.
    """

    questions: float
    calls: float
    latency: float
    uncached: float
    replied: float


@dataclass(frozen=True, slots=True)
class Wall:
    """Wall time, part by part; seconds.

    Attributes:
        seconds: All of it.
        opening: Until the first arm.
        arms: Starting and ending arms.
        harness: The drivers' own time for questions.
        endpoints: The endpoints' time for calls.
        waiting: More than both, for the longest conversation of each arm to end.
        reporting: Reading logs and reporting.
        limit: Name of the largest part.
        filled: Questions that an endpoint has of the smallest arm, over those that keep it busy; below 1 it idles.
    """

    seconds: float
    opening: float
    arms: float
    harness: float
    endpoints: float
    waiting: float
    reporting: float
    limit: str
    filled: float | None


PARTS = ("opening", "arms", "harness", "endpoints", "waiting", "reporting")


def wall(loads: Sequence[Load], rates: Rates, site: Site) -> Wall:
    """How long the arms take, one after the other.

    Questions are dealt out evenly. The harness's and the endpoints' time add up, as they did in the pilot; an arm takes
    no less than its longest conversation.
    """
    parts = dict.fromkeys(PARTS, 0.0)
    parts["opening"], parts["arms"] = rates.opening, rates.arm * len(loads)
    for load in loads:
        harness = (rates.question * load.questions + rates.call * load.calls) / min(site.drivers, load.questions)
        whole = _work(load, rates)
        endpoints = whole / min(site.endpoints, load.questions)
        least = _longest(load, whole, rates, site)
        parts["harness"] += harness
        parts["endpoints"] += endpoints
        parts["waiting"] += max(0.0, least - harness - endpoints)
        parts["reporting"] += rates.report * load.questions
    limit = max(parts, key=lambda name: parts[name])
    busy = rates.in_flight
    filled = min(load.questions for load in loads) / site.endpoints / busy if busy else None
    return Wall(sum(parts.values()), **parts, limit=limit, filled=filled)


def _work(load: Load, rates: Rates) -> float:
    """Seconds of one endpoint for all calls of an arm."""
    if rates.prompt_rate is None or rates.reply_rate is None:
        return rates.work * load.latency
    return load.uncached / rates.prompt_rate + load.replied / rates.reply_rate


def _longest(load: Load, whole: float, rates: Rates, site: Site) -> float:
    """Seconds of the longest conversation.

    With stated rates, a conversation at full load takes its share of work times the number of those beside it (Little's
    law); how much longer the longest is comes from the pilot.
    """
    if rates.prompt_rate is None:
        return rates.longest * load.latency / load.questions
    beside = min(rates.in_flight or 1, max(1.0, load.questions / site.endpoints))
    return rates.longest * beside * whole / load.questions
