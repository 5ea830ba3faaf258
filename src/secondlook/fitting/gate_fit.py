"""Fit of gates: which is worth most per token, by records; and whether it helps, by records it never saw.

Worth is points of accuracy minus the price of the further tokens, a question, over never looking again. To choose the
best of many gates and report what it brought on the same questions would flatter it, so each part of the templates is
judged by the gate that was chosen on all the others; and only a test on other questions says ``helps``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import RIGHT
from secondlook.diagnosis.finding import CONTROLS, Effect, by_context, controls, one_sided, vote_round
from secondlook.diagnosis.intervals import Estimate, clustered_mean
from secondlook.diagnosis.paired import change_of
from secondlook.diagnosis.people import by_word
from secondlook.diagnosis.table import Arm, Table, check_table
from secondlook.fitting.gate_file import FORMAT, GateFile, Made, Trial, Worth, names_digested
from secondlook.fitting.gate_replay import Replayed, agreements_of, candidates, replay
from secondlook.fitting.trained import deal
from secondlook.gate import ALWAYS, NEVER, UNSATISFIED, Gate, When
from secondlook.layout import points

FOLDS = 5
"""Parts that templates are dealt into, each judged by what was chosen on the others."""
ALSO = ("answer", "sampled")
"""Columns that a fit reads beside those of a diagnosis."""
_STUDIED = ("oracle", "recorded", "always-unknown")  # critics that nobody can deploy


@dataclass(frozen=True, slots=True, eq=False)
class GateQuestions:
    """Records a gate is fitted on, or tested on.

    Attributes:
        table: All arms.
        records: The same, as read.
        arm: The arm whose looks are gated, questions with a first answer alone.
    """

    table: Table
    records: pd.DataFrame
    arm: Arm

    @property
    def templates(self) -> Array:
        """The template of each question."""
        return self.arm.cluster

    @property
    def names(self) -> list[str]:
        """Names of the questions."""
        return [self.table.samples[code] for code in self.arm.sample]


def questions_of(
    records: pd.DataFrame, arm: str | None = None, part: tuple[int, int] | None = None, seed: int = 0
) -> GateQuestions:
    """The questions of one arm.

    Args:
        records: As :func:`secondlook.diagnosis.table.check_table` takes them.
        arm: Whose looks are gated; by default ``self``, else the first that is no control and asks again.
        part: One of so many equal parts of the templates, e.g. ``(1, 2)`` for the first half; all by default.
        seed: Seed of the dealing.

    Raises:
        ValueError: There is no such arm, it never looks again, or its critic cannot be deployed.
    """
    table = check_table(records)
    others = {name for name, one in table.arms.items() if name in CONTROLS or one.critic in (*CONTROLS, *_STUDIED)}
    able = sorted(name for name, one in table.arms.items() if one.rounds > 1 and name not in others)
    if arm is None and not able:
        raise ValueError("no arm looks again that a gate could stop; give a run with a critic and --rounds 1 or more")
    name = arm or ("self" if "self" in able else able[0])
    if name not in able:
        raise ValueError(f"no gate for arm {name!r}; there are {', '.join(able) or 'none that look again'}")
    chosen = table.arms[name]
    chosen = chosen.take(chosen.state[:, 0] >= 0)
    if part is not None:
        number, of = part
        if not 1 <= number <= of:
            raise ValueError(f"part is {number}/{of}; give e.g. 1/2 for the first of two halves")
        if of > 1:
            # 1/2 and 2/2 are complements only of one table and one seed; `held_out` refuses what was fitted on.
            chosen = chosen.take(deal(pd.Series(chosen.cluster), of, seed) == number - 1)
    return GateQuestions(table, records, chosen)


def fit(
    of: GateQuestions,
    made: Made,
    price: float = 0.0,
    *,
    by: Sequence[str] = get_args(When),
    anyway: bool = False,
    beside: bool = True,
    seed: int = 0,
) -> GateFile:
    """Choose the gate that is worth most, and say what it is expected to bring.

    Args:
        of: The questions.
        made: What the records were made with.
        price: Points of accuracy that 1,000 more tokens a question must bring.
        by: Reasons to look that a gate may have; ``never`` is always among them.
        anyway: Name the best gate even where none is shown to help; a test on more questions may show it.
        beside: Whether it is shown beside what else could be done.
        seed: Seed of the dealing into folds.

    Raises:
        ValueError: The price is negative or tokens are not known, or there are too few templates.
    """
    _check_price(of, price)
    agreements = agreements_of(of.records, of.table.samples, of.arm, controls(of.table).get("vote"))
    if unknown := sorted({*by} - {*get_args(When)}):
        raise ValueError(f"a gate cannot go by {unknown[0]!r}; choose among {', '.join(get_args(When))}")
    tried = [
        (gate, rounds, replay(of.arm, gate, rounds, agreements))
        for gate, rounds in candidates(of.arm, agreements)
        if gate.when in (*by, NEVER.when)
    ]
    # With a price, a gate by samples of which a question has none has no worth.
    known = [
        (gate, rounds, found)
        for gate, rounds, found in tried
        if found is not None and not (price and np.isnan(found.tokens).any())
    ]
    # Candidates begin with never, and argmax takes the first of equals: the simplest gate wins a tie.
    never = known[0][2]
    values = np.stack([_values(found, never, price) for _, _, found in known])
    fold = deal(pd.Series(of.templates), FOLDS, seed)
    chosen = np.asarray([int(values[:, fold != number].mean(axis=1).argmax()) for number in range(FOLDS)])
    best = int(values.mean(axis=1).argmax())
    gate, rounds, hindsight = known[best]
    # Each question as it went under the gate that was chosen without its fold.
    own = chosen[fold], np.arange(len(fold))
    held = Replayed(*(np.stack(column)[own] for column in zip(*map(_columns, known), strict=True)))
    expected = _worth("the best gate, cross-fitted", held, never, of.templates, price)
    shown = expected.value.low is not None and expected.value.low > 0
    rows = [expected]
    if beside:
        rows += _beside(of, never, price, held)
        rows.append(_worth("the best gate, in hindsight", hindsight, never, of.templates, price))
    worth = _points(expected.value)
    if shown:
        sentence = (
            f"{gate.words.capitalize()}: it is expected to be worth {worth} points a question; test it on others."
        )
    else:
        gate, rounds = (gate, rounds) if anyway else (NEVER, 0)
        sentence = f"None: no gate is shown to help. The best, chosen on other templates, was worth {worth} points."
    return GateFile(
        format=FORMAT,
        gate=gate,
        rounds=rounds,
        made=made,
        price=price,
        sentence=by_word(of.table.judge, sentence),
        rows=rows,
        questions=names_digested(of.names),
        templates=names_digested(map(str, _template_names(of))),
    )


def held_out(file: GateFile, of: GateQuestions, *, beside: bool = True) -> Trial:
    """Try a gate on questions that it was not fitted on, beside what else could be done.

    Raises:
        ValueError: It was fitted on some of them, or the records cannot tell what it would have done.
    """
    if shared := set(names_digested(of.names)) & set(file.questions):
        raise ValueError(
            f"{len(shared):,} of {len(of.names):,} questions are among those that the gate was fitted on; test it on "
            "others (fit with --part 1/2, and test with --part 2/2)"
        )
    _check_price(of, file.price)
    agreements = agreements_of(of.records, of.table.samples, of.arm, controls(of.table).get("vote"))
    own, never = (replay(of.arm, *each, agreements) for each in ((file.gate, file.rounds), (NEVER, 0)))
    assert never is not None
    if own is None:
        raise ValueError(
            f"arm {of.arm.name!r} does not tell what the gate ({file.gate.words}) would have done: it did not look "
            "where the gate would; give a run with --stop fixed"
        )
    if file.price and np.isnan(own.tokens).any():
        raise ValueError(
            f"price is {file.price:g}, and what the gate ({file.gate.words}) costs is not known: the vote lacks some "
            "questions or their tokens; give it for all, or fit the gate without a price"
        )
    mine = _worth("the gate", own, never, of.templates, file.price)
    rows = [mine, *(_beside(of, never, file.price, own) if beside else ())]
    finding, sentence = _finding(mine, _hurdles(of, own, file.price))
    changes = by_context(never.right, own.right, of.arm, of.table.contexts)
    if finding != "undecided" and (doubt := one_sided(changes, finding)) is not None:
        finding, sentence = "undecided", doubt
    seen = len(set(names_digested(map(str, _template_names(of)))) & set(file.templates))
    sentence = by_word(of.table.judge, sentence)
    return Trial(finding, sentence, rows, len(of.names), len(np.unique(of.templates)), seen)


def _finding(mine: Worth, hurdles: Mapping[str, Estimate | str]) -> tuple[Effect, str]:
    value, (low, high) = _points(mine.value), (mine.value.low, mine.value.high)
    if low is None or high is None:
        return "undecided", "Whether the gate helps is undecided: the questions are of one template."
    if mine.looks == 0:
        return "undecided", "The gate looks at nothing again: there is nothing that could help."
    if high < 0:
        return "hurts", f"The gate hurts: {value} points a question against never looking again."
    if low <= 0:
        return (
            "undecided",
            f"Whether the gate helps is undecided: {value} points a question against never looking again.",
        )
    for name, ahead in hurdles.items():
        if isinstance(ahead, str):
            return "undecided", (
                f"The gate is worth more than never looking again ({value} points a question), but cannot be compared "
                f"with {name}, which is in the table: {ahead}."
            )
        if ahead.low is None or ahead.low <= 0:
            return "undecided", (
                f"The gate is worth more than never looking again ({value} points a question), but not shown to be "
                f"worth more than {name} ({_points(ahead)})."
            )
    beaten = ", ".join(["never looking again", *hurdles])
    return "helps", f"The gate helps: {value} points a question; it is worth more than {beaten}."


def _hurdles(of: GateQuestions, own: Replayed, price: float) -> dict[str, Estimate | str]:
    """Worth of the gate over each control in the table, by the control in words; or why that is not known."""
    found: dict[str, Estimate | str] = {}
    for name in controls(of.table):
        other = _control(of, name, own)
        if isinstance(other, str):
            found[CONTROLS[name]] = other
        else:
            worth = _worth(name, other.gate, other.control, of.templates[other.at], price)
            found[f"{CONTROLS[name]}{other.note}"] = worth.value
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """The gate and a control on the questions that both answered.

    Attributes:
        gate: The gate as it went on them.
        control: The control's answers.
        at: Which questions these are.
        note: Note needed to read it, after the control's name.
    """

    gate: Replayed
    control: Replayed
    at: Array
    note: str = ""


def _control(of: GateQuestions, name: str, own: Replayed) -> _Compared | str:
    """The gate beside a control, a vote at equal cost; or why they cannot be compared."""
    arm = controls(of.table)[name]
    _, mine, theirs = np.intersect1d(of.arm.sample, arm.sample, assume_unique=True, return_indices=True)
    answered = arm.state[theirs, 0] >= 0
    mine, theirs = mine[answered], theirs[answered]
    if not mine.size:
        return "they share no answered question; give a control of the same questions, or leave it out"
    spent = np.full((len(theirs), arm.rounds), math.nan) if arm.spent is None else arm.spent[theirs]
    # A control is read after as many looks as the gate makes at most, one at least, as far as it has rounds.
    at, note = min(max(1, int(own.looks.max())), arm.rounds - 1), ""
    if name == "vote":
        if np.isnan(spent).any() or np.isnan(own.tokens[mine]).any():
            return "without tokens and tokens_critique of every question there is no equal cost; give these columns"
        at = vote_round(float(own.tokens[mine].sum()), spent.sum(axis=0))
        # One answer repeated is no majority, and still what the vote answers at this cost.
        if (arm.state[theirs, : at + 1] == arm.state[theirs][:, :1]).all():
            note = " (which changed no answer)"
    ours = Replayed(own.right[mine], own.looks[mine], own.tokens[mine])
    control = Replayed(arm.state[theirs, at] == RIGHT, np.full(len(mine), math.nan), spent[:, at])
    return _Compared(ours, control, mine, note)


def _beside(of: GateQuestions, never: Replayed, price: float, own: Replayed) -> list[Worth]:
    """Never, always, flagged, and every control in the table that can be compared; a vote at what the gate costs."""
    rows = [_worth("never", never, never, of.templates, price)]
    for name, gate in (("always", ALWAYS), ("flagged", UNSATISFIED)):
        found = replay(of.arm, gate, of.arm.rounds - 1)
        if found is not None and (gate is ALWAYS or (of.arm.verdict[:, 0] > 0).any()):
            rows.append(_worth(name, found, never, of.templates, price))
    for name in controls(of.table):
        if not isinstance(other := _control(of, name, own), str):
            at = other.at
            first = Replayed(never.right[at], never.looks[at], never.tokens[at])
            rows.append(_worth(CONTROLS[name], other.control, first, of.templates[at], price))
    return rows


def _worth(name: str, mine: Replayed, first: Replayed, templates: Array, price: float) -> Worth:
    """Worth of one way over another; the value's ends are those of accuracy and of tokens, each at its worst."""
    change = change_of(first.right, mine.right, templates)
    assert change is not None  # there are questions
    # Nothing was done, so that nothing could change. The looks of a control are NaN, which is not 0.
    if not (mine.looks != 0).any():
        change = Estimate(0.0, 0.0, 0.0, change.n, change.clusters)
    extra = mine.tokens - first.tokens
    cost = None if np.isnan(extra).any() else clustered_mean(extra, templates)
    value = 100 * change.value - (price * cost.value / 1000 if price and cost else 0.0)
    low, high = (None if end is None else 100 * end for end in (change.low, change.high))
    if price and cost and low is not None and high is not None:
        least, most = (cost.value if end is None else end for end in (cost.low, cost.high))
        low, high = low - price * most / 1000, high - price * least / 1000
    per_token = 100 * change.value / (cost.value / 1000) if cost and cost.value > 0 else None
    looks = None if np.isnan(mine.looks).any() else float((mine.looks > 0).mean())
    estimate = Estimate(value, low, high, change.n, change.clusters)
    return Worth(name, looks, change, cost.value if cost else None, estimate, per_token)


