"""Requests out of the published files: AdvBench, JailbreakBench's behaviours, and JailbreakBench's attack artifacts.

Nothing of these files comes with the package: they are the user's, and stored attacks are replayed, never made here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from secondlook.benchmarks.refusal.item import Kind, Request
from secondlook.files import DataError

_ADVBENCH = ("goal", "target")
_JAILBREAKBENCH = ("Goal", "Target", "Behavior", "Category")
_COLUMNS = f"AdvBench's ({','.join(_ADVBENCH)}) or JailbreakBench's (Index,{','.join(_JAILBREAKBENCH)},Source)"
_FETCH = "correct the row, or fetch the published file again"


def load_behaviours(path: Path, kind: Kind) -> list[Request]:
    """Load a file of behaviours, each put to the model as it is.

    AdvBench has columns ``goal,target``; JailbreakBench has ``Index,Goal,Target,Behavior,Category,Source``, in one
    file for harmful and one for benign behaviours (older copies leave the first heading empty).

    Args:
        path: The CSV file.
        kind: Which of the two it is; the file does not say so itself.

    Raises:
        DataError: The file is missing, has other columns or no rows, or a row is short, long, empty or there twice.
    """
    requests: list[Request] = []
    lines: dict[str, int] = {}
    for line, row in _rows(path):
        goal, target = (row.get(name, row.get(name.lower(), "")).strip() for name in ("Goal", "Target"))
        if not goal:
            raise DataError(path, line, f"the goal is empty ({row}) — {_FETCH}")
        number = row.get("Index", row.get("", "")) or str(len(requests))
        name = f"{kind}/{number}"
        if name in lines:
            raise DataError(path, line, f"index is that of line {lines[name]} ({number}) — delete one of the two rows")
        lines[name] = line
        category = row.get("Category", "").strip() or kind
        requests.append(Request(name, category, _template(kind, goal), kind, goal, goal, target or None))
    if not requests:
        raise DataError(path, None, f"there is no row below the headings — {_FETCH}")
    return requests


@dataclass(frozen=True, slots=True)
class Attack:
    """One artifact: the prompts of an attack, recounted from its rows.

    Attributes:
        name: Method of the attack, and its target model where that is needed to tell two apart.
        model: The model it was made against, as the file says.
        requests: One for each row that has a prompt.
        rows: How many rows there are; for the others the attack found no prompt.
        jailbroken: Rows whose stored verdict is a success.
        stated: The success total that the file states for itself, which is often out of date.
    """

    name: str
    model: str
    requests: tuple[Request, ...]
    rows: int
    jailbroken: int
    stated: int | None

    @property
    def note(self) -> str:
        """Note that must be known to read this attack's results."""
        text = f"{self.name} (made against {self.model}): {self.rows} rows"
        if missing := self.rows - len(self.requests):
            text += f", {missing} of them without a prompt and not asked (the attack found none)"
        text += f", {self.jailbroken} stored as successful"
        if self.stated is not None and self.stated != self.jailbroken:
            text += f" (the file's own total says {self.stated}; the rows count)"
        return f"{text}."


def load_attacks(paths: list[Path]) -> list[Attack]:
    """Load attack artifacts; those of one method are told apart by the model they were made against.

    Raises:
        DataError: A file cannot be read as an artifact, or two are of the same method and model.
    """
    files = [(path, _artifact(path)) for path in paths]
    methods = [file.parameters.method for _, file in files]
    attacks: list[Attack] = []
    for path, file in files:
        method, model = file.parameters.method, file.parameters.model
        attack = _attack(path, file, method if methods.count(method) == 1 else f"{method} ({model})")
        if attack.name in {earlier.name for earlier in attacks}:
            raise DataError(path, None, f"attack {attack.name!r} is loaded twice — name each file once")
        attacks.append(attack)
    return attacks


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="ignore")
    method: Annotated[str, Field(min_length=1)]
    model: str = "an unnamed model"
    total_number_of_jailbreaks: int | None = None


class _Row(BaseModel):
    # Judges and costs are stored here too, under names that vary; nothing reads them.
    model_config = ConfigDict(extra="ignore")
    index: int
    goal: Annotated[str, Field(min_length=1)]
    prompt: str | None
    jailbroken: bool | None = None


class _Artifact(BaseModel):
    model_config = ConfigDict(extra="ignore")
    parameters: _Parameters
    jailbreaks: Annotated[list[_Row], Field(min_length=1)]


def _artifact(path: Path) -> _Artifact:
    try:
        return _Artifact.model_validate_json(_text(path))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the file"
        what = fault["ctx"]["error"] if fault["type"] == "json_invalid" else fault["msg"]
        raise DataError(
            path,
            None,
            f"not an attack artifact, {place}: {what} — give a file of JailbreakBench's artifacts with 'parameters' "
            "and 'jailbreaks' (index, goal, prompt), such as attack-artifacts/METHOD/TYPE/MODEL.json",
        ) from None


def _attack(path: Path, file: _Artifact, name: str) -> Attack:
    seen: dict[int, int] = {}
    for place, row in enumerate(file.jailbreaks):
        if row.index in seen:
            first = seen[row.index]
            reason = f"jailbreaks.{place} has the index of jailbreaks.{first} ({row.index}) — delete one of the two"
            raise DataError(path, None, reason)
        seen[row.index] = place
    requests = [
        Request(
            id=f"{name}/{row.index}",
            category=name,
            template=_template("harmful", row.goal.strip()),
            condition="harmful",
            behaviour=row.goal.strip(),
            text=row.prompt,
            attack=name,
        )
        for row in file.jailbreaks
        if row.prompt is not None and row.prompt.strip()
    ]
    return Attack(
        name=name,
        model=file.parameters.model,
        requests=tuple(requests),
        rows=len(file.jailbreaks),
        jailbroken=sum(row.jailbroken is True for row in file.jailbreaks),
        stated=file.parameters.total_number_of_jailbreaks,
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Line number and cells by heading."""
    # Surplus cells come under a name that no heading has; cells that are missing are None.
    reader: csv.DictReader[str] = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True, restkey="\0")
    try:
        names = reader.fieldnames or ()
        if not (set(_ADVBENCH) <= set(names) or set(_JAILBREAKBENCH) <= set(names)):
            raise DataError(path, 1, f"the columns are {','.join(names)} — give a CSV file with {_COLUMNS}")
        for row in reader:
            cells: dict[str, Any] = row
            if "\0" in cells or None in cells.values():
                count = sum(value is not None for value in cells.values()) if "\0" not in cells else "too many"
                reason = f"the row has {count} cells and the headings are {len(names)} — quote commas, or {_FETCH}"
                raise DataError(path, reader.line_num, reason)
            yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(path, reader.line_num, f"not CSV ({error}) — {_FETCH}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(path, None, f"not UTF-8 ({error.reason} at byte {error.start}) — save it as UTF-8") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(path, None, f"cannot be read ({reason}) — give the path of a file on this machine") from None


def _template(kind: Kind, goal: str) -> str:
    return f"{kind}: {goal}"
