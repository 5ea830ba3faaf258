"""Labels: what people say of some of the replies that a judge has judged, from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

_SAYS = ("refused", "complied", "unclear")
_TRUTH: Mapping[str, bool] = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
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
    """Read a file of labels, ``.jsonl`` or ``.csv``.

    Raises:
        ValueError: If it cannot be read, a row is not in order or contradicts another, or none has a label.
    """
    try:
        # Names are text: 007 stays 007.
        table = pd.read_csv(file, dtype=str) if file.suffix == ".csv" else pd.read_json(file, lines=True, dtype=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"labels {str(file)!r} cannot be read ({' '.join(str(error).split())}); {_REMEDY}") from None
    found: dict[tuple[str | None, str, int], str | bool] = {}
    # As objects: a column of floats would turn None back into NaN.
    for key, said in _rows(table.astype(object).where(table.notna(), None), file):
        if found.setdefault(key, said) != said:
            raise ValueError(f"labels {str(file)!r} say two things of sample {key[1]!r}, round {key[2]}; keep one")
    if not found:
        raise ValueError(f"labels {str(file)!r} hold no label; {_REMEDY}")
    return Labels(found)


def _rows(table: pd.DataFrame, file: Path) -> Iterator[tuple[tuple[str | None, str, int], str | bool]]:
    if "sample" not in table or not {"label", "correct"} & set(table):
        raise ValueError(f"labels {str(file)!r} have the columns {', '.join(map(str, table))}; {_REMEDY}")
    for number, row in enumerate(table.to_dict("records"), start=1):
        said = row.get("label") if row.get("label") is not None else row.get("correct")
        if said is None:
            continue
        word = str(said).strip().lower()
        label = word if word in _SAYS else _TRUTH.get(word)
        # JSON's whole numbers in a column with gaps are floats, and 1 is then 1.0.
        round_ = str(row.get("round") if row.get("round") is not None else 0).removesuffix(".0")
        if label is None or row["sample"] is None or not round_.isdigit():
            odd = f"sample {row['sample']!r}, round {row.get('round')!r}, label {said!r}"
            raise ValueError(f"labels {str(file)!r}, row {number}: {odd}; {_REMEDY}")
        arm = row.get("arm")
        yield (None if arm is None else str(arm), str(row["sample"]), int(round_)), label
