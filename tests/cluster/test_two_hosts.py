"""Two hosts with a network between them, and what happens when its cable is pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from counted_units import COUNTED, all_of, begun, results
from ray_nodes import HOSTS, QUIET, two_hosts, until

from command import finish


def possible() -> bool:
    """Whether network namespaces can be made here."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    name = f"sl{os.getpid()}x"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return made


PINGS = {"RAY_grpc_client_keepalive_time_ms": "5000", "RAY_grpc_client_keepalive_timeout_ms": "5000"}
"""How soon a driver notices that a host is silent: sooner than by our own choice, so that the test need not wait."""


@pytest.mark.skipif(not possible(), reason="network namespaces want root and iproute2")
def test_both_hosts_work_and_one_that_is_cut_off_costs_no_more_than_it_had_in_hand(tmp_path):
    with two_hosts(**PINGS) as (cluster, cut):
        driver = [*cluster.inside["head"], sys.executable, str(COUNTED), cluster.address]
        begin = {"env": os.environ | QUIET | PINGS, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        whole = tmp_path / "whole"
        done = finish(subprocess.Popen([*driver, str(whole), "8", "0.4"], **begin), timeout=120)
        assert done.out == "told of 8\n", done
        assert results(whole) == all_of(8)
        assert set(begun(whole).values()) == {1}
        assert {line.split()[2] for line in (whole / "journal").read_text().splitlines()} == set(HOSTS.values())

        torn = tmp_path / "torn"
        running = subprocess.Popen([*driver, str(torn), "16", "0.8"], **begin)
        until(lambda: len(results(torn)) >= 4)
        cut()
        done = finish(running, timeout=200)
        assert done.out == "told of 16\n", done
        assert results(torn) == all_of(16)
        # The host that was cut off goes on with what it had, and may finish it: both results are the same.
        counts = sorted(begun(torn).values())
        assert counts[-1] <= 2
        assert sum(counts) - 16 <= 1, counts


def test_a_driver_notices_a_silent_node_within_two_minutes():
    """The settings reach Ray: without them it takes 7 minutes."""
    code = """
from secondlook.cluster.on_ray import connected
with connected("local"):
    from ray._raylet import Config
    print(Config.grpc_client_keepalive_time_ms(), Config.grpc_client_keepalive_timeout_ms())
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [int(word) for word in asked.stdout.split()] == [90_000, 20_000]
