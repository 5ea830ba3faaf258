"""Critics: a model, a tool, a file of verdicts, the truth, chance, or nobody."""

from secondlook.correction.critics.controls import NoisyCritic, OracleCritic, SilentCritic
from secondlook.correction.critics.fitted import FittedCritic
from secondlook.correction.critics.model import AcceptCritic, ModelCritic
from secondlook.correction.critics.protocol import AbstainedError, Critic, CriticError, Examination, Prefers
from secondlook.correction.critics.recorded import RecordedCritic
from secondlook.correction.critics.tool import CommandCritic, ToolCritic, check_program

__all__ = [
    "AbstainedError",
    "AcceptCritic",
    "CommandCritic",
    "Critic",
    "CriticError",
    "Examination",
    "FittedCritic",
    "ModelCritic",
    "NoisyCritic",
    "OracleCritic",
    "Prefers",
    "RecordedCritic",
    "SilentCritic",
    "ToolCritic",
    "check_program",
]
