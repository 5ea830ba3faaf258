"""Times of one command are that command's, whatever the process did before it."""

import time

import pytest

from secondlook.evaluation import times


def spend(seconds):
    """Keeps the processor busy so long, in the time that it counts."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_later_command_in_a_process_is_not_charged_for_an_earlier_one(tmp_path):
    times.Clock()  # the first of the process, which began with it
    spend(0.5)
    clock = times.Clock()
    for seconds in (0.02, 0.05):
        spend(seconds)
        clock.mark()
    clock.keep(tmp_path)
    found = times.read(tmp_path)
    assert found.processor == pytest.approx((0.02, 0.05, 0), abs=0.02)
