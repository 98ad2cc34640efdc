"""The connections of a server, which can also end in ways that no HTTP server would choose."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from webhooks_sdk.sandbox._http.response import refuse

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send
    from uvicorn import Config
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle
    from uvicorn.server import ServerState

_EXTENSION = "webhooks_sdk.sandbox.connection"
# Do linger, for no time: closing sends a reset.
_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Connection(H11Protocol):
    """uvicorn's protocol, which puts itself into the scope of each request."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        app = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[_EXTENSION] = self
            await app(scope, receive, send)

        self.app: Any = with_connection

    @property
    def is_open(self) -> bool:
        """Whether neither side has ended it."""
        return not self.transport.is_closing()

    async def reset(self, receive: Receive) -> None:
        """End it with a TCP reset, and return when it has ended."""
        if self.is_open:
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER
            )
        self.transport.abort()
        await _until_gone(receive)

    async def hang_up(self, receive: Receive, last_words: bytes = b"") -> None:
        """End it when all is sent, as a server that stops does, and return when it has ended.

        Args:
            receive: The request's.
            last_words: What is sent before, be it HTTP or not.
        """
        if self.is_open:
            self.transport.write(last_words)
        self.transport.close()
        await _until_gone(receive)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a JSON error, as everything else."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None:
            # A request whose body is no HTTP may be under way: nothing can answer it any more.
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # The request has an answer already, or part of one.
            self.transport.close()
            return
        answer = refuse(400, msg)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer.body)).encode()),
            (b"connection", b"close"),
        ]
        for part in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=answer.body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()


def connection_of(scope: Scope) -> Connection:
    """Return the connection on which a request has come."""
    connection = scope["extensions"][_EXTENSION]
    assert isinstance(connection, Connection)
    return connection


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
