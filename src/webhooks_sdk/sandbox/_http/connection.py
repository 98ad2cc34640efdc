"""Server connections that can be reset or closed in the middle of a response."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from webhooks_sdk.sandbox._http.response import error_response

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send
    from uvicorn import Config
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle
    from uvicorn.server import ServerState

_EXTENSION = "webhooks_sdk.sandbox.connection"
# With SO_LINGER on and a linger time of 0, closing the socket sends a reset.
_LINGER_ZERO = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, which adds itself to the scope of each request."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        app = self.app

        async def app_with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[_EXTENSION] = self
            await app(scope, receive, send)

        self.app: Any = app_with_connection

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed the connection."""
        return not self.transport.is_closing()

    async def reset(self, receive: Receive) -> None:
        """Close the connection with a TCP reset, and return once it is closed."""
        if self.is_open:
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO
            )
        self.transport.abort()
        await _wait_for_disconnect(receive)

    async def close_gracefully(self, receive: Receive, data: bytes = b"") -> None:
        """Close the connection once everything is sent, and return once it is closed.

        Args:
            receive: The ASGI `receive` callable of the request.
            data: Raw bytes to send first. They need not be valid HTTP.
        """
        if self.is_open:
            self.transport.write(data)
        self.transport.close()
        await _wait_for_disconnect(receive)

    def send_400_response(self, msg: str) -> None:
        """Respond to invalid HTTP with a JSON error."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None:
            # The body of a request in flight is invalid, so no response to it can be sent.
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # The response has been sent already, at least in part.
            self.transport.close()
            return
        response = error_response(400, msg)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(response.body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=response.body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def get_connection(scope: Scope) -> Connection:
    """Return the connection that a request arrived on."""
    connection = scope["extensions"][_EXTENSION]
    assert isinstance(connection, Connection)
    return connection


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
