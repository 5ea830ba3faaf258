"""Anyone's table, checked, as arrays: one row a sample, one column a round, one block an arm."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import (
    KEEPS,
    REFUSED,
    RIGHT,
    SILENT,
    STATES,
    codes,
    corrects,
    critique_tokens,
    keeps,
    numbers,
    rounds,
    states,
    tokens,
    verdicts,
)

UNNAMED = "unnamed"
"""The arm of a table that names none."""

_NOISY = re.compile(r"noisy\((?P<noise>[^,]+), *(?P<critic>.+)\)")


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One condition: ``n`` samples through ``R`` rounds.

    A sample whose loop ended keeps its last good answer, and one whose new answer was rejected the earlier one: states
    are those of the answer in hand.

    Attributes:
        name: Name of the arm.
        critic: Its critic, without the noise.
        noise: Probability with which verdicts were flipped; ``None`` if the table does not say.
        variant: How the question was put again; ``None`` if the table does not say, or says several.
        prompt: Name and hash of the prompt file, likewise; so are ``stop``, the stop rule, ``decoding`` and
            ``chat_template``.
        keep: Which answer was kept after a look: ``new``, ``preferred`` or ``confirmed``; ``unknown`` where new answers
            were rejected and the table does not say by which rule, or says several.
        sample: Number of each sample in the table, shape ``(n,)``.
        group: Number of its group, shape ``(n,)``.
        cluster: Number of its template, shape ``(n,)``; of the sample itself where templates are unknown.
        context: Number of its context in the table's ``contexts``, shape ``(n,)``; -1 for none.
        state: Index into ``STATES``, of the answer in hand, shape ``(n, R)``; -1 before there is one.
        held: Round of the answer in hand, shape ``(n, R)``; -1 before there is one.
        proposed: As ``state``, of the answer of this round, kept or not; -1 where its call gave none.
        preferred: 1 where a judge prefers it to the answer before it, 0 where it prefers that, -1 where it did not say.
        answered: Whether a call of this round gave an answer, shape ``(n, R)``.
        failed: Whether a call of this round failed, shape ``(n, R)``.
        verdict: Index into ``VERDICTS``, on the answer of this round, shape ``(n, R)``.
        tokens: Tokens of every call of the round, failed ones too, shape ``(n, R)``; ``None`` if unknown.
        critique_tokens: Those of them that the critique of this round's answer took, shape ``(n, R)``; ``None`` if
            unknown.
        judge_tokens: Those of them that a judge of this round's answer took.
        bias: 1 or -1 for an answer in hand along or against a stereotype, 0 for one that names nobody, NaN where that
            is not known, shape ``(n, R)``; ``None`` if the table has no such column.
        elicited: Whether the answer of this round was asked for once more, alone, shape ``(n, R)``.
        elicited_verdict: Whether the verdict on it was, likewise.
        p_answer: Probability of the answer of this round, NaN where that is not known, shape ``(n, R)``.
        p_wrong: Probability of the verdict ``wrong`` on it, likewise.
    """

    name: str
    critic: str
    noise: float | None
    variant: str | None
    prompt: str | None
    stop: str | None
    keep: str
    decoding: str | None
    chat_template: str | None
    sample: Array
    group: Array
    cluster: Array
    context: Array
    state: Array
    held: Array
    proposed: Array
    preferred: Array
    answered: Array
    failed: Array
    verdict: Array
    tokens: Array | None
    critique_tokens: Array | None
    judge_tokens: Array
    bias: Array | None
    elicited: Array
    elicited_verdict: Array
    p_answer: Array
    p_wrong: Array

    @property
    def rounds(self) -> int:
        """Number of rounds, the first answer included."""
        return int(self.state.shape[1])

    @property
    def right(self) -> Array:
        """Whether the answer in hand is right, shape ``(n, R)``; one that cannot be read is not."""
        return np.asarray(self.state == RIGHT)

    @property
    def spent(self) -> Array | None:
        """Tokens up to each answer, shape ``(n, R)``: its own critique belongs to the look that comes after it.

        After the last answer of several nothing comes: a critique of it, as one that has to confirm it, counts with it.
        """
        if self.tokens is None:
            return None
        spent = np.cumsum(self.tokens, axis=1)
        if self.critique_tokens is None:
            return spent
        later = self.critique_tokens.copy()
        if self.rounds > 1:
            later[:, -1] = 0
        return np.asarray(spent - later)

    def take(self, which: Array) -> Arm:
        """The arm with these samples alone (a mask or indices)."""
        held = ((part.name, getattr(self, part.name)) for part in fields(self))
        taken: dict[str, Any] = {name: value[which] for name, value in held if isinstance(value, np.ndarray)}
        return replace(self, **taken)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A checked table.

    Attributes:
        arms: The arms by name.
        samples: Names; so are ``groups`` and ``contexts``, which are numbered alike.
        model: Name of the model, if the table says.
        judge: Name of the model whose word right and wrong are, where one graded.
        rows: Rows it was made of.
        cannot: What it does not allow to estimate, in sentences.
    """

    arms: dict[str, Arm]
    samples: list[str]
    groups: list[str]
    contexts: list[str]
    model: str | None
    judge: str | None
    rows: int
    cannot: tuple[str, ...]


def check_table(frame: pd.DataFrame) -> Table:
    """Check a table and bring it into arrays.

    Args:
        frame: One row per arm, sample and round. Needed: ``sample``, ``round`` (0 for the first answer) and ``correct``
            (true, false, or missing where the answer cannot be judged). Used where present: ``group``, ``verdict``
            (wrong, right, unclear, or missing if the answer was not examined), ``tokens`` (or ``tokens_in`` and
            ``tokens_out``), ``tokens_critique``, ``template``, ``status``, ``arm``, ``critic``, ``noise_p``,
            ``context``, ``bias``, ``model``, ``variant``, ``prompt``, ``elicited``, ``elicited_verdict``, ``p_answer``,
            ``p_wrong``, ``kept`` (false where the earlier answer stays in hand), ``keep`` (the rule: new, preferred or
            confirmed), ``preferred``, ``tokens_judge`` and ``judge`` (the model that graded).

    Raises:
        ValueError: For what cannot be right, naming row, value and remedy: a missing or unknown value, two rows for one
            sample and round, a gap between rounds, a sample in two groups, several models at once.
    """
    if frame.empty:
        raise ValueError("the table has no rows; give one row per sample and round")
    if missing := [name for name in ("sample", "round", "correct") if name not in frame]:
        raise ValueError(f"the table has no column {missing[0]!r}; it needs sample, round and correct")
    n = len(frame)
    zero = np.zeros(n, dtype=np.int64)  # the group, or the arm, of a table that names none
    sample, samples = codes(frame, "sample")
    round_, state, bias, spent = rounds(frame["round"]), states(frame), _bias(frame), tokens(frame)
    examining = critique_tokens(frame, spent)
    said = verdicts(frame["verdict"]) if "verdict" in frame else np.full(n, SILENT, dtype=np.int8)
    group, groups = codes(frame, "group") if "group" in frame else (zero, ["all"])
    template, templates = codes(frame, "template") if "template" in frame else (sample, samples)
    context, contexts = codes(frame, "context", needed=False) if "context" in frame else (np.full(n, -1), [])
    named = [name for name in ("arm", "critic") if name in frame]
    arm, names = codes(frame, named[0]) if named else (zero, [UNNAMED])
    asked = {name: _given(frame, name) for name in ("elicited", "elicited_verdict")}
    likely = {name: _probability(frame, name) for name in ("p_answer", "p_wrong")}
    kept = corrects(frame["kept"], "kept") != 0 if "kept" in frame else np.ones(n, dtype=bool)
    keep = keeps(frame["keep"]) if "keep" in frame else np.full(n, -1, dtype=np.int8)
    preferred = corrects(frame["preferred"], "preferred") if "preferred" in frame else np.full(n, -1, dtype=np.int8)
    judging = numbers(frame["tokens_judge"], "tokens_judge", least=0.0) if "tokens_judge" in frame else np.zeros(n)
    # An answer that nobody examined has no critique whose tokens could be missing.
    paid, told = ~np.isnan(spent), ~np.isnan(examining) | (said == SILENT)
    arms = {}
    for number, name in enumerate(names):
        rows = np.flatnonzero(arm == number)
        grid = _Grid(sample[rows], round_[rows], samples, name)
        at = grid.fill(state[rows], -1)
        failed = at == len(STATES)
        answered = grid.present & ~failed
        # The last answer that was kept is in hand.
        held = np.maximum.accumulate(
            np.where(answered & grid.fill(kept[rows], False), np.arange(at.shape[1]), -1), axis=1
        )
        # −1 would pick the last round; what has not begun is masked where `place` is used.
        began, place = held >= 0, np.maximum(held, 0)
        biased = None if bias is None else np.take_along_axis(grid.fill(bias[rows], np.nan), place, 1)
        critic, noise = _critic(frame, rows, name)
        # Under any rule a call that was refused leaves the earlier answer in hand.
        rejected = answered & (held < np.arange(at.shape[1])) & (at != REFUSED)
        arms[name] = Arm(
            name=name,
            critic=critic,
            noise=noise,
            variant=_only(frame, rows, "variant"),
            prompt=_only(frame, rows, "prompt"),
            stop=_only(frame, rows, "stop"),
            keep=_keep(keep[rows], critic, bool(rejected.any())),
            decoding=_only(frame, rows, "decoding"),
            chat_template=_only(frame, rows, "chat_template"),
            sample=grid.sample,
            group=grid.constant(group[rows], "group", groups),
            cluster=grid.constant(template[rows], "template", templates),
            context=grid.constant(context[rows], "context", contexts),
            proposed=np.where(answered, at, -1).astype(np.int8),
            preferred=grid.fill(preferred[rows], -1),
            judge_tokens=grid.fill(np.nan_to_num(judging[rows]), 0),
            state=np.where(began, np.take_along_axis(at, place, 1), -1).astype(np.int8),
            held=held,
            answered=answered,
            failed=failed,
            verdict=np.where(answered, grid.fill(said[rows], 0), 0).astype(np.int8),
            tokens=grid.fill(spent[rows], 0) if paid[rows].all() else None,
            critique_tokens=grid.fill(np.nan_to_num(examining[rows]), 0) if told[rows].all() else None,
            bias=None if biased is None else np.where(began, biased, np.nan),
            **{column: grid.fill(values[rows], False) for column, values in asked.items()},
            **{column: grid.fill(values[rows], np.nan) for column, values in likely.items()},
        )
    no_status = "refused answers and failed calls (no column status): an answer without correct counts as unparsed"
    unpaid = [name for name, one in arms.items() if one.tokens is None]
    unknown = f"tokens are missing in {(~paid).sum()} rows" if paid.any() else "no column tokens"
    of = "" if len(unpaid) == len(arms) else f" of {', '.join(unpaid)}"
    lacking = {
        no_status: "status" not in frame,
        "the critic, obedience to it and its break-even accuracy (no verdict in the table)": not said.any(),
        f"costs and comparisons at equal cost{of} ({unknown})": bool(unpaid),
        "the price of a look (no column tokens_critique): a critique is counted with the answer before it": any(
            one.tokens is not None and one.critique_tokens is None for one in arms.values()
        ),
        "differences between groups (no column group)": "group" not in frame,
        "dependence within question templates (no column template): samples are taken as independent, and intervals "
        "are too narrow if questions share a template": "template" not in frame,
    }
    cannot = tuple(sentence for sentence, lacks in lacking.items() if lacks)
    model, judge = (_only(frame, slice(None), name) for name in ("model", "judge"))
    return Table(arms, samples, groups, contexts, model, judge, len(frame), cannot)


def denoised(name: str) -> tuple[str, float | None]:
    """A critic's name without its noise, and the noise; ``None`` where the name has none."""
    match = _NOISY.fullmatch(name)
    return (match["critic"], float(match["noise"])) if match else (name, None)


