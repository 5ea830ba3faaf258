"""The bar counts samples where there is a terminal; in a pipe a line at once, others after a while and at the end."""

import io
import time

import pytest
from rich.console import Console

from secondlook.correction.chat import Usage
from secondlook.evaluation.asking import Endpoint, evaluate
from secondlook.evaluation.progress import one_done, progress_bar, say_once
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


def test_in_a_pipe_there_are_lines_from_the_first_step_on(monkeypatch):
    screen, now = console(terminal=False), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress_bar("planted · self", 4, 1, screen):
        assert screen.file.getvalue() == "planted · self: 1 of 4\n"
        one_done(Usage())
        now[0] = 31.0
        one_done(Usage(output=62))
        one_done(Usage())
        assert screen.file.getvalue() == "planted · self: 1 of 4\nplanted · self: 3 of 4\n"
    assert screen.file.getvalue().splitlines()[2:] == ["planted · self: 4 of 4"]  # where it ended, whenever that was
    with progress_bar("planted · self", 4, 4, screen):
        pass
    assert screen.file.getvalue().splitlines()[3:] == ["planted · self: 4 of 4"]


def test_what_should_not_wait_is_said_once():
    screen = console(terminal=False)
    with progress_bar("planted · self", 4, 1, screen):
        say_once("slow", "too slow")
        say_once("slow", "too slow again")
    assert screen.file.getvalue().splitlines()[1:] == ["too slow"]


def test_nobody_need_watch():
    one_done(Usage())
    with pytest.raises(RuntimeError), progress_bar("x", 1, 0, console(terminal=True)):
        raise RuntimeError
    one_done(Usage())
