"""Running the gateway: one process, a graceful end."""

from __future__ import annotations

import sys

import uvicorn

from secondlook.gateway.app import build
from secondlook.gateway.heads import Protocol
from secondlook.gateway.logs import LOGGER, set_up
from secondlook.gateway.settings import GatewaySettings

_BACKLOG = 2048


def serve(settings: GatewaySettings, host: str, port: int, *, drain: int = 30, quiet: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that are being answered are then answered to the end.

    Args:
        settings: The gateway's.
        host: Address to listen on.
        port: Of it.
        drain: Seconds that the last requests have.
        quiet: Log warnings only.

    Raises:
        ValueError: A file that the settings name cannot be used.
        OSError: The address cannot be listened on.
    """
    set_up(30 if quiet else 20)
    app, gateway = build(settings)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        http=Protocol,
        ws="none",  # whatever else is installed
        timeout_graceful_shutdown=drain,
        timeout_keep_alive=75,  # longer than clients and proxies keep their connections
    )
    server = uvicorn.Server(config)
    gateway.draining = lambda: server.should_exit
    LOGGER.info("serving", extra={"fields": {"address": f"http://{host}:{port}/v1", "upstream": settings.upstream}})
    try:
        server.run()
    except SystemExit as error:  # uvicorn's way to say that it could not begin
        if error.code:
            raise OSError(f"http://{host}:{port} cannot be listened on; choose another --port") from None
    finally:
        sys.stderr.flush()
