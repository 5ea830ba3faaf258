"""The commands that compare logs, and that say beforehand what a comparison can find."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from secondlook.cli.terminal import console
from secondlook.layout import table

if TYPE_CHECKING:
    from secondlook.diagnosis.compared import LogComparison
    from secondlook.diagnosis.scored import ScoredLog

app = typer.Typer()
_FAILED, _UNTESTED = 1, 3
_COLOURS = {"better": "green", "worse": "red", "undecided": "yellow"}
_EACH = 20  # samples of a template, where more templates are the remedy
_STEPS = (1, 2, 4, 8, 16, 32)  # times the fewest samples that are shown


class FailIf(Enum):
    """Finding that a build fails on."""

    WORSE = "worse"
    NOT_BETTER = "not-better"


class Failed(Enum):
    """Treatment of an answer that failed or has no score."""

    LEAVE_OUT = "leave-out"
    WRONG = "wrong"


@app.command()
def compare(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="A B…", help="Inspect's logs, lm-eval's samples_*.jsonl, or tables; the others are compared with A."
        ),
    ],
    scorer: Annotated[str | None, typer.Option(help="The score to compare, where logs have several.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Metadata field or column that dependent samples share, e.g. template.")
    ] = None,
    failed: Annotated[Failed, typer.Option(help="Treatment of answers that failed.")] = Failed.LEAVE_OUT,
    by_id: Annotated[
        bool, typer.Option("--by-id", help="Pair samples by their ids alone, whatever tasks and questions say.")
    ] = False,
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="A higher score is worse.")] = False,
    fail_if: Annotated[FailIf | None, typer.Option(help="Finding that makes the exit code 1.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write an HTML page with the picture to this file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Is B better than A, or worse? Paired by sample, clustered, epochs as repeats, Holm over several logs.

    Exit codes: 0 compared; 1 --fail-if holds of a log; 2 refused, one line says why; 3 --fail-if worse holds of none,
    but one could not be tested, having no interval.
    """
    from secondlook.diagnosis.compared import compare as compare_
    from secondlook.diagnosis.compared_shown import write_page

    if len(logs) < 2:
        raise ValueError(f"{logs[0]} is one log; give two or more to compare")
    found = compare_(
        [_read(path, scorer, cluster) for path in logs],
        cluster=cluster,
        by_id=by_id,
        failed_wrong=failed is Failed.WRONG,
        lower_is_better=lower_is_better,
    )
    if page is not None:
        write_page(found, page)
    if json_:
        sys.stdout.write(json.dumps(asdict(found), indent=1) + "\n")
    else:
        _show(found)
        if page is not None:
            console.print(f"\nfile: {page}", soft_wrap=True, highlight=False)
    if fail_if is not None:
        raise typer.Exit(_code(found, fail_if))


@app.command()
def power(
    gain: Annotated[float, typer.Option(help="Gain to be seen, in points, e.g. 3 or -3.")],
    flips: Annotated[str, typer.Option(help="Share of answers right in one log and not in the other, e.g. 15%.")],
    templates: Annotated[
        int | None, typer.Option(help="Clusters the samples are spread over; by default each is its own.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Samples there will be; by default several numbers.")] = None,
    icc: Annotated[float, typer.Option(help="Correlation of two flips within one template.")] = 0.1,
    target: Annotated[str, typer.Option("--power", help="Share of comparisons that should see it.")] = "80%",
    comparisons: Annotated[int, typer.Option(help="Number of logs that will be compared with one.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Plan a comparison: how many samples it needs, by simulation of the test that compare makes."""
    from secondlook.diagnosis.power import PowerPlan, power_curve, templates_for_power

    wanted = _percent(target, "--power")
    plan = PowerPlan(gain / 100, _percent(flips, "--flips"), templates, icc, comparisons)
    curve = power_curve(plan)
    needed = None if samples is not None else curve.fewest(wanted)
    more = templates_for_power(plan, _EACH, wanted) if samples is None and needed is None and templates else None
    fewest = max(100, 2 * (templates or 0))
    lines = [curve.at(n) for n in ([samples] if samples is not None else [fewest * step for step in _STEPS])]
    if json_:
        found = {"plan": asdict(plan), "power": [asdict(line) for line in lines], "wanted": wanted}
        sys.stdout.write(json.dumps(found | {"needed": needed and asdict(needed), "templates": more}, indent=1) + "\n")
        return
    made = table("samples", "power", "95% interval, ± points", spaces=2)
    for line in lines:
        made.add_row(f"{line.samples:,}", f"{100 * line.power:.0f}%", f"{100 * line.half_width:.1f}")
    console.print(made)
    if samples is None:
        console.print(f"\n{_needed(wanted, needed.samples if needed else None, templates, more)}", highlight=False)


def _needed(wanted: float, samples: int | None, templates: int | None, more: int | None) -> str:
    if samples is not None:
        return f"About {samples:,} samples see it in {100 * wanted:.0f}% of studies."
    none = f"No number of samples up to a million sees it in {100 * wanted:.0f}% of studies"
    if templates is None:
        return f"{none}."
    return f"{none} with {templates} templates; " + (
        f"about {more} templates of {_EACH} samples do." if more else "nor does a thousand templates."
    )


def _percent(text: str, option: str) -> float:
    """A share from ``15%`` or ``15``; 0.15 is refused, since it may mean either."""
    bare = text.strip().removesuffix("%")
    try:
        value = float(bare)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100 or (bare == text.strip() and 0 < value < 1):
        raise ValueError(f"{option} is {text!r}; give percent, e.g. 15%")
    return value / 100


def _read(path: Path, scorer: str | None, cluster: str | None) -> ScoredLog:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise ValueError(f"{path} {what}; give log files, e.g. logs/*.eval or samples_*.jsonl")
    if path.suffix == ".eval" or (path.suffix == ".json" and _is_object(path)):
        from secondlook.evaluation.logged_scores import read_logged_scores

        return read_logged_scores(path, scorer, cluster)
    from secondlook.diagnosis.sample_files import read_scored

    return read_scored(path, scorer, cluster)


def _is_object(path: Path) -> bool:
    """Whether JSON is one object, as Inspect's logs are, and not a list of rows."""
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _show(found: LogComparison) -> None:
    from secondlook.diagnosis.compared_shown import HEADINGS, cells, legend, told

    for line in legend(found):
        console.print(Text(line), soft_wrap=True)
    console.print()
    made = table(*HEADINGS)
    for one in found.against:
        made.add_row(*cells(found, one), style=_COLOURS[one.standing])
    console.print(made)
    console.print()
    for one, said in zip(found.against, found.sentences, strict=True):
        console.print(Text(said, style=f"bold {_COLOURS[one.standing]}"))
        console.print(Text(told(one)))
        for note in one.notes:
            console.print(Text(note, style="dim"), soft_wrap=True)


def _code(found: LogComparison, fail_if: FailIf) -> int:
    standings = {one.standing for one in found.against}
    # What is worse is not better either, so it fails under both options.
    if "worse" in standings or (fail_if is FailIf.NOT_BETTER and standings != {"better"}):
        return _FAILED
    return _UNTESTED if any(one.p is None for one in found.against) else 0
