"""Real servers on loopback; one that takes much memory ends with its file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faulty_server import FaultyServer

from serving import serving


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_API_KEY", "LOCAL_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def planted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of ``transformers serve`` with the planted checkpoint."""
    with serving("planted", tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="session")
def _faulty_server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def faulty(_faulty_server: FaultyServer) -> FaultyServer:
    """A server that answers well until told otherwise."""
    _faulty_server.heal()
    _faulty_server.asked.clear()
    _faulty_server.settings.clear()
    return _faulty_server
