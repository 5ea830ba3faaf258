"""One question as the loop sees it: the words it is asked in, and its truth where that is known.

A benchmark implements :class:`Case`. The loop decides *when* each text is shown and never writes one itself.
"""

from __future__ import annotations

import hashlib
from typing import Literal, Protocol, get_args

from secondlook.correction.chat import Finish
from secondlook.correction.elicit import Form

Verdict = Literal["wrong", "right", "unclear"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Case(Protocol):
    """One question: its words and, where known, its truth."""

    @property
    def sample(self) -> str:
        """Identifier of the question, unique within a run."""

    @property
    def prompt(self) -> str:
        """Name and version of the prompt file, e.g. ``bbq/binary-cot@3f2a9c10``."""

    @property
    def system(self) -> str | None:
        """System message, if the benchmark uses one."""

    @property
    def answer_form(self) -> Form | None:
        """The form of an answer; ``None`` where it has none that could be asked for alone."""

    @property
    def verdict_form(self) -> Form | None:
        """The form of a verdict; ``None`` where critiques state none."""

    @property
    def preference_form(self) -> Form | None:
        """The form in which a judge says which of two answers it prefers: ``earlier`` or ``latest``."""

    def query(self, round_index: int) -> str:
        """The question, as asked in this round."""

    def check(self, round_index: int) -> str:
        """The request to examine the answer of this round."""

    def reask(self, round_index: int, *, repeat_query: bool, critiqued: bool) -> str:
        """The request for the answer of this round (1 or later), which may show the question again.

        Where no critique of the earlier answer stands in the conversation (the content-free control), the text must not
        hint at the answer being wrong or right.
        """

    def verify(self, round_index: int) -> str:
        """The request to verify the earlier answer first, and to change it only where it is wrong."""

    def feedback(self, verdict: Verdict) -> str:
        """A critique in the form the check asks for, stating this verdict and nothing else."""

    def verdict(self, critique: str, finish: Finish = "stop") -> Verdict:
        """Read a critique strictly: ``unclear`` unless it states exactly one verdict."""

    def grade(self, answer: str, finish: Finish = "stop") -> bool | None:
        """Whether an answer is correct; ``None`` if it cannot be read or the truth is not known."""


def seed_from(*parts: object) -> int:
    """A 63-bit seed that depends on the parts alone, never on call order, process or platform."""
    # The separator keeps (1, 23) and (12, 3) apart; 63 bits fit a signed integer of 64.
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
