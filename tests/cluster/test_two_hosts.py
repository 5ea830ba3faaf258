"""Two hosts with a network between them, and what happens when its cable is pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from counted_units import GO, all_of, begun, driver, journal, results
from ray_nodes import HOSTS, ip, two_hosts, until

from command import finish

PINGS = {"RAY_grpc_client_keepalive_time_ms": "5000", "RAY_grpc_client_keepalive_timeout_ms": "5000"}
"""How soon a driver notices that a host is silent: sooner than by our own choice, so that the test need not wait."""


def possible() -> bool:
    """Whether network namespaces can be made here."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    name = f"sl{os.getpid()}x"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except subprocess.CalledProcessError:
        return False
    return True


@pytest.mark.soak
@pytest.mark.skipif(not possible(), reason="network namespaces want root and iproute2")
def test_both_hosts_work_and_one_that_is_cut_off_costs_no_more_than_it_had_in_hand(tmp_path):
    with two_hosts(**PINGS) as (cluster, cut):
        running = driver(cluster, tmp_path, 12, free=4)
        until(lambda: len(results(tmp_path)) == 4 and len(begun(tmp_path)) == 6)
        cut()
        (tmp_path / GO).touch()
        done = finish(running)
        assert done.out == "told of 12\n", done
        assert results(tmp_path) == all_of(12)
        assert {address for _, _, address in journal(tmp_path)} == set(HOSTS.values())
        # The host that was cut off goes on with what it had, and may finish it: both results are the same.
        assert sum(begun(tmp_path).values()) <= 12 + 1


def test_a_driver_notices_a_silent_node_within_two_minutes():
    """The settings reach Ray: without them it takes 7 minutes."""
    code = """
from secondlook.cluster.on_ray import load_ray
load_ray()
from ray._raylet import Config
print(Config.grpc_client_keepalive_time_ms(), Config.grpc_client_keepalive_timeout_ms())
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [int(word) for word in asked.stdout.split()] == [90_000, 20_000]
