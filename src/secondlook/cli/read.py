"""Commands about replies: what would be read of them, and some of them for people to label."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def label(
    run: Annotated[Path, typer.Argument(help="Folder of a run with logs.")],
    out: Annotated[Path, typer.Option(help="File that gets one reply a line, with label null.")],
    n: Annotated[int, typer.Option(min=1, help="Replies to draw.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
) -> None:
    """Draw replies of a run for people to label, at random; --judge-labels then corrects the judges by them.

    Replace each null by "refused", "complied" or "unclear", or, of a task with right answers, by true or false; a line
    that keeps its null is skipped.
    """
    from secondlook.evaluation.logs import read_logged

    if out.exists():
        raise ValueError(f"{str(out)!r} is there, and may hold labels; choose another --out")
    replies = [(logged, round_) for logged in read_logged(run) for round_ in logged.transcript.rounds]
    drawn = random.Random(seed).sample(replies, min(n, len(replies)))  # noqa: S311 - a draw that can be repeated
    lines = [
        {
            "arm": logged.arm,
            "sample": logged.item.id,
            "round": round_.index,
            "asked": logged.benchmark.shown(logged.item).text,
            "reply": round_.answer,
            "label": None,
        }
        for logged, round_ in drawn
    ]
    out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    sys.stdout.write(f"file: {out}, {len(lines)} of {len(replies)} replies\n")


@app.command()
def read(
    file: Annotated[
        Path, typer.Argument(help="JSON Lines: kind, reply, and finish, options, answer, prompt where it has them.")
    ],
) -> None:
    """Show what would be read of replies: each line again, with read, and grade where it has an answer.

    Kinds: answer, verdict, score, exact, contains, number, choice, refusal. null means that it cannot be read.
    """
    from secondlook.benchmarks.read_line import read_line

    for number, text in enumerate(file.read_text("utf-8-sig").split("\n"), start=1):
        if not text.strip():
            continue
        try:
            sys.stdout.write(json.dumps(read_line(json.loads(text)), ensure_ascii=False) + "\n")
        except ValueError as error:
            raise ValueError(f"{file}:{number}: {error}") from None
