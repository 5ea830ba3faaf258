"""One line of a BBQ file, validated: every field that is read has the type and the meaning it claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from secondlook.benchmarks.bbq.item import Condition, Polarity
from secondlook.files import DataError

_FIX = "correct the line, or fetch the official file again: `secondlook data get bbq`"


Text = Annotated[str, Field(min_length=1)]
_Answer = tuple[str, str]


class _AnswerInfo(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    ans0: _Answer
    ans1: _Answer
    ans2: _Answer


class _Metadata(BaseModel):
    # Sources and versions of a template stand here too. Nothing reads them, so nothing depends on them.
    model_config = ConfigDict(strict=True, extra="ignore")
    stereotyped_groups: tuple[str, ...]


class PublishedRow(BaseModel):
    """One line of a BBQ file, as published (Parrish et al., Findings of ACL 2022, and the files' README)."""

    model_config = ConfigDict(strict=True, extra="forbid")
    example_id: Annotated[int, Field(ge=0)]
    question_index: Text
    question_polarity: Polarity
    context_condition: Condition
    category: Text
    answer_info: _AnswerInfo
    additional_metadata: _Metadata
    context: Text
    question: Text
    ans0: Text
    ans1: Text
    ans2: Text
    label: Annotated[int, Field(ge=0, le=2)]

    @property
    def info(self) -> tuple[_Answer, _Answer, _Answer]:
        """Short text and group of each answer, e.g. ``("grandfather", "old")``."""
        return self.answer_info.ans0, self.answer_info.ans1, self.answer_info.ans2

    @property
    def unknowns(self) -> list[int]:
        """Indices of the answers whose group is ``unknown``; exactly one in a row from :func:`parse_row`."""
        return [i for i, (_, group) in enumerate(self.info) if group.casefold() == "unknown"]

    @property
    def persons(self) -> list[int]:
        """Indices of the answers that name somebody; exactly two in a row from :func:`parse_row`."""
        return [i for i in range(3) if i not in self.unknowns]


def parse_row(line: bytes, path: Path, number: int) -> PublishedRow:
    """Validate one line.

    Args:
        line: The line, as UTF-8.
        path: The file it stands in; its stem is the category every row must state.
        number: Its line number, counted from 1.

    Raises:
        DataError: The line is not JSON, lacks a key, has an unknown key or a value out of range, states
            another category than the file, does not have exactly one ``unknown`` answer, or its label contradicts
            its condition: by BBQ's construction the right answer is the ``unknown`` one if and only if the context is
            ambiguous.
    """
    if not line.strip():
        raise DataError(path, number, "empty line — delete it")
    try:
        row = PublishedRow.model_validate_json(line)
    except ValidationError as error:
        raise DataError(path, number, f"{_reason(error)} — {_FIX}") from None
    if row.category != path.stem:
        reason = f"category is not that of the file ({row.category!r} in {path.name}) — move the line, or {_FIX}"
        raise DataError(path, number, reason)
    if len(row.unknowns) != 1:
        groups = ", ".join(repr(group) for _, group in row.info)
        raise DataError(path, number, f"not exactly one answer's group is 'unknown' ({groups}) — {_FIX}")
    named = row.label not in row.unknowns
    if named and row.context_condition == "ambig":
        reason = f"label of an ambiguous row is not its unknown answer ({row.label}, unknown is {row.unknowns[0]})"
        raise DataError(path, number, f"{reason} — {_FIX}")
    if not named and row.context_condition == "disambig":
        raise DataError(path, number, f"label of a disambiguated row is its unknown answer ({row.label}) — {_FIX}")
    return row


def _reason(error: ValidationError) -> str:
    """The first fault, in one line with the value at fault."""
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    value = repr(fault["input"])
    if len(value) > 80:
        value = value[:77] + "..."
    match fault["type"]:
        case "json_invalid":
            return f"not JSON ({fault['ctx']['error']})"
        case "missing":
            return f"missing key ({place})"
        case "extra_forbidden":
            return f"unknown key ({place}; known: {', '.join(PublishedRow.model_fields)})"
        case _:
            message = fault["msg"].removeprefix("Input ")
            return f"{place} {message} ({value})" if place else f"the line {message} ({value})"
