"""Two hosts with a network between them, and what happens when its cable is pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from counted_units import begun, results
from ray_nodes import HOSTS, QUIET, two_hosts
from test_on_ray import COUNTED, all_of, until


def possible() -> bool:
    """Whether network namespaces can be made here."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    name = f"sl{os.getpid()}x"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return made


@pytest.mark.skipif(not possible(), reason="network namespaces want root and iproute2")
def test_both_hosts_work_and_one_that_is_cut_off_costs_no_more_than_it_had_in_hand(tmp_path):
    with two_hosts() as (cluster, cut):
        driver = [*cluster.inside["head"], sys.executable, str(COUNTED), cluster.address]
        whole = tmp_path / "whole"
        done = subprocess.run(
            [*driver, str(whole), "8", "0.4"], env=os.environ | QUIET, capture_output=True, text=True, timeout=120
        )
        assert done.stdout == "told of 8\n", done
        assert results(whole) == all_of(8)
        assert set(begun(whole).values()) == {1}
        assert {line.split()[2] for line in (whole / "journal").read_text().splitlines()} == set(HOSTS.values())

        torn = tmp_path / "torn"
        running = subprocess.Popen(
            [*driver, str(torn), "16", "0.8"],
            env=os.environ | QUIET,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(results(torn)) >= 4)
        cut()
        out, err = running.communicate(timeout=200)
        assert out == "told of 16\n", err
        assert results(torn) == all_of(16)
        # The host that was cut off goes on with what it had, and may finish it: both results are the same.
        counts = sorted(begun(torn).values())
        assert counts[-1] <= 2
        assert sum(counts) - 16 <= 1, counts