def _values(found: Replayed, never: Replayed, price: float) -> Array:
    """Worth of each question, in points."""
    gained = 100 * (found.right.astype(float) - never.right)
    return gained - price * (found.tokens - never.tokens) / 1000 if price else gained


def _columns(tried: tuple[Gate, int, Replayed]) -> tuple[Array, Array, Array]:
    found = tried[2]
    return found.right, found.looks, found.tokens


def _points(estimate: Estimate) -> str:
    """An estimate that is in points already."""
    low, high = (None if end is None else end / 100 for end in (estimate.low, estimate.high))
    return points(replace(estimate, value=estimate.value / 100, low=low, high=high))


def _template_names(of: GateQuestions) -> Sequence[object]:
    """Names of the templates, by which overlap is seen; those of the questions where templates are not known."""
    if "template" not in of.records:
        return of.names
    rows = of.records.drop_duplicates("sample")
    return list(rows.set_index(rows["sample"].astype(str))["template"].reindex(of.names))


def _check_price(of: GateQuestions, price: float) -> None:
    if price < 0:
        raise ValueError(f"price is {price:g}; it is points of accuracy per 1,000 tokens, 0 or more")
    if price and (of.arm.tokens is None or of.arm.critique_tokens is None):
        raise ValueError(
            f"price is {price:g}, and what a look costs is not known: give tokens and tokens_critique, or no price"
        )
    if price and (free := [arm.name for arm in controls(of.table).values() if arm.tokens is None]):
        raise ValueError(
            f"price is {price:g}, and what arm {free[0]!r} costs is not known: give its tokens, leave it out, or give "
            "no price"
        )
