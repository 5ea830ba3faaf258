"""Write the tables of docs/gates.md, or check them (``--check``): gates on the real studies, and the calibration."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from evidence_tables import block, refresh
from real_records import whole

from secondlook.fitting.gate_file import GateFile, Trial, Worth
from secondlook.fitting.gate_fit import fit, held_out, questions_of
from secondlook.fitting.gate_made import made_of

ROOT = Path(__file__).parent.parent
PAGE, CALIBRATION, REAL = ROOT / "docs/gates.md", ROOT / "results/diagnosis/gates.json", ROOT / "results/real"
PRICE = 1.0
"""Points of accuracy that 1,000 more tokens a question must bring, declared before any gate was fitted."""
ARMS = ("self", "tool", "other")
_OF_ARM = ("arms", "questions", "files", "critic_command", "critic_seconds", "votes", "vote_temperature", "noise")


def studies() -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Model, name and records of every study: units that differ in nothing but arm and part of the data.

    Arms that were not asked all of their parts are left out.
    """
    for folder in sorted(path for path in REAL.iterdir() if path.is_dir()):
        found: dict[str, list[pd.DataFrame]] = {}
        for file in sorted(folder.glob("*.parquet")):
            records = pd.read_parquet(file)
            settings = {name: value for name, value in records.attrs["settings"].items() if name not in _OF_ARM}
            found.setdefault(json.dumps(settings, sort_keys=True), []).append(records)
        for key, units in found.items():
            settings = json.loads(key)
            rounds, variant = settings.get("rounds", 1), settings.get("variant", "self")
            name = f"{settings['benchmark']}, {rounds} look{'s' if rounds > 1 else ''}"
            name += f", {variant}" if variant != "self" else ""
            frames = [unit.assign(sample=unit["sample"].astype(str)) for unit in _whole(settings["benchmark"], units)]
            if not frames:
                continue
            for frame in frames:
                frame.attrs = {}
            # Every unit of BBQ holds the arm that always abstains, so it comes several times.
            yield folder.name, name, pd.concat(frames, ignore_index=True).drop_duplicates(["arm", "sample", "round"])


def _whole(benchmark: str, units: list[pd.DataFrame]) -> list[pd.DataFrame]:
    by_arm: dict[tuple[str, float | None], list[pd.DataFrame]] = {}
    for unit in units:
        settings = unit.attrs["settings"]
        by_arm.setdefault((settings["arms"][0], settings.get("noise")), []).append(unit)
    return [unit for each in by_arm.values() if whole(benchmark, each) for unit in each]


def gated() -> Iterator[tuple[str, str, str, GateFile, Trial | None]]:
    """Every arm of every study that looks again: fitted on half of the templates, tested on the other."""
    for model, name, records in studies():
        for arm in ARMS:
            try:
                first, second = (questions_of(records, arm, (half, 2)) for half in (1, 2))
                file = fit(first, made_of(first.table, first.arm), PRICE, anyway=True)
            except ValueError:
                continue  # the study has no such arm, or it does not look again
            yield model, name, arm, file, held_out(file, second)


def real() -> str:
    """A line for each arm of each study, also where nothing is gained."""
    lines = [
        "| model | study | arm | gate fitted | shown in the fit | on the other half | always | flagged | vote |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model, name, arm, file, found in gated():
        assert found is not None
        rows = {row.name: row for row in found.rows}
        others = [
            _told(rows.get(each)) for each in ("always", "flagged", "a majority vote of samples at equal token cost")
        ]
        shown = "no" if file.sentence.startswith("None") else "yes"
        mine = f"{_told(found.rows[0])}: {found.finding}"
        lines.append(f"| {model} | {name} | `{arm}` | {file.gate.words} | {shown} | {mine} | {' | '.join(others)} |")
    return (
        "\n".join([*lines, "", f"Worth in points a question, at {PRICE:g} point for 1,000 tokens, over never; 95%."])
        + "\n"
    )


def _told(row: Worth | None) -> str:
    if row is None:
        return "–"
    value = row.value
    return f"{value.value:+.1f}" + (f" [{value.low:+.1f}, {value.high:+.1f}]" if value.low is not None else "")


def calibration(result: dict[str, Any]) -> str:
    """How often a gate was named, and said to help, over all subjects of a kind."""
    columns = ("named", "best said to help", "named and said to help")
    lines = [f"| subjects | {' | '.join(columns)} |", "|---|---|---|---|"]
    worst = {name: max(cell[name] for cell in result["null"]) for name in columns}
    mean = {name: sum(cell[name] for cell in result["null"]) / len(result["null"]) for name in columns}
    cells = [f"{100 * mean[name]:.1f}%, at most {100 * worst[name]:.1f}%" for name in columns]
    lines.append(f"| {len(result['null'])} that nothing helps | {' | '.join(cells)} |")
    for cell in result["helped"]:
        what = f"repaired {100 * cell['repair']:.0f}%, harmed {100 * cell['harm']:.0f}%"
        what = "drawn anew, where signals doubt the first answer or not" if cell["drift"] else what
        what += f", {100 * cell['accuracy']:.0f}% right"
        what += ", signals say nothing" if not cell["signal"] else ""
        lines.append(f"| {what}; n = {cell['n']:,} | {' | '.join(f'{100 * cell[name]:.1f}%' for name in columns)} |")
    return (
        "\n".join([*lines, "", f"{result['datasets']:,} datasets a subject, half to fit on and half to test on."])
        + "\n"
    )


def filled(text: str) -> str:
    """The page as it should be."""
    text = block(text, "calibration", calibration(json.loads(CALIBRATION.read_text("utf-8"))))
    return block(text, "real", real())


if __name__ == "__main__":
    sys.exit(refresh(PAGE, filled, f"{PAGE.name} does not show its results; run: python tools/gate_tables.py"))
