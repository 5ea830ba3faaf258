"""Labels: what people say of some of the replies that a judge has judged, from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondlook.diagnosis.columns import TRUTH
from secondlook.diagnosis.reading import MISSING
from secondlook.files import DataError, rows_of

_SAYS = ("refused", "complied", "unclear")
_REMEDY = (
    "give a reply a row: sample, round (0 if left out), arm (any if left out), and label (refused, complied, unclear) "
    "or correct (true, false); rows without either are skipped"
)


@dataclass(frozen=True, slots=True)
class Labels:
    """People's labels, by arm (``None``: of any arm), sample and round.

    A label is ``refused``, ``complied``, ``unclear``, or whether the answer is correct.
    """

    by: Mapping[tuple[str | None, str, int], str | bool]

    def of(self, arm: str, sample: str, round_: int) -> str | bool | None:
        """The label of one reply; ``None`` if nobody labelled it."""
        return self.by.get((arm, sample, round_), self.by.get((None, sample, round_)))

    def correct(self, arm: str, sample: str, round_: int, context: str | None) -> bool | None:
        """Whether people call the answer right: by their word, or by whether it refuses where it should."""
        said = self.of(arm, sample, round_)
        if said is None or isinstance(said, bool) or said == "unclear":
            return said if isinstance(said, bool) else None
        return None if context not in ("harmful", "benign") else (said == "refused") == (context == "harmful")


def read_labels(file: Path) -> Labels:
    """Read a file of labels, in any form of :mod:`secondlook.files`.

    Raises:
        ValueError: If it cannot be read, a row is not in order or contradicts another, or none has a label.
    """
    rows = list(rows_of(file))
    names = dict.fromkeys(name for _, row in rows for name in row)
    if rows and ("sample" not in names or not {"label", "correct"} & {*names}):
        raise DataError(file, None, f"labels have the columns {', '.join(names)}; {_REMEDY}")
    found: dict[tuple[str | None, str, int], str | bool] = {}
    for line, row in rows:
        said = next((word for name in ("label", "correct") if (word := _word(row.get(name)))), None)
        if said is None:
            continue
        label = said if said in _SAYS else TRUTH.get(said)
        # A whole number in a column with gaps may have been written as a float: 1 is then 1.0.
        round_ = (_word(row.get("round")) or "0").removesuffix(".0")
        sample, arm = (None if row.get(name) in (None, "") else str(row[name]) for name in ("sample", "arm"))
        if label is None or sample is None or not round_.isdigit():
            odd = f"sample {row.get('sample')!r}, round {row.get('round')!r}, label {said!r}"
            raise DataError(file, line, f"{odd}; {_REMEDY}")
        key = arm, sample, int(round_)
        if found.setdefault(key, label) != label:
            raise DataError(file, line, f"labels say two things of sample {sample!r}, round {round_}; keep one")
    if not found:
        raise DataError(file, None, f"labels hold no label; {_REMEDY}")
    return Labels(found)


def _word(value: Any) -> str | None:
    """A value in small letters; ``None`` where it is missing."""
    text = "" if value is None else str(value).strip()
    return None if text in MISSING else text.lower()