class _Grid:
    """Grid of the rows of one arm: a line a sample, a column a round."""

    def __init__(self, sample: Array, round_: Array, names: list[str], arm: str) -> None:
        self.sample, self.line = np.unique(sample, return_inverse=True)
        self.names = names
        self.shape = (len(self.sample), int(round_.max()) + 1)
        self.cell = self.line * self.shape[1] + round_  # place in the flattened grid
        filled = np.bincount(self.cell, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)
        if filled.max() > 1:
            line, column = np.argwhere(filled > 1)[0]
            raise ValueError(
                f"two rows for sample {names[self.sample[line]]!r}, round {column}, arm {arm!r}; a sample has one row "
                "per round and arm: make names unique (e.g. group/sample), name the arms, and give each run once"
            )
        self.present = filled == 1
        later = np.cumsum(filled[:, ::-1], axis=1)[:, ::-1]
        if (gaps := np.argwhere(~self.present & (later > 0))).size:
            line, column = gaps[0]
            raise ValueError(
                f"sample {names[self.sample[line]]!r} of arm {arm!r} has a later round but no round {column}; give "
                "every round from 0 on"
            )

    def fill(self, values: Array, empty: float) -> Array:
        """The values at their places, and ``empty`` where there is no row."""
        grid = np.full(self.shape, empty, dtype=values.dtype)
        grid.reshape(-1)[self.cell] = values
        return grid

    def constant(self, values: Array, column: str, names: list[str]) -> Array:
        """Value that must be the same in all rows of a sample, once a sample."""
        first = np.empty(self.shape[0], dtype=np.int64)
        first[self.line] = values
        if (other := np.flatnonzero(first[self.line] != values)).size:
            at = other[0]
            told = ", ".join(repr(names[code] if code >= 0 else "none") for code in (values[at], first[self.line[at]]))
            raise ValueError(
                f"sample {self.names[self.sample[self.line[at]]]!r} has two values of {column} ({told}); give each "
                "question a name of its own"
            )
        return first


