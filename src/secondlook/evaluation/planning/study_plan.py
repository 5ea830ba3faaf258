"""Plan of a study from a pilot of it: calls, tokens, wall time, GPU hours, money, and what is the limit.

Tokens: what a question of its category took in the pilot, look by look. Looks that the pilot did not have are its last
one, with prompts that grow as they grew before. Time, by two laws of non-negative least squares:

    seconds of a call = per call + per uncached prompt token + per reply token          over kinds of calls
    seconds of an arm = per question x questions + work x sum of its calls' seconds     over arms

`work` is the inverse of the concurrency that was reached. What goes with questions is the harness's, which no endpoint
makes faster; a pilot of one arm cannot tell it apart, and gives all to the endpoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import nnls

from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.planning.pilot import Array, Kind, Pilot, PilotArm, Quantity

CALLS, IN, OUT, CACHED, REUSABLE, SECONDS = Quantity
_GROUPS = 20  # of templates, left out in turn for intervals: they say how well the pilot's stand for the study's


@dataclass(frozen=True, slots=True)
class Site:
    """Site of a study and its prices, in the words of the command's options.

    Attributes:
        endpoints: Servers of the model.
        drivers: Processes that ask.
        gpus_per_endpoint: GPUs that a server holds.
        prompt_rate: Uncached prompt tokens that a server reads in a second; ``None`` goes by the pilot's.
        reply_rate: Reply tokens that a server writes in a second, likewise.
        gpu_price: Price of a GPU for an hour.
        price_in: Price of a million prompt tokens.
        price_out: Price of a million reply tokens.
        price_cached: Price of a million prompt tokens from a cache; ``None`` is ``price_in``.

    Raises:
        ValueError: If a number is out of range, or one stands alone that belongs to another.
    """

    endpoints: int = 1
    drivers: int = 1
    gpus_per_endpoint: float = 1.0
    prompt_rate: float | None = None
    reply_rate: float | None = None
    gpu_price: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    price_cached: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            least = 1 if field.name in ("endpoints", "drivers") else 0
            if (value := getattr(self, field.name)) is not None and not value >= least:
                raise ValueError(f"--{field.name.replace('_', '-')} is {value}; give {least} or more")
        if 0 in (self.prompt_rate, self.reply_rate):
            raise ValueError("a rate is 0 tokens a second; give more")
        for one, other in (("prompt_rate", "reply_rate"), ("price_in", "price_out")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"--{one} and --{other} go together; give both or neither".replace("_", "-"))
        if self.price_cached is not None and self.price_in is None:
            raise ValueError("--price-cached belongs to --price-in and --price-out; give these too")


@dataclass(frozen=True, slots=True)
class PlannedArm:
    """Cost of one arm of a study.

    Attributes:
        tokens_in: Prompt tokens, those from a cache included.
        tokens_reusable: Those that a prefix cache could serve: what the call before had.
        tokens_cached: Those that it serves: as large a part of the reusable ones as in the pilot.
        latency: Seconds of all calls together, as the pilot's endpoint would answer them.
        intervals: 95% intervals of tokens, by the pilot's templates; none if it has one template.
    """

    name: str
    questions: int
    calls: float
    tokens_in: float
    tokens_out: float
    tokens_cached: float
    tokens_reusable: float
    latency: float
    intervals: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Planned:
    """Cost of a study.

    Attributes:
        total: Sums over the arms, by the names of their attributes.
        rates: See :func:`rates_of`.
        wall: Seconds of each part of its time, see :func:`wall`, and of all, as ``seconds``.
        limit: The part that is the largest.
        filled: Questions that an endpoint has of the smallest arm, over those that keep it busy; below 1 it idles.
        processor: Seconds of the driver's processor, with a model that runs in it; ``None`` if the pilot cannot tell.
        money: In the prices' currency; ``None`` without prices.
        notes: What must be known to read the numbers.
    """

    arms: tuple[PlannedArm, ...]
    total: Mapping[str, float]
    rates: Mapping[str, float]
    site: Site
    wall: Mapping[str, float]
    limit: str
    filled: float | None
    processor: float | None
    gpu_hours: float
    money: float | None
    notes: tuple[str, ...]


def plan(pilot: Pilot, study: Evaluation, site: Site, *, questions: int | None = None) -> Planned:
    """Plan a study.

    Args:
        pilot: A finished run.
        study: The same at another size.
        site: Where, and what is paid for.
        questions: Questions of each arm, if not those that are here: what the questions here cost is then scaled.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    if questions is not None and questions < 1:
        raise ValueError(f"questions is {questions}; give 1 or more")
    rates, busy = rates_of(pilot), pilot.in_flight
    arms = tuple(_arm(pilot.arms[name], study, name, rates["token"], questions) for name in study.names)
    summed = ("questions", "calls", "tokens_in", "tokens_out", "tokens_cached", "tokens_reusable")
    total = {name: sum(getattr(arm, name) for arm in arms) for name in summed}
    parts = wall(arms, rates, site, busy)
    seconds = sum(parts.values())
    hours = site.endpoints * site.gpus_per_endpoint * seconds / 3600
    return Planned(
        arms=arms,
        total=total,
        rates=rates,
        site=site,
        wall={**parts, "seconds": seconds},
        limit=max(parts, key=lambda part: parts[part]),
        filled=min(arm.questions for arm in arms) / site.endpoints / busy if busy else None,
        processor=_processor(pilot, wall(arms, rates, Site(), busy)),
        gpu_hours=hours,
        money=_money(site, total, hours),
        notes=tuple(_notes(pilot, study, total)),
    )


