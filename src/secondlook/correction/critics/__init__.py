"""Critics: a model, a tool, a file of verdicts, the truth, chance, or nobody."""

from secondlook.correction.critics.controls import NoisyCritic, OracleCritic, SilentCritic
from secondlook.correction.critics.model import ModelCritic
from secondlook.correction.critics.protocol import Critic, CriticError, Examination
from secondlook.correction.critics.recorded import RecordedCritic
from secondlook.correction.critics.tool import CommandCritic, ToolCritic

__all__ = [
    "CommandCritic",
    "Critic",
    "CriticError",
    "Examination",
    "ModelCritic",
    "NoisyCritic",
    "OracleCritic",
    "RecordedCritic",
    "SilentCritic",
    "ToolCritic",
]
