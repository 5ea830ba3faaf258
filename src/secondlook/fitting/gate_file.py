"""A gate's file: the gate, what it was fitted on, what it is expected to bring, and what a test has shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from secondlook.diagnosis.examiner import Examiner
from secondlook.diagnosis.finding import Effect
from secondlook.diagnosis.intervals import Estimate
from secondlook.fitting.json_file import JsonFile
from secondlook.gate import Gate

FORMAT: Final = "secondlook.gate/1"
"""Name and version of the form."""


@dataclass(frozen=True, slots=True)
class Made:
    """Origin of records; only the same may be served by what was learnt from them.

    Attributes:
        model: With its provider; ``None`` where the records do not say, as in what follows.
        critic: Its kind; ``examiner`` is the critic in full.
        variant: How the question was put again.
        prompt: Name and hash of the prompt file.
        stop: The stop rule.
        max_tokens: Tokens that a critique could have.
        elicit: Whether it was asked once more where nothing could be read.
        chat_template: Hash of the chat template.
        judge: The model whose word right and wrong are, where one graded.
        noise: Probability with which the critic's verdicts were flipped.
    """

    model: str | None
    critic: str
    variant: str | None = None
    prompt: str | None = None
    stop: str | None = None
    max_tokens: int | None = None
    elicit: str | None = None
    chat_template: str | None = None
    examiner: Examiner | None = None
    judge: str | None = None
    noise: float | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """Worth of a way of deciding over never looking again, on the same questions.

    Attributes:
        name: Of the way.
        looks: Share of the questions that were looked at again; ``None`` where that has no meaning.
        change: Accuracy minus that of the first answers, paired.
        tokens: Further tokens a question; ``None`` if they are not known.
        value: Points of accuracy minus the price of those tokens, a question.
        per_token: Points of accuracy for each 1,000 further tokens; ``None`` where there are none.
    """

    name: str
    looks: float | None
    change: Estimate
    tokens: float | None
    value: Estimate
    per_token: float | None


@dataclass(frozen=True, slots=True)
class Trial:
    """Trial of a gate on questions that it was not fitted on.

    Attributes:
        finding: ``helps`` if it is worth more than never looking again and than every control in the table; ``hurts``
            if it is worth less than never looking; else ``undecided``, so too where a control cannot be compared.
        sentence: The finding in words.
        rows: Itself first, then never, always, flagged, a vote at equal cost, and what else there was.
        questions: How many; ``seen`` of their ``templates`` were also fitted on.
    """

    finding: Effect
    sentence: str
    rows: list[Worth]
    questions: int
    templates: int
    seen: int


@dataclass(frozen=True, slots=True)
class GateFile:
    """A gate, and everything that must be known to serve it.

    Attributes:
        gate: When to look again, and what to keep; ``never`` where nothing was shown to help.
        rounds: Second looks at most.
        made: What the records were made with.
        price: Points of accuracy that 1,000 more tokens a question must bring.
        sentence: What is expected of it, in words.
        rows: The gate as cross-fitted, then what it was compared with.
        questions: Digests of the questions' names it was fitted on; ``templates`` likewise.
        tested: What a test has shown; ``None`` before there was one.
    """

    format: Literal["secondlook.gate/1"]
    gate: Gate
    rounds: int
    made: Made
    price: float
    sentence: str
    rows: list[Worth]
    questions: list[str]
    templates: list[str]
    tested: Trial | None = None

    @property
    def helps(self) -> bool:
        """Whether a test has shown that it helps; until then it looks at nothing where it is served."""
        return self.tested is not None and self.tested.finding == "helps"


_FILE = JsonFile(GateFile, FORMAT, "gate", "secondlook gate fit RUN --out")


def read_gate(path: Path) -> GateFile:
    """Read a gate's file.

    Raises:
        ValueError: It cannot be read, or holds no gate of this version; in one line.
    """
    return _FILE.read(path)


def gate_text(file: GateFile) -> str:
    """A gate's file as JSON text."""
    return _FILE.text(file)


def names_digested(names: Iterable[str]) -> list[str]:
    """Digests of names, by which overlap is seen and nothing is told of them; sorted."""
    # 48 bits: among 100,000 names two share a digest with a chance of 2 in 100,000.
    return sorted(hashlib.sha256(name.encode()).hexdigest()[:12] for name in set(names))


def with_test(file: GateFile, tested: Trial) -> GateFile:
    """The file with what a test has shown."""
    return replace(file, tested=tested)
