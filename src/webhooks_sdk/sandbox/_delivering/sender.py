"""Sending a delivery: one HTTP request over h11 and asyncio streams, on the server's own loop.

No HTTP client library is used, so that tests can patch theirs without touching the service.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import h11

from webhooks_sdk.sandbox._records import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from ssl import SSLContext

    from webhooks_sdk.sandbox._records import Address, OutgoingRequest, Timeouts

_CHUNK = 65_536


class Sender:
    """Sends deliveries, and sees what comes of them."""

    def __init__(self) -> None:
        self._tls: SSLContext | None = None

    async def send(self, request: OutgoingRequest, timeouts: Timeouts) -> Outcome:
        """Send a delivery and return what came of it, whatever that is."""
        started = asyncio.get_running_loop().time()
        try:
            status = await self._exchange(request, timeouts)
        except (OSError, UnicodeError, h11.RemoteProtocolError) as error:
            # TimeoutError is an OSError; a host name that cannot be encoded is a UnicodeError.
            return Outcome(error=str(error) or type(error).__name__)
        seconds = asyncio.get_running_loop().time() - started
        return Outcome(status=status, duration_ms=round(seconds * 1000))

    async def _exchange(self, request: OutgoingRequest, timeouts: Timeouts) -> int:
        async with _limit(timeouts.connect, "the connection did not open"):
            reader, writer = await self._connect(request.address)
        try:
            async with _limit(timeouts.answer, "no answer came"):
                return await _converse(request, reader, writer)
        finally:
            # The answer has been read to its end, or nobody waits for it: no goodbyes.
            writer.transport.abort()

    async def _connect(self, to: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if to.secure and self._tls is None:
            self._tls = ssl.create_default_context()
        return await asyncio.open_connection(to.host, to.port, ssl=self._tls if to.secure else None)


@asynccontextmanager
async def _limit(seconds: float, failure: str) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TimeoutError(f"{failure} within {seconds:g} s") from None


async def _converse(
    request: OutgoingRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> int:
    connection = h11.Connection(h11.CLIENT)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in request.headers]
    parts = (
        h11.Request(method="POST", target=request.address.target, headers=headers),
        h11.Data(data=request.body),
        h11.EndOfMessage(),
    )
    # One write is one packet; not drained, for a subscriber may answer before it has read all.
    writer.write(b"".join(connection.send(part) or b"" for part in parts))
    status = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK)
            if not data and not status:
                raise ConnectionError("the subscriber closed the connection without an answer")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.EndOfMessage):
            return status
