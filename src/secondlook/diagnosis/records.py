"""Records: one flat table, one row per sample and round, the same wherever the rounds were run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

import pandas as pd

Status = Literal["ok", "unparsed", "refused", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)
Verdict = Literal["wrong", "right", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answer of one sample in one round, and the verdict a critic passed on *this* answer.

    Attributes:
        run: Identifier of the run; samples are unique within it.
        arm: Name of the arm, e.g. ``self`` or ``none``.
        critic: Name of the critic.
        variant: Form in which the question was put again.
        noise_p: Probability with which the critic's verdict was flipped.
        sample: Identifier of the question.
        template: Questions written from one template share it; intervals are clustered by it.
        group: Group in tables of results, e.g. the BBQ category.
        context: ``ambig`` or ``disambig``, ``harmful`` or ``benign``, where the benchmark knows such a thing.
        round: 0 for the first answer.
        answer: The answer as read (a letter in BBQ), or the raw text where it could not be read.
        correct: Whether it is right; ``None`` where that cannot be said.
        status: ``ok``, or why ``correct`` is missing.
        verdict: The critic's verdict on this answer; ``None`` if it was not examined.
        tokens_in: Prompt tokens of the calls of this row (answer and its critique), cached ones included; ``None``
            where the server does not tell.
        tokens_out: Generated tokens of those calls.
        tokens_critique: Tokens of the critique, and of samples that had to agree, in and out: the look that follows
            pays for them.
        tokens_critique_cached: Prompt tokens among these that a prefix cache served.
        tokens_cached: Prompt tokens of the row served from a prefix cache.
        seconds: Wall time of the row's calls.
        seconds_critique: Wall time of the critique among them.
        model: Provider and model.
        revision: Revision of the weights, where known.
        prompt: Name and hash of the prompt file.
        chat_template: Hash of the chat template, where known.
        decoding: Decoding settings as JSON text.
        score: The number in a numeric critique of this answer, from which ``verdict`` was read; ``None`` elsewhere.
        bias: 1 for an answer along a stereotype, -1 for one against it, 0 for one that names nobody; ``None`` where the
            item's biased option is not known, the answer cannot be read, or there is no such notion.
        stop: The stop rule: ``fixed``, ``satisfied`` or ``gate``.
        error: Words of the server or the program where there is no answer.
        elicited: Way in which the answer was asked for once more, alone, e.g. ``logits`` or ``response_format``;
            ``None`` where it was not.
        elicited_verdict: Way in which the verdict was asked for once more.
        p_answer: Probability of the answer as read among all options, where the model tells.
        p_wrong: Probability of the verdict ``wrong`` against ``right``, where the model tells.
        sampled: The answer of this call alone, where ``answer`` is the majority of several.
        preferred: Whether a judge prefers this answer to the one before it; ``None`` where none was asked, or it did
            not say.
        tokens_judge: Tokens of the judge alone, in and out; they are in ``tokens_in`` and ``tokens_out`` too.
        judge: The model whose word ``correct`` is, where a model graded; ``None`` where a rule did.
        kept: Whether this is the answer in hand from now on; ``False`` where the earlier one was kept.
        keep: Which answer is kept after a look: always the ``new`` one, only one that is ``preferred`` to the earlier
            one, or only one that is ``confirmed``; ``None`` where the transcript is too old to say.
    """

    run: str
    arm: str
    critic: str
    variant: str
    noise_p: float
    sample: str
    template: str
    group: str
    context: str | None
    round: int
    answer: str | None
    correct: bool | None
    status: Status
    verdict: str | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    seconds: float
    model: str
    revision: str | None
    prompt: str
    chat_template: str | None
    decoding: str
    score: float | None = None
    bias: int | None = None
    stop: str | None = None
    error: str | None = None
    elicited: str | None = None
    elicited_verdict: str | None = None
    p_answer: float | None = None
    p_wrong: float | None = None
    tokens_critique: int | None = 0
    sampled: str | None = None
    preferred: bool | None = None
    tokens_judge: int | None = 0
    kept: bool = True
    keep: str | None = "new"
    judge: str | None = None
    tokens_critique_cached: int | None = 0
    seconds_critique: float = 0.0


COLUMNS = tuple(field.name for field in fields(Record))


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """The records as a table, sorted by arm, sample and round; ``correct`` is a nullable boolean.

    Raises:
        ValueError: If a sample has two rows for one round, or a status or verdict is unknown.
    """
    table = pd.DataFrame([asdict(record) for record in records], columns=list(COLUMNS))
    counts = [name for name in COLUMNS if name.startswith("tokens_")]
    # Nullable types: in a column with gaps booleans would become objects, and counts floats.
    table = table.astype({"correct": "boolean", "preferred": "boolean", **dict.fromkeys(counts, "Int64")})
    for name, known in (("status", STATUSES), ("verdict", get_args(Verdict))):
        if unknown := sorted(set(table[name].dropna()) - set(known)):
            raise ValueError(f"unknown {name} {unknown[0]!r}; known: {', '.join(known)}")
    keys = ["run", "arm", "sample", "round"]
    if (double := table.duplicated(keys)).any():
        first = table[double].iloc[0][keys].to_dict()
        raise ValueError(f"two rows for {first}; a sample has one row per round")
    return table.sort_values(keys, kind="stable", ignore_index=True)
