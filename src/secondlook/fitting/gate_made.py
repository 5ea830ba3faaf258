"""Origin of records: what they were made with, and whether other records were made with the same."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from secondlook.diagnosis.diagnose import token_limit
from secondlook.diagnosis.examiner import examiner_of, read_run
from secondlook.diagnosis.table import Arm, Table
from secondlook.fitting.gate_file import Made


def made_of(table: Table, arm: Arm, folder: Path | None = None) -> Made:
    """Origin of an arm's records, as far as they, and the run's folder, tell.

    Args:
        table: The records.
        arm: The arm.
        folder: Where a run left its settings, if it is one run's.
    """
    run = read_run(folder) if folder is not None else None
    return Made(
        model=table.model,
        critic=arm.critic,
        variant=arm.variant,
        prompt=arm.prompt,
        stop=arm.stop,
        max_tokens=token_limit(arm.decoding),
        elicit=run["settings"].get("elicit") if run else None,
        chat_template=arm.chat_template,
        examiner=examiner_of(run, arm.name, arm.critic) if run else None,
        judge=table.judge,
        noise=arm.noise,
    )


def check_same(made: Made, other: Made, where: str) -> None:
    """See that records were made with what others were made with; what one of them does not tell is not compared.

    Raises:
        ValueError: They were not; names what differs.
    """
    for each in fields(Made):
        mine, theirs = getattr(made, each.name), getattr(other, each.name)
        if mine is not None and theirs is not None and mine != theirs:
            raise ValueError(
                f"{where} is of {each.name} {mine!r}, these records are of {theirs!r}; give records of the same"
            )