def wall(
    arms: Sequence[PlannedArm], rates: Mapping[str, float], site: Site, in_flight: int | None = None
) -> dict[str, float]:
    """Seconds of each part of the time of arms that run one after the other.

    Questions are dealt out evenly. The harness's and the endpoints' time add up, as they did in the pilot; an arm takes
    no less than its longest conversation. With stated rates that takes its share of work times the number of those
    beside it (Little's law).
    """
    parts = {"opening": rates["opening"], "arms": rates["arm"] * len(arms)}
    parts |= dict.fromkeys(("harness", "endpoints", "waiting", "reporting"), 0.0)
    for arm in arms:
        work, longest = rates["work"] * arm.latency, rates["longest"] * arm.latency / arm.questions
        if site.prompt_rate and site.reply_rate:
            work = (arm.tokens_in - arm.tokens_cached) / site.prompt_rate + arm.tokens_out / site.reply_rate
            beside = min(in_flight or 1, max(1.0, arm.questions / site.endpoints))
            longest = rates["longest"] * beside * work / arm.questions
        # A question is not divided among drivers, nor among endpoints.
        harness = rates["question"] * arm.questions / min(site.drivers, arm.questions)
        endpoints = work / min(site.endpoints, arm.questions)
        parts["harness"] += harness
        parts["endpoints"] += endpoints
        parts["waiting"] += max(0.0, longest - harness - endpoints)
        parts["reporting"] += rates["report"] * arm.questions
    return parts


def prolonged(looks: Array, answers: int, token: float) -> Array:
    """The calls of a study of so many answers, shape (answers, kinds, quantities).

    Args:
        looks: The same of fewer answers, or of more.
        answers: Of the study.
        token: Seconds of a call for an uncached prompt token.
    """
    if (more := answers - len(looks)) <= 0:
        return looks[:answers]
    # There are two: a pilot without a second look is refused (`_check_rounds`).
    last, before = looks[-1], looks[-2]
    grows = last[Kind.ANSWER, IN] / last[Kind.ANSWER, CALLS] - before[Kind.ANSWER, IN] / before[Kind.ANSWER, CALLS]
    added = np.arange(1, more + 1)[:, None] * grows * last[:, CALLS]
    hits = last[:, CACHED] / np.maximum(last[:, REUSABLE], 1)
    later = np.repeat(last[None], more, axis=0)
    # A prompt begins with the call before it, which grew as much: what a cache could serve grows alike. It serves the
    # share that it served in the last look, and only the rest takes time.
    for what, share in ((IN, 1), (REUSABLE, 1), (CACHED, hits), (SECONDS, token * (1 - hits))):
        later[..., what] += share * added
    return np.concatenate([looks, later])


def rates_of(pilot: Pilot) -> dict[str, float]:
    """Rates of time that a pilot shows, in seconds.

    Returns:
        ``question``: of the harness, for a question. ``work``: of an endpoint, for a second of its calls. ``token``: of
        a call, for an uncached prompt token. ``longest``: the longest conversation, as a multiple of the mean one.
        ``opening``: from the start of the process to the first arm. ``arm``: for an arm to start and to end.
        ``report``: to read back and report a question of an arm.
    """
    arms, times = list(pilot.arms.values()), pilot.times
    each = [arm.looks[..., SECONDS].sum(axis=(1, 2)) for arm in arms]
    sizes, spans = [len(seconds) for seconds in each], np.array([arm.span for arm in arms])
    latencies = [float(seconds.sum()) for seconds in each]
    (question, work), told = _fitted(np.column_stack([sizes, latencies]), spans)
    kinds = np.concatenate([arm.looks.sum(axis=0).reshape(-1, 6) for arm in arms])
    kinds = kinds[kinds[:, CALLS] > 0]
    calls, uncached = kinds[:, CALLS], kinds[:, IN] - kinds[:, CACHED]
    # Rows are sums over n calls. Times n**-½ they are means times n**½: each kind has the weight of its calls.
    (_, token, _), _ = _fitted(np.column_stack([calls, uncached, kinds[:, OUT]]), kinds[:, SECONDS], calls**-0.5)
    return {
        "question": question if told else 0.0,
        "work": work if told else float(spans.sum()) / sum(latencies),
        "token": token,
        "longest": max(float(seconds.max() / seconds.mean()) for seconds in each),
        "opening": times.opening if times else 0.0,
        "arm": max(0.0, times.asking - float(spans.sum())) / len(arms) if times else 0.0,
        "report": times.reporting / sum(sizes) if times else 0.0,
    }


