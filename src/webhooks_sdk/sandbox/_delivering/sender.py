"""Sends deliveries as HTTP requests, over h11 and asyncio streams.

No HTTP client library is used, so tests can patch theirs without affecting the sandbox.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import h11
from attrs import evolve

from webhooks_sdk.sandbox._records import DeliveryResult

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from ssl import SSLContext

    from webhooks_sdk.sandbox._records import Address, OutgoingRequest, Timeouts

_CHUNK = 65_536
_MAX_KEPT_BODY = 2_048
_MAX_KEPT_CONTENT_TYPE = 200


class Sender:
    """Sends deliveries and returns their results."""

    def __init__(self) -> None:
        self._tls: SSLContext | None = None

    async def send(self, request: OutgoingRequest, timeouts: Timeouts) -> DeliveryResult:
        """Send a delivery, and return its result. Failures are returned, not raised."""
        started = asyncio.get_running_loop().time()
        try:
            response = await self._post(request, timeouts)
        except (OSError, UnicodeError, h11.RemoteProtocolError) as error:
            # TimeoutError is an OSError. A host name that cannot be encoded raises UnicodeError.
            return DeliveryResult(error=str(error) or type(error).__name__)
        seconds = asyncio.get_running_loop().time() - started
        return evolve(response, duration_ms=round(seconds * 1000))

    async def _post(self, request: OutgoingRequest, timeouts: Timeouts) -> DeliveryResult:
        async with _timeout(timeouts.connect, "the connection did not open"):
            reader, writer = await self._connect(request.address)
        try:
            async with _timeout(timeouts.response, "no response"):
                return await _exchange(request, reader, writer)
        finally:
            # The response was read to its end or is not needed: skip the graceful shutdown.
            writer.transport.abort()

    async def _connect(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if address.secure and self._tls is None:
            self._tls = ssl.create_default_context()
        tls = self._tls if address.secure else None
        return await asyncio.open_connection(address.host, address.port, ssl=tls)


@asynccontextmanager
async def _timeout(seconds: float, failure: str) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TimeoutError(f"{failure} within {seconds:g} s") from None


async def _exchange(
    request: OutgoingRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> DeliveryResult:
    connection = h11.Connection(h11.CLIENT)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in request.headers]
    parts = (
        h11.Request(method="POST", target=request.address.target, headers=headers),
        h11.Data(data=request.body),
        h11.EndOfMessage(),
    )
    # A single write. Not drained: a subscriber may respond before it has read everything.
    writer.write(b"".join(connection.send(part) or b"" for part in parts))
    response: h11.Response | None = None
    body, size = b"", 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK)
            if not data and response is None:
                raise ConnectionError("the subscriber closed the connection without responding")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            size += len(event.data)
            body += bytes(event.data[: _MAX_KEPT_BODY - len(body)])
        elif isinstance(event, h11.EndOfMessage) and response is not None:
            return DeliveryResult(
                status=response.status_code,
                response_content_type=_content_type(response),
                response_body=body,
                response_size=size,
            )


def _content_type(response: h11.Response) -> str | None:
    for name, value in response.headers:
        if name == b"content-type":
            return value.decode("latin-1")[:_MAX_KEPT_CONTENT_TYPE]
    return None
