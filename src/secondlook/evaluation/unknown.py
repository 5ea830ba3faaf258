"""The control that asks nobody: every question answered with "cannot be told", at no cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from secondlook.correction.chat import Usage
from secondlook.correction.transcript import Round
from secondlook.evaluation.logs import Logged
from secondlook.evaluation.study import UNKNOWN


def always_unknown(samples: Sequence[Logged]) -> list[Logged]:
    """Answers of the control to the questions of other arms, with their model and prompt."""
    questions = {logged.item.id: logged for logged in samples}
    return [
        _said(logged, reply)
        for logged in questions.values()
        if (reply := logged.benchmark.abstention(logged.item)) is not None
    ]


def _said(logged: Logged, reply: str) -> Logged:
    answer = Round(0, reply, "stop", Usage(), 0.0)
    transcript = replace(
        logged.transcript, critic=UNKNOWN, variant="self", messages=(), rounds=(answer,), stop="rounds", error=None
    )
    return replace(logged, name=UNKNOWN, arm=UNKNOWN, noise_p=0.0, transcript=replace(transcript, lost=Usage()))
