"""Files of gates and of fitted critics, as runs are given them."""

import pytest

from secondlook.diagnosis.examiner import Examiner
from secondlook.fitted import Fitted, Input, Votes
from secondlook.fitting.critic_file import FORMAT as CRITIC
from secondlook.fitting.critic_file import CriticFile, critic_text
from secondlook.fitting.gate_file import FORMAT, GateFile, Made, gate_text
from secondlook.gate import Gate


@pytest.fixture
def gate(tmp_path):
    """Writes a gate of an arm's critic, with so many second looks; returns the file's name."""

    def write(critic, rounds, *parts, tested=None, **more):
        file = tmp_path / "gate.json"
        made = Made(None, critic)
        file.write_text(gate_text(GateFile(FORMAT, Gate(*parts, **more), rounds, made, 0.0, "", [], [], [], tested)))
        return str(file)

    return write


@pytest.fixture
def fitted(tmp_path):
    """Writes a critic that is fitted on others, each asked; returns the file's name."""

    def write(*examiners):
        file = tmp_path / "critic.json"
        inputs = [Input(f"verdict of {one.kind}", level) for one in examiners for level in ("wrong", "right")]
        asked = {one.kind: one for one in examiners}
        made = CriticFile(CRITIC, "vote", Fitted(inputs, Votes("vote"), 0.5), asked, Made(None, "fitted"), [], [])
        file.write_text(critic_text(made))
        return str(file)

    return write


@pytest.fixture
def self_and_other():
    """Critics that a fitted one asks: the model itself and another."""
    return Examiner("self"), Examiner("other", "c/d")
