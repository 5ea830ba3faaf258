"""What a diagnosis holds: the form of ``diagnosis.json``, which a gateway reads as its policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from secondlook.diagnosis.bias import BiasRound
from secondlook.diagnosis.break_even import BreakEven
from secondlook.diagnosis.dose import Correlation, DoseResponse
from secondlook.diagnosis.forecast import Forecast
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.recommend import Recommendation
from secondlook.diagnosis.transitions import Critic, Step
from secondlook.diagnosis.verdict import Comparison, Effect


@dataclass(frozen=True, slots=True)
class RoundState:
    """The answers in hand after one round.

    Attributes:
        round: 0 for the first answer.
        samples: Samples with an answer in hand.
        accuracy: Share of right answers; one that cannot be read is not right.
        gain: Accuracy minus that of the first answers, paired; ``None`` for round 0.
        unparsed: Answers in hand that cannot be read.
        refused: Answers in hand that refuse and are not judged.
        failed: Calls of this round that failed.
        tokens: Mean tokens per sample spent up to here, failed calls too.
    """

    round: int
    samples: int
    accuracy: Estimate | None
    gain: Estimate | None
    unparsed: int
    refused: int
    failed: int
    tokens: float | None


@dataclass(frozen=True, slots=True)
class GroupDiagnosis:
    """One group, or all samples: what a gateway's policy needs.

    Attributes:
        group: Its name, or ``all``.
        n: Samples with a first answer.
        verdict: ``helps``, ``hurts`` or ``undecided``; over groups adjusted for their number.
        reason: Why, in a sentence.
        p: P-value of the verdict.
        recommended_rounds: Second looks worth their price; 0 unless the verdict is ``helps``.
        accuracy: Of the first answers.
        gain: Accuracy of the judged round minus that of the first, paired.
        comparisons: The judged answers against the first ones and each control.
        contexts: The gain by context.
        critic: The critic on the first answers.
        break_even: Accuracy a symmetric critic needs on the first answers.
        keep: CL of the first step.
        repair: CS of the first step.
        forecast: Later rounds, fitted on the first step.
    """

    group: str
    n: int
    verdict: Effect
    reason: str
    p: float | None
    recommended_rounds: int
    accuracy: Estimate | None
    gain: Estimate | None
    comparisons: list[Comparison]
    contexts: dict[str, Estimate | None]
    critic: Critic
    break_even: Estimate | None
    keep: Estimate | None
    repair: Estimate | None
    forecast: Forecast | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything a table says of one arm.

    Attributes:
        format: Name and version of this form.
        model: The model, if the table says.
        arm: The arm diagnosed.
        critic: Its critic.
        variant: How the question was put again; ``None`` if the table does not say.
        prompt: Name and hash of the prompt file whose words were used; ``None`` if the table does not say.
        round: The round judged.
        sentence: The verdict in words.
        overall: All samples together.
        groups: Every group.
        rounds: Round by round.
        steps: Transitions from each round to the next.
        forecast: Accuracy of later rounds, fitted on the first step, beside what was measured.
        break_even: What the critic's accuracy has to be.
        recommendation: Rounds worth their tokens.
        bias: Bias scores by round.
        dose: Accuracy against injected corruption of the verdicts.
        correlation: Gain against critic accuracy over groups.
        advice: What to do next, in sentences.
        cannot: What cannot be estimated, in sentences.
        notes: What must be known to read it.
    """

    format: Literal["secondlook.diagnosis/1"]
    model: str | None
    arm: str
    critic: str
    variant: str | None
    prompt: str | None
    round: int
    sentence: str
    overall: GroupDiagnosis
    groups: list[GroupDiagnosis]
    rounds: list[RoundState]
    steps: list[Step]
    forecast: Forecast | None
    break_even: BreakEven | None
    recommendation: Recommendation
    bias: list[BiasRound]
    dose: DoseResponse | None
    correlation: Correlation | None
    advice: list[str]
    cannot: list[str]
    notes: list[str]


_ADAPTER: TypeAdapter[Diagnosis] = TypeAdapter(Diagnosis)


def to_json(diagnosis: Diagnosis) -> str:
    """The diagnosis as JSON text; what does not exist is ``null``."""
    return _ADAPTER.dump_json(diagnosis, indent=1).decode() + "\n"


def from_json(text: str | bytes) -> Diagnosis:
    """Read what :func:`to_json` wrote.

    Raises:
        pydantic.ValidationError: If the text is not a diagnosis (a ``ValueError``).
    """
    return _ADAPTER.validate_json(text)


def schema() -> dict[str, Any]:
    """The JSON schema of :func:`to_json`'s text; published as ``docs/diagnosis.schema.json``."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_ADAPTER.json_schema(mode="serialization")}


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(), indent=1) + "\n"
