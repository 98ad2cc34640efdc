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

    from webhooks_sdk.sandbox._records import Address, OutgoingRequest

_CHUNK = 65_536


class Sender:
    """Sends deliveries, and sees what comes of them.

    Args:
        connect_timeout: Seconds within which the connection must open.
        answer_timeout: Seconds within which the whole answer must then come.
    """

    def __init__(self, *, connect_timeout: float, answer_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._tls: SSLContext | None = None

    async def send(self, request: OutgoingRequest) -> Outcome:
        """Send a delivery and return what came of it, whatever that is."""
        started = asyncio.get_running_loop().time()
        try:
            status = await self._exchange(request)
        except (OSError, UnicodeError, h11.RemoteProtocolError) as error:
            # TimeoutError is an OSError; a host name that cannot be encoded is a UnicodeError.
            return Outcome(error=str(error) or type(error).__name__)
        seconds = asyncio.get_running_loop().time() - started
        return Outcome(status=status, duration_ms=round(seconds * 1000))

    async def _exchange(self, request: OutgoingRequest) -> int:
        async with _limit(self._connect_timeout, "the connection did not open"):
            reader, writer = await self._connect(request.address)
        try:
            async with _limit(self._answer_timeout, "no answer came"):
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
    parts = (
        h11.Request(method="POST", target=request.address.target, headers=list(request.headers)),
        h11.Data(data=request.body),
        h11.EndOfMessage(),
    )
    # One write is one packet; not drained, for a subscriber may answer before it has read all.
    writer.write(b"".join(connection.send(part) or b"" for part in parts))
    status = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.EndOfMessage):
            return status
