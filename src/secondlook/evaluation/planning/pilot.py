"""A finished run, read as the pilot of a larger study: what its calls cost, and how long they took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from inspect_ai.log import EvalLogInfo, list_eval_logs, read_eval_log, read_eval_log_sample_summaries
from numpy.typing import NDArray

from secondlook.correction.chat import Usage
from secondlook.correction.transcript import Critique, Preference, Round, Transcript
from secondlook.evaluation import manifest, times
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluation import Evaluation, digests_of
from secondlook.evaluation.logs import Logged, read_logged
from secondlook.evaluation.shards import without_merged
from secondlook.evaluation.study import Study
from secondlook.prompts.prompt import load_prompt

Array: TypeAlias = NDArray[np.float64]


class Quantity(IntEnum):
    """Quantities of calls; *reusable* are prompt tokens that a prefix cache could serve."""

    CALLS, IN, OUT, CACHED, REUSABLE, SECONDS = range(6)


class Kind(IntEnum):
    """Kinds of calls of a look: of the critic, for an answer, and of whoever says whether that is kept."""

    EXAMINATION, ANSWER, JUDGEMENT = range(3)


@dataclass(frozen=True, slots=True)
class PilotArm:
    """Measured cost of one arm of a pilot.

    Attributes:
        looks: Shape (conversations, looks, kinds, quantities): what is known of each look's calls; look 0 has none but
            the first answer.
        categories: Of each conversation's question.
        templates: What its question shares with others; itself, where it shares nothing.
        once: Shape (6,): what was asked once for all, to make a history.
        span: Seconds in which samples were on their way.
    """

    looks: Array
    categories: NDArray[np.str_]
    templates: NDArray[np.str_]
    once: Array
    span: float


@dataclass(frozen=True, slots=True)
class Pilot:
    """A run that tells what a larger one costs.

    Attributes:
        manifest: Its settings, and those of each arm.
        failed: Samples that ended in an error; they are left out.
        times: The rest of its wall time; ``None`` if it was not run in one go.
        in_flight: Questions that were on their way at a time, at most; ``None`` where the logs do not tell.
    """

    evaluation: Evaluation
    manifest: Mapping[str, Any]
    arms: Mapping[str, PilotArm]
    failed: int
    times: times.Times | None
    in_flight: int | None


def read_pilot(folder: Path) -> Pilot:
    """Read the folder of a run.

    Raises:
        ValueError: If it is not the folder of a run, keeps no logs, or its prompt, its questions or the files of
            its gate and critics are not those here.
        RunError: If a log cannot be read.
    """
    kept = manifest.read(folder)
    if kept is None:
        raise ValueError(f"{str(folder)!r} is not the folder of a run; make one with: secondlook eval --out {folder}")
    evaluation = evaluation_of(kept["settings"], kept["arms"])
    tasks = {name: evaluation.task(name) for name in evaluation.names}
    found, made = evaluation.digest(tasks[evaluation.names[0]]), kept["settings"]["hash of the questions"]
    if found != made:
        raise ValueError(
            f"the questions here are not those of {str(folder)!r} (hash {found}, there {made}); give the same data, or "
            "run the pilot again"
        )
    for name, task in tasks.items():
        if evaluation.digest_of_words(name, task) != kept["arms"][name].get("hash of the words"):
            raise ValueError(
                f"arm {name!r} of {str(folder)!r} asked in other words than it would here, or noted none; run the "
                "pilot again"
            )
    logged = read_logged(folder)
    done = [one for one in logged if one.transcript.stop not in ("error", "refused")]
    if any(one.transcript.usage.untold for one in done):
        raise ValueError(f"the server of {str(folder)!r} does not tell what calls cost: a plan cannot be estimated")
    arms = {}
    for name in evaluation.names:
        if not (own := [one for one in done if one.name == name]):
            raise ValueError(f"arm {name!r} of {str(folder)!r} has no finished sample; run it again to go on")
        arms[name] = cost_of(own, evaluation.study_of(name), _span(folder / name))
    asked = [
        # A log notes no number where it followed what the server bore; there it is estimated.
        read_eval_log(info, header_only=True).eval.config.max_samples or _beside(info)
        for info in without_merged(list_eval_logs(str(folder)))
    ]
    busy = min((number for number in asked if number), default=None)
    return Pilot(evaluation, kept, arms, len(logged) - len(done), times.read(folder), busy)


def evaluation_of(settings: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    """Evaluation that a run's manifest describes.

    Raises:
        ValueError: If the prompt file, the gate or another file is another one by now, or a setting is not known.
    """
    version = str(settings["prompt"])
    prompt = version.rpartition("@")[0] or version  # from the right: a path of the user's may hold an @
    if (found := load_prompt(prompt).version) != version:
        raise ValueError(f"the pilot's prompt is {version}, and here it is {found}; run the pilot again")
    for holder in (settings, *arms.values()):
        for name, found in digests_of(holder).items():
            if (held := holder.get(name)) not in (None, found):
                what = name.removeprefix("hash of the ")
                named = ", ".join(repr(holder[key]) for key in _NAMED[what] if holder.get(key))
                raise ValueError(f"the pilot's {what} {named} was another one (hash {held}); run the pilot again")
    # A setting of one critic is no other's, so those of all arms fit into one study, which Evaluation deals out again.
    own = {name: value for arm in arms.values() for name, value in arm.items() if name in _STUDY}
    shared = {name: value for name, value in settings.items() if name not in _NO_STUDY}
    asking = (settings.get("critic_endpoint"), arms.get("other"), arms.get("fitted", {}).get("critic_endpoint"))
    examiner, judge = next(filter(None, asking), None), settings.get("judge")
    return Evaluation(
        benchmark=settings["benchmark"],
        endpoint=_endpoint(settings),
        arms=tuple(arms),
        study={**shared, **own, "prompt": prompt},
        questions=settings["questions"],
        seed=settings["seed"],
        critic_endpoint=_endpoint(examiner) if examiner else None,
        judge_endpoint=_endpoint(judge) if judge else None,
    )


def resized(
    pilot: Pilot, *, arms: Sequence[str] = (), rounds: int | None = None, whole: bool = False, **sizes: int | None
) -> Evaluation:
    """The pilot's study at another size; what is not said is as in the pilot.

    Args:
        pilot: The pilot.
        arms: Some of its arms; all, by default.
        rounds: Second looks.
        whole: Whether all questions of the benchmark are asked.
        **sizes: Options of the benchmark that say how many questions are asked, e.g. ``limit``.

    Raises:
        ValueError: If the pilot lacks an arm, or a size is one that the benchmark or the pilot cannot tell of.
    """
    settings, names = dict(pilot.manifest["settings"]), pilot.evaluation.names
    if foreign := [name for name in arms if name not in pilot.manifest["arms"]]:
        option = f"--{pilot.evaluation.kind.arm_word} {foreign[0]}"
        raise ValueError(
            f"the pilot has no arm {foreign[0]!r}, only {', '.join(names)}; run the pilot with {option} too"
        )
    if rounds is not None:
        if settings.get("gate"):
            raise ValueError(f"rounds is {rounds}, and the pilot's gate has looks of its own; leave --rounds out")
        _check_rounds(settings, arms or names, rounds)
        settings["rounds"] = rounds
    given = {name: size for name, size in sizes.items() if size is not None}
    if given or whole:  # what kept the pilot small is not the study's
        kept = {name: value for name, value in settings["questions"].items() if name not in sizes}
        settings["questions"] = kept | given
    return evaluation_of(settings, {name: pilot.manifest["arms"][name] for name in arms or names})


def calls_of(transcript: Transcript, study: Study) -> Array:
    """The calls of one conversation, shape (looks, kinds, quantities); critics that ask no model make none.

    Of a prompt a cache could serve what the call before it had, prompt and reply; of the first prompt, what the
    endpoint says it had.
    """
    found, before = np.zeros((study.looks + 1, len(Kind), len(Quantity))), 0
    for answer in transcript.rounds:
        at, critique, preference = answer.index, answer.critique, answer.preference
        made: list[tuple[int, Kind, Round | Critique | Preference]] = [(at, Kind.ANSWER, answer)]
        if preference is not None:
            made.append((at, Kind.JUDGEMENT, preference))
        if critique is not None and critique.usage.calls:
            # A look is a critique and the answer after it: the critique of answer i belongs to look i + 1, but for one
            # that decides whether that answer is kept.
            judges = at > 0 and study.decides.keep == "confirmed"
            made.append((at, Kind.JUDGEMENT, critique) if judges else (at + 1, Kind.EXAMINATION, critique))
        for look, kind, said in made:
            # The turn that asks once more, alone, begins with all of the call before it.
            again = said.usage.total if said.elicited else 0
            cost, reusable = said.cost, max(said.cost.cached, min(before, said.usage.input) + again)
            found[look, kind] += [cost.calls, cost.input, cost.output, cost.cached, reusable, said.took]
            if said is not preference:  # like that turn, it is no part of the conversation that goes on
                before = said.usage.total
        if (drawn := answer.sampled) is not None:
            # Each sample is asked as the first answer was. Seconds of samples are not kept: they are taken for that's.
            first = transcript.rounds[0]
            reusable = max(drawn.cached, min(drawn.calls * first.usage.input, drawn.input))
            seconds = drawn.calls * first.seconds
            found[at + 1, Kind.EXAMINATION] += [drawn.calls, drawn.input, drawn.output, drawn.cached, reusable, seconds]
    return found


def cost_of(done: Sequence[Logged], study: Study, span: float) -> PilotArm:
    """Cost of an arm's finished samples, in so many seconds."""
    lost = sum((one.transcript.lost for one in done), Usage())
    return PilotArm(
        looks=np.stack([calls_of(one.transcript, study) for one in done]),
        categories=np.array([one.item.category for one in done]),
        templates=np.array([one.item.template or one.item.id for one in done]),
        # What a cache served is all that is known of what it could serve; seconds of lost calls are not kept.
        once=np.array([lost.calls, lost.input, lost.output, lost.cached, lost.cached, 0.0]),
        span=span,
    )


