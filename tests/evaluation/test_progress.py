"""The bar counts samples where there is a terminal, and is silent elsewhere."""

import io

import pytest
from rich.console import Console

from secondlook.correction.chat import Usage
from secondlook.evaluation.asking import Endpoint, evaluate
from secondlook.evaluation.progress import one_done, progress_bar
from secondlook.evaluation.task import task_of


def console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=80)


def test_the_bar_counts_what_the_solver_asks_and_what_was_asked_before(tmp_path):
    screen = console(terminal=True)
    task = task_of("planted")(per_category=1, limit=3, rounds=0)
    with progress_bar("planted · self", 10, 7, screen):
        evaluate(task, Endpoint(model="secondlook/planted", max_tokens=4).open(), tmp_path / "self", quiet=True)
    drawn = screen.file.getvalue()
    assert "planted · self" in drawn
    assert "7/10" in drawn
    assert "10/10" in drawn
    assert "tokens/s" in drawn


def test_no_terminal_no_bar():
    screen = console(terminal=False)
    with progress_bar("planted · self", 2, 0, screen):
        one_done(Usage())
    assert screen.file.getvalue() == ""


def test_nobody_need_watch():
    one_done(Usage())
    with pytest.raises(RuntimeError), progress_bar("x", 1, 0, console(terminal=True)):
        raise RuntimeError
    one_done(Usage())
