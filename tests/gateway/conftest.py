"""A real server with a real checkpoint for tests of the gateway that need one."""

import pytest

from serving import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of ``transformers serve`` with a planted subject, with its ``/v1``."""
    with serving("planted-0.1m", tmp_path_factory.mktemp("served")) as address:
        yield address
