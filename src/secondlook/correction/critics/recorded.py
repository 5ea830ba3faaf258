"""Verdicts from a file, e.g. people's, as critic."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from secondlook.correction.case import Verdict
from secondlook.correction.critics.protocol import Examination
from secondlook.correction.transcript import Critique

Words = Annotated[str, Field(min_length=1)]


class RecordedVerdict(BaseModel):
    """One verdict on one answer.

    Attributes:
        round: The round whose answer was judged, from 0.
        text: The critique in words; ``None`` for the prompt's own words for this verdict.
        answer: The answer that was judged. If given, the verdict stands for exactly this answer only.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sample: Words
    round: Annotated[int, Field(ge=0)]
    verdict: Verdict
    text: Words | None = None
    answer: str | None = None


_REMEDY = "a line has sample, round (from 0), verdict (wrong, right, unclear) and may have text and answer"


@dataclass(frozen=True, slots=True)
class RecordedCritic:
    """Looks verdicts up.

    Where there is none for this sample and round, or one on a different answer, the verdict is ``unclear``: it is never
    guessed.
    """

    records: Mapping[tuple[str, int], RecordedVerdict]
    name: str = "recorded"

    @classmethod
    def load(cls, path: str | PathLike[str]) -> RecordedCritic:
        """Read a file of one JSON object a line; see :class:`RecordedVerdict` for the fields.

        Raises:
            ValueError: If a line is not one or repeats an earlier one, or if there is none: file, line, value, remedy.
        """
        records: dict[tuple[str, int], RecordedVerdict] = {}
        lines: dict[tuple[str, int], int] = {}
        for number, line in enumerate(Path(path).read_bytes().removeprefix(BOM_UTF8).splitlines(), 1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line.decode(), object_pairs_hook=_no_repeats)
                record = RecordedVerdict.model_validate(fields)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {_reason(error)}; {_REMEDY}") from None
            key = record.sample, record.round
            if key in records:
                raise ValueError(
                    f"{path}:{number}: sample {record.sample!r}, round {record.round} is already on line "
                    f"{lines[key]}; keep one of the two"
                )
            records[key], lines[key] = record, number
        if not records:
            raise ValueError(f"{path}: holds no verdicts; {_REMEDY}")
        return cls(records)

    async def examine(self, exam: Examination) -> Critique:
        """Look up the verdict on this answer."""
        record = self.records.get((exam.case.sample, exam.round_index))
        if record is None or record.answer not in (None, exam.answer):
            return Critique(exam.case.feedback("unclear"), "unclear")
        return Critique(record.text or exam.case.feedback(record.verdict), record.verdict)


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # json keeps the last of two equal fields, which would be a guess.
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError(f"a field is given twice in {[name for name, _ in pairs]}")
    return fields


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = "".join(f"{name}: " for name in first["loc"])
        return f"{where}{first['msg']}, got {first['input']!r}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg}, column {error.colno}): {error.doc[:80]!r}"
    return str(error)
