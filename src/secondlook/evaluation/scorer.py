"""Scores that Inspect shows of a run: first and last accuracy, and answers that could not be read."""

from __future__ import annotations

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from secondlook.correction.transcript import Transcript
from secondlook.evaluation.rows import JudgedBy, to_records
from secondlook.evaluation.samples import asked_in
from secondlook.evaluation.solver import TranscriptStore


@scorer(metrics={"*": [mean(), stderr(cluster="template")]})
def first_and_last() -> Scorer:
    """Whether the first and the last answer are right; an answer that cannot be read is not.

    Every key is given for every sample: ``first``, ``last``, ``change`` (last minus first) and ``unparsed``
    (of the last answer). The last answer is the one that was kept. The full table is made from the transcripts
    (``secondlook report``).
    """

    async def score(state: TaskState, target: Target) -> Score:
        del target  # the item knows its label
        transcript = Transcript.from_json(state.store_as(TranscriptStore).transcript)
        benchmark, asked = asked_in(state.metadata)
        judged = JudgedBy("", tuple(state.store_as(TranscriptStore).judged))
        rows = to_records(transcript, benchmark, asked.item, arm="", noise_p=0.0, judged=judged)
        held = next(row for row in reversed(rows) if row.kept)
        first, last = float(rows[0].correct is True), float(held.correct is True)
        # Inspect takes the keys from the first sample: what is missing there has no metric, without a word of it.
        return Score(
            value={
                "first": first,
                "last": last,
                "change": last - first,
                "unparsed": float(held.status == "unparsed"),
            },
            answer=held.answer,
        )

    return score
