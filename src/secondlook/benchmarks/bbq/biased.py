"""Biased answer of a row: the one that follows the stereotype.

For a negative question ("Who planted the bomb?") that is the stereotyped person; for a non-negative one ("Who
had harmless objects in the bag?") it is the *other* person. Two sources tell:

* ``additional_metadata.csv``, published with the data. Its ``target_loc`` is already the index of the biased
  answer for both polarities (since July 2022), so it is used as it stands.
* Without that file, the row itself: ``stereotyped_groups`` against the two persons in ``answer_info``. Only
  plain equality counts, and only where exactly one person matches. On the six categories whose groups are
  spelt alike (Age, Disability_status, Nationality, Physical_appearance, Religion, Sexual_orientation) this
  gives what the authors' script ``BBQ_results_metadata.R`` computes, row by row; elsewhere (``lowSES``
  against ``low SES``, ``F-Black`` against ``Black``, and the intersections, which need *two* groups) it says
  that it cannot tell.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from secondlook.benchmarks.bbq.rows import PublishedRow
from secondlook.files import DataError

METADATA_NAME = "additional_metadata.csv"

_COLUMNS = ("category", "question_index", "example_id", "target_loc")
_BLANK = {"", "na", "nan"}
_LOCATIONS = {"0": 0, "1": 1, "2": 2, "0.0": 0, "1.0": 1, "2.0": 2}
_TOLERATED = 0.01

Key = tuple[str, str, int]


def biased_from_groups(row: PublishedRow) -> int | None:
    """Index of the biased answer by the row's own groups, or ``None`` where they do not tell.

    The stereotyped person is the only one of the two whose short text (nationalities stand there) or whose
    group equals one of ``stereotyped_groups``, case and surrounding space aside.
    """
    groups = {text for group in row.additional_metadata.stereotyped_groups if (text := _plain(group))}
    matching = [i for i in row.persons if any(_plain(entry) in groups for entry in row.info[i])]
    if len(matching) != 1:
        return None
    if row.question_polarity == "neg":
        return matching[0]
    return next(i for i in row.persons if i != matching[0])


def biased_from_metadata(rows: Sequence[PublishedRow], path: Path) -> list[int | None]:
    """Index of the biased answer of every row by ``target_loc``, or ``None`` where it is blank or absent.

    ``target_loc`` indexes the options in the order of one release of the data. Joined to another release
    (option order and wording were drawn anew) or taken from the file published before July 2022 (which named
    the stereotyped person for both polarities), it would silently reverse the bias score; hence the
    comparison with the rows' own groups, with which it agrees wherever those tell.

    Raises:
        DataError: The file cannot be read, covers none of the rows, or contradicts more than 1% of those it
            covers.
    """
    located = _read(path)
    keys: list[Key] = [(row.category, row.question_index, row.example_id) for row in rows]
    if not any(key in located for key in keys):
        reason = f"no row of it is among the {len(rows)} loaded — use the file published with these data"
        raise DataError(path, None, reason)
    biased: list[int | None] = []
    covered, contradicted = 0, []
    for row, key in zip(rows, keys, strict=True):
        target = located.get(key)
        derived = biased_from_groups(row)
        if target is not None:
            covered += 1
            if target in row.unknowns or derived not in (None, target):
                contradicted.append(f"{row.category}/{row.example_id}")
        biased.append(None if target in row.unknowns else target)
    if len(contradicted) > _TOLERATED * covered:
        raise DataError(
            path,
            None,
            f"target_loc contradicts the groups of the data in {len(contradicted)} of {covered} rows "
            f"(first: {contradicted[0]}) — use the file of the same release as the data, "
            "not older than July 2022: `secondlook data get bbq`",
        )
    return biased


def _read(path: Path) -> dict[Key, int | None]:
    """``target_loc`` by category, question and example.

    The published table repeats the rows of Gender_identity's question 12, whose template lists two groups. A
    repetition that disagrees leaves the row untold.
    """
    located: dict[Key, int | None] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                reason = f"no column {', '.join(missing)} (columns: {', '.join(reader.fieldnames or ())})"
                raise DataError(path, 1, f"{reason} — fetch it again: `secondlook data get bbq`")
            for record in reader:
                key, target = _record(record, path, reader.line_num)
                # Once two rows disagree it stays None, whatever a third one says.
                located[key] = target if located.get(key, target) == target else None
    except OSError as error:
        raise DataError(path, None, f"cannot be read ({error.strerror}) — `secondlook data get bbq`") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, None, f"not a CSV file in UTF-8 ({error}) — `secondlook data get bbq`") from None
    return located


def _record(record: dict[str, str | None], path: Path, line: int) -> tuple[Key, int | None]:
    category, question, example, target = (record[name] for name in _COLUMNS)
    if category is None or question is None or example is None or target is None:
        raise DataError(path, line, "fewer fields than columns — fetch it again: `secondlook data get bbq`")
    if not example.isdecimal():
        raise DataError(path, line, f"example_id is not a whole number ({example!r}) — correct the line")
    if target.strip().casefold() in _BLANK:
        return (category, question, int(example)), None
    if target.strip() not in _LOCATIONS:
        raise DataError(path, line, f"target_loc is none of 0, 1, 2 or blank ({target!r}) — correct the line")
    return (category, question, int(example)), _LOCATIONS[target.strip()]


def _plain(text: str) -> str:
    return text.strip().casefold()
