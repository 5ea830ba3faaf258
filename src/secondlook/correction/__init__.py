"""Checking-as-Context: answer, check, answer again (Wang et al., NeurIPS 2024, section 4).

A :class:`Case` gives the words, a :class:`ChatModel` the answers, a :class:`Critic` the critiques, a
:class:`Plan` says how often; :func:`run` holds the conversation and returns it as plain data::

    critic = ModelCritic(model)  # the model examines its own answers
    plan = Plan(variant="self", rounds=2)
    transcript = await run(model, critic, case, plan)
    for round_ in transcript.rounds:
        print(round_.index, round_.answer, round_.critique and round_.critique.verdict)
    print(transcript.stop, transcript.usage.total, "tokens")

Nothing here knows a benchmark, a prompt text, a server or a tensor.
"""

from secondlook.correction.case import Case, Verdict, seed_from
from secondlook.correction.chat import ChatModel, Completion, Finish, Json, Message, ModelInfo, Role, Usage
from secondlook.correction.critics import (
    AcceptCritic,
    CommandCritic,
    Critic,
    CriticError,
    Examination,
    FittedCritic,
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    Prefers,
    RecordedCritic,
    SilentCritic,
    ToolCritic,
)
from secondlook.correction.elicit import Asking, Elicited, ElicitMode, Form, Held
from secondlook.correction.history import as_history
from secondlook.correction.loop import EmptyCompletionError, run
from secondlook.correction.plan import Plan
from secondlook.correction.prefix import rewritten_turn
from secondlook.correction.scripted import ScriptedModel
from secondlook.correction.transcript import Critique, Preference, Round, Stop, StopRule, Transcript, Variant

__all__ = [
    "AcceptCritic",
    "Asking",
    "Case",
    "ChatModel",
    "CommandCritic",
    "Completion",
    "Critic",
    "CriticError",
    "Critique",
    "ElicitMode",
    "Elicited",
    "EmptyCompletionError",
    "Examination",
    "Finish",
    "FittedCritic",
    "Form",
    "Held",
    "Json",
    "Message",
    "ModelCritic",
    "ModelInfo",
    "NoisyCritic",
    "OracleCritic",
    "Plan",
    "Preference",
    "Prefers",
    "RecordedCritic",
    "Role",
    "Round",
    "ScriptedModel",
    "SilentCritic",
    "Stop",
    "StopRule",
    "ToolCritic",
    "Transcript",
    "Usage",
    "Variant",
    "Verdict",
    "as_history",
    "rewritten_turn",
    "run",
    "seed_from",
]
