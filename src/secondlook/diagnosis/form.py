"""Form of ``diagnosis.json``, which a gateway reads as its policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import TypeAdapter

from secondlook.diagnosis.bias import BiasRound
from secondlook.diagnosis.break_even import BreakEven
from secondlook.diagnosis.confidence import Confidence
from secondlook.diagnosis.dose import Correlation, DoseResponse
from secondlook.diagnosis.examiner import Examiner
from secondlook.diagnosis.finding import Effect, PairedComparison
from secondlook.diagnosis.forecast import Forecast
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.recommend import Recommendation
from secondlook.diagnosis.transitions import CriticRates, Step

FORMAT: Final = "secondlook.diagnosis/2"
"""Name and version of the form; version 1 said ``verdict`` for ``finding``."""


@dataclass(frozen=True, slots=True)
class RoundState:
    """The answers in hand after one round.

    Attributes:
        samples: Samples with an answer in hand.
        accuracy: Share of right answers; one that cannot be read is not right.
        gain: Accuracy minus that of the first answers, paired; ``None`` for round 0.
        refused: Answers in hand that refuse and are not judged.
        failed: Calls of this round that failed.
        tokens: Mean tokens per sample spent up to this answer, failed calls too; its own critique is of the next look.
        accuracy_corrected: Accuracy, corrected by people's labels of some answers in hand; ``None`` without.
        gain_corrected: Gain, corrected where people have labelled both the first answer and this one.
        elicited: Answers of this round that were asked for once more, alone, since none could be read.
        elicited_verdicts: Verdicts on them, likewise.
    """

    round: int
    samples: int
    accuracy: Estimate | None
    gain: Estimate | None
    unparsed: int
    refused: int
    failed: int
    tokens: float | None
    elicited: int = 0
    elicited_verdicts: int = 0
    accuracy_corrected: Estimate | None = None
    gain_corrected: Estimate | None = None


@dataclass(frozen=True, slots=True)
class GroupDiagnosis:
    """One group, or all samples: the part that a gateway's policy needs.

    Attributes:
        group: Name of the group, or ``all``.
        n: Samples with a first answer.
        finding: ``helps``, ``hurts`` or ``undecided``; over groups adjusted for their number.
        reason: Reason of the finding, in a sentence.
        p: P-value of the finding.
        recommended_rounds: Second looks worth their price; 0 unless the finding is ``helps``.
        accuracy: Share of right first answers.
        gain: Accuracy of the judged round minus that of the first, paired.
        comparisons: The judged answers against the first ones and each control.
        contexts: The gain by context.
        critic: The critic's verdicts on the first answers.
        break_even: Accuracy a symmetric critic needs there.
        keep: CL of the first step; ``repair`` is its CS, and ``forecast`` is fitted on it.
    """

    group: str
    n: int
    finding: Effect
    reason: str
    p: float | None
    recommended_rounds: int
    accuracy: Estimate | None
    gain: Estimate | None
    comparisons: list[PairedComparison]
    contexts: dict[str, Estimate | None]
    critic: CriticRates
    break_even: Estimate | None
    keep: Estimate | None
    repair: Estimate | None
    forecast: Forecast | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything a table says of one arm; what it does not say is ``None``.

    Attributes:
        format: Name and version of this form.
        model: Provider and model, where the table has one.
        arm: The arm diagnosed.
        critic: Name of its critic.
        variant: Form in which the question was put again.
        prompt: Name and hash of the prompt file whose words were used.
        round: The round judged.
        sentence: The finding in words.
        overall: All samples together.
        groups: Each group alone.
        rounds: Each round over all samples.
        steps: Each step from one round to the next.
        break_even: Accuracy that the critic needs.
        bias: BBQ's bias score after each round.
        forecast: Accuracy of later rounds, fitted on the first step, beside what was measured.
        recommendation: Rounds worth their tokens.
        dose: Accuracy against injected corruption of the verdicts.
        correlation: Gain against critic accuracy over groups.
        critic_confidence: Quality of the critic's probability of ``wrong`` on the first answers.
        answer_confidence: Quality of the model's own probability of its first answer.
        advice: Next steps, in sentences.
        cannot: Numbers that cannot be estimated, with reasons, in sentences.
        notes: Notes needed to read it.
        stop: The stop rule under which it was asked again: ``fixed``, ``satisfied`` or ``gate``.
        keep: Which answer was kept after a look: ``new``, ``preferred`` or ``confirmed``; ``unknown`` where new answers
            were rejected and the table does not say by which rule.
        noise: Probability with which the critic's verdicts were flipped.
        max_tokens: Tokens that a reply, and so a critique, could have.
        chat_template: Hash of the chat template, where the provider tells it.
        elicit: Whether it was asked once more where nothing could be read, where the table came from a run's folder.
        judge: The model whose word right and wrong are, where a model graded and no rule.
        examiner: The critic in full, where the table came from a run's folder.
    """

    format: Literal["secondlook.diagnosis/2"]
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
    # Fields with a default came later: files of earlier versions lack them, and are still read.
    stop: str | None = None
    max_tokens: int | None = None
    chat_template: str | None = None
    elicit: str | None = None
    critic_confidence: Confidence | None = None
    answer_confidence: Confidence | None = None
    examiner: Examiner | None = None
    judge: str | None = None
    keep: str | None = None
    noise: float | None = None


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


def schema_text() -> str:
    """The JSON schema of :func:`to_json`'s text, as ``docs/diagnosis.schema.json`` has it."""
    schema = _ADAPTER.json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"