def _fitted(matrix: Array, values: Array, weights: Array | float = 1.0) -> tuple[list[float], bool]:
    """Non-negative least squares, and whether the rows tell the columns apart."""
    # Columns are scaled to a largest value of 1: the rank's tolerance is absolute, and units must not decide it.
    scale = np.maximum(matrix.max(axis=0), 1e-12)
    scaled = (matrix / scale).T * weights
    found, _ = nnls(scaled.T, values * weights)
    return [float(value) for value in found / scale], bool(np.linalg.matrix_rank(scaled, tol=1e-3) == len(scale))


def _arm(arm: PilotArm, study: Evaluation, name: str, token: float, questions: int | None) -> PlannedArm:
    wanted = Counter(str((sample.metadata or {})["category"]) for sample in study.task(name).dataset)
    asked = questions or wanted.total()

    def summed(kept: NDArray[np.bool_]) -> Array:
        """Totals of the study from some of the pilot's conversations; a category that they lack is as all of them."""
        categories = arm.categories[kept]
        have = Counter(categories)
        lacking = sum(number for category, number in wanted.items() if category not in have) / len(categories)
        weights = np.array([wanted[category] / have[category] + lacking for category in categories])
        looks = prolonged(np.tensordot(weights, arm.looks[kept], 1), study.study_of(name).looks + 1, token)
        return np.asarray(looks.sum(axis=(0, 1)) * asked / wanted.total() + arm.once)

    found = summed(np.full(len(arm.looks), True))
    calls, tokens_in, tokens_out, cached, reusable, latency = map(float, found)
    names, number = np.unique(arm.templates, return_inverse=True)
    bounds = {}
    if (groups := min(_GROUPS, len(names))) > 1:  # the delete-a-group jackknife
        without = np.array([summed(number % groups != group) for group in range(groups)])
        # Variance: (G - 1) / G times the sum of squared deviations over the G groups, each left out in turn.
        spread = np.sqrt((groups - 1) * without.var(axis=0)) * special.stdtrit(groups - 1, 0.975)
        low, high = found - spread, found + spread
        tokens = {"tokens_in": IN, "tokens_out": OUT, "tokens_cached": CACHED}
        bounds = {name: (float(low[at]), float(high[at])) for name, at in tokens.items()}
    return PlannedArm(name, asked, calls, tokens_in, tokens_out, cached, reusable, latency, bounds)


def _processor(pilot: Pilot, alone: Mapping[str, float]) -> float | None:
    """Processor seconds: planned seconds of each part on one endpoint, times the processor's share in the pilot."""
    # The share, and not the seconds: a busy machine changes it little.
    if (times := pilot.times) is None:
        return None
    asked = sum(alone[part] for part in ("arms", "harness", "endpoints", "waiting"))
    parts = np.array([alone["opening"], asked, alone["reporting"]])
    return float(parts @ np.divide(times.processor, (times.opening, times.asking, times.reporting)))


def _money(site: Site, total: Mapping[str, float], hours: float) -> float | None:
    if site.gpu_price is None and site.price_in is None:
        return None
    price_in, price_out = site.price_in or 0.0, site.price_out or 0.0
    price_cached = price_in if site.price_cached is None else site.price_cached
    fresh = total["tokens_in"] - total["tokens_cached"]
    tokens = fresh * price_in + total["tokens_cached"] * price_cached + total["tokens_out"] * price_out
    return (site.gpu_price or 0.0) * hours + tokens / 1e6


def _notes(pilot: Pilot, study: Evaluation, total: Mapping[str, float]) -> Iterator[str]:
    if pilot.failed:
        yield f"{pilot.failed} samples of the pilot failed and are left out; such calls are not in the counts."
    if pilot.times is None:
        yield "The pilot was not run in one go: opening, starting arms and reporting are not in the time."
    if len(pilot.arms) == 1:
        yield "The pilot has one arm: what a question costs the harness is counted as the endpoint's."
    if not total["tokens_cached"]:
        yield "The pilot's endpoint reported no cached tokens; what a prefix cache could serve is an upper bound."
    smallest, busy = min(len(arm.looks) for arm in pilot.arms.values()), pilot.in_flight
    if busy and smallest < 2 * busy:
        yield f"The pilot's {smallest} questions hardly fill {busy} requests in flight: a longer run may be faster."
    had, asked = (int(one.study.get("rounds", 1)) for one in (pilot.evaluation, study))
    if asked > had:
        yield f"Rounds {had + 1} to {asked} were not in the pilot: taken to be like its last."
    if study.judge_endpoint:
        yield "Calls of the judge model are not in the counts; see eval --dry-run."
