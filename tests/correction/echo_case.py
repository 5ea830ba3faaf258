"""A case whose every text says which one it is, and small makers for tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from secondlook.correction import Completion, Critic, Examination, Message, Transcript, Usage, Verdict

system, user, assistant = (partial(Message, role) for role in ("system", "user", "assistant"))
HISTORY = (user("other query"), assistant("other answer"), user("other check"), assistant("other critique"))


@dataclass(frozen=True)
class EchoCase:
    sample: str = "s1"
    truth: str | None = "B"
    system: str | None = "Be brief."
    prompt: str = "echo/plain@0"
    answer_form = None
    verdict_form = None
    preference_form = None

    def query(self, round_index: int) -> str:
        return f"{self.sample}: query {round_index}"

    def check(self, round_index: int) -> str:
        return f"check {round_index}"

    def reask(self, round_index: int, *, repeat_query: bool, critiqued: bool) -> str:
        why = "given the critique" if critiqued else "once more"
        return f"{self.query(round_index)}, {why}" if repeat_query else f"refine {round_index}, {why}"

    def feedback(self, verdict: Verdict) -> str:
        return f"verdict: {verdict}"

    def verdict(self, critique: str, finish: str = "stop") -> Verdict:
        words = critique.split()
        wrong, right = "wrong" in words, "right" in words
        return "unclear" if wrong == right else "wrong" if wrong else "right"

    def grade(self, answer: str, finish: str = "stop") -> bool | None:
        return None if self.truth is None else answer == self.truth


def said(text: str, tokens: int = 10) -> Completion:
    """A completion that cost this many tokens, two of them generated."""
    return Completion(text, Usage(input=tokens - 2, output=2, calls=1))


def examination(case: EchoCase | None = None, answer: str = "A", round_index: int = 0) -> Examination:
    case = case or EchoCase()
    messages = (system("Be brief."), user(case.query(round_index)), assistant(answer))
    return Examination(case, round_index, answer, messages, seed=7)


async def verdict_of(critic: Critic, exam: Examination) -> Verdict:
    critique = await critic.examine(exam)
    assert critique is not None
    return critique.verdict


def timeless(transcript: Transcript) -> Transcript:
    """The transcript without its wall times, which no two runs share."""
    rounds = (
        replace(round_, seconds=0.0, critique=round_.critique and replace(round_.critique, seconds=0.0))
        for round_ in transcript.rounds
    )
    return replace(transcript, rounds=tuple(rounds))