def _given(frame: pd.DataFrame, name: str) -> Array:
    """Whether there is a value."""
    return frame[name].notna().to_numpy(bool) if name in frame else np.zeros(len(frame), dtype=bool)


def _probability(frame: pd.DataFrame, name: str) -> Array:
    """Numbers from 0 to 1; NaN where there is none."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    values = numbers(frame[name], name, least=0.0)
    if (odd := np.flatnonzero(values > 1)).size:
        raise ValueError(f"{name} is {values[odd[0]]:g} in data row {odd[0] + 1}; give a probability from 0 to 1")
    return values


def _bias(frame: pd.DataFrame) -> Array | None:
    if "bias" not in frame:
        return None
    values = numbers(frame["bias"], "bias", least=-1.0)
    if (odd := np.flatnonzero(~np.isnan(values) & ~np.isin(values, (-1.0, 0.0, 1.0)))).size:
        raise ValueError(f"bias is {values[odd[0]]:g} in data row {odd[0] + 1}; it is 1, -1, 0 or missing")
    return values


def _critic(frame: pd.DataFrame, rows: Array, arm: str) -> tuple[str, float | None]:
    """The critic of an arm without its noise, and the noise."""
    critic, noise = denoised(_only(frame, rows, "critic") or arm)
    if "noise_p" in frame:
        levels = np.unique(_probability(frame, "noise_p")[rows])
        if len(levels) > 1:
            told = ", ".join(f"{level:g}" for level in levels)
            raise ValueError(f"arm {arm!r} has several values of noise_p ({told}); name an arm for each")
        noise = None if np.isnan(levels[0]) else float(levels[0])
    return critic, noise


def _keep(said: Array, critic: str, rejected: bool) -> str:
    """Rule by which an arm kept answers, as its rows say; where they do not, as they show."""
    named = [KEEPS[code] for code in np.unique(said) if code >= 0]
    if named:
        return named[0] if len(named) == 1 else "unknown"
    if critic == "accept-reject":  # it has no other rule
        return "preferred"
    return "unknown" if rejected else "new"


def _only(frame: pd.DataFrame, rows: Array | slice, name: str) -> str | None:
    """The one value of a column in these rows; ``None`` if there are more, or none."""
    names = list(frame[name].iloc[rows].dropna().unique()) if name in frame else []
    if name == "model" and len(names) > 1:
        told = ", ".join(map(str, names[:3]))
        raise ValueError(f"the table has answers of several models ({told}); diagnose one at a time")
    return str(names[0]) if len(names) == 1 else None