def _span(folder: Path) -> float:
    """Seconds that an arm had samples on their way, over all its logs."""
    span = 0.0  # log by log: a run that went on later was idle in between
    for info in without_merged(list_eval_logs(str(folder))):
        asked = read_eval_log_sample_summaries(info)
        marks = [str(mark) for one in asked for mark in (one.started_at, one.completed_at) if mark]
        moments = [datetime.fromisoformat(mark) for mark in marks]
        span += (max(moments) - min(moments)).total_seconds() if moments else 0.0
    return span


def _beside(log: EvalLogInfo) -> int | None:
    """Samples that were on their way at a time, on average, where their number followed what the server bore."""
    asked = [one for one in read_eval_log_sample_summaries(log) if one.started_at and one.completed_at]
    spans = [
        tuple(datetime.fromisoformat(str(mark)).timestamp() for mark in (one.started_at, one.completed_at))
        for one in asked
    ]
    if not spans:
        return None
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    # Little's law: the seconds of all samples over the seconds that passed.
    return max(1, round(sum(end - start for start, end in spans) / whole)) if whole else 1


def _check_rounds(settings: Mapping[str, Any], arms: Sequence[str], rounds: int) -> None:
    if rounds <= (had := int(settings.get("rounds", 1))):
        return
    if had == 0:
        raise ValueError("the pilot has no second look to measure; run it with --rounds 1")
    ends = [f"--{name.replace('_', '-')}" for name in ("budget_tokens", "budget_seconds") if settings.get(name)]
    usual = {"stop": ("fixed", None), "keep": ("new", None)}
    ends += [f"--{name} {settings[name]}" for name, values in usual.items() if settings.get(name) not in values]
    ends += ["critic accept-reject"] if "accept-reject" in (settings.get("critic"), *arms) else []
    if ends:
        raise ValueError(
            f"rounds is {rounds} and the pilot has {had}: with {ends[0]} nobody knows how many conversations go on; "
            f"run the pilot with --rounds {rounds}"
        )


def _endpoint(settings: Mapping[str, Any]) -> Endpoint:
    return Endpoint(**{name: settings[name] for name in _ENDPOINT})


_ENDPOINT = ("model", "base_url", "model_args", "temperature", "max_tokens")
_STUDY = {field.name for field in fields(Study)} - {"seed"}
_NO_STUDY = {*_ENDPOINT, "benchmark", "questions", "seed", "judge", "critic_endpoint"}
# What was found when it was run.
_NO_STUDY |= {f"hash of the {what}" for what in ("questions", "words", "gate", "fitted critic", "tool", "tokenizer")}
_NO_STUDY |= {"revision", "verdicts"}
_NAMED = {
    "verdicts": ("critic_file",),
    "fitted critic": ("fitted_file",),
    "tool": ("critic_command", "fitted_file"),
    "tokenizer": ("count_tokens",),
    "gate": ("gate",),
}
"""Settings whose file, or command, has a digest."""
