"""Inject faults into responses, over the connection of the request."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._http.connection import get_connection
from webhooks_sdk.sandbox._http.faults import ActiveFaults
from webhooks_sdk.sandbox._http.request_context import REQUEST
from webhooks_sdk.sandbox._http.response import Response, error_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from webhooks_sdk.sandbox._http.connection import Connection
    from webhooks_sdk.sandbox._http.faults import Fault, FaultKind
    from webhooks_sdk.sandbox._http.request_context import APIRequest
    from webhooks_sdk.sandbox._service.service import Service

_SLOW_CHUNKS = 50
_PADDING_CHUNK_BYTES = 65_536
_NO_CONTENT = 204
_MESSAGE = "This error is an injected fault."


class FaultsByTenant:
    """The active faults of each tenant.

    Args:
        seed: Seed of their random numbers; None for unpredictable ones.
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._by_number: dict[int, ActiveFaults] = {}

    def get(self, service: Service) -> ActiveFaults:
        """Return the active faults of a tenant."""
        number = service.account.number
        faults = self._by_number.get(number)
        if faults is None:
            seed = None if self._seed is None else f"faults {self._seed} {number}"
            faults = ActiveFaults(random.Random(seed).random)  # noqa: S311 - not a secret
            # Several threads can get here at once; all must get the same object.
            faults = self._by_number.setdefault(number, faults)
        return faults

    def discard(self, service: Service) -> None:
        """Remove the faults of a tenant."""
        self._by_number.pop(service.account.number, None)


class FaultInjector:
    """An ASGI middleware that injects faults into the API.

    It must be wrapped in a `RequestContextMiddleware`.

    Args:
        app: The API.
        faults: The active faults of each tenant.
    """

    def __init__(self, app: ASGIApp, faults: FaultsByTenant) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the active faults that affect it."""
        request: APIRequest = scope[REQUEST]
        operation = request.route.operation
        active = self._faults.get(request.service)
        faults = active.take(operation) if operation is not None and active.faults else ()
        other_faults: list[Fault] = []
        for fault in faults:
            if fault.kind == "latency":
                await asyncio.sleep(fault.seconds or 0)
            else:
                other_faults.append(fault)
        if not other_faults:
            await self._app(scope, receive, send)
            return
        (fault,) = other_faults
        buffered = BufferedResponse(scope, receive, send)
        if fault.kind == "reset_before":
            await buffered.reset(fault)
            return
        replacement = _error_for(fault, is_token=operation == "token")
        if replacement is not None and not fault.processed:
            await replacement.send(send)
            return
        failure: Exception | None = None
        try:
            await self._app(scope, receive, buffered.append)
        except Exception as error:  # noqa: BLE001 - raised once the fault is sent
            failure = error
        if replacement is None:
            await _SENDERS[fault.kind](buffered, fault)
        else:
            await replacement.send(send)
        if failure is not None:
            raise failure


class BufferedResponse:
    """A response of the API that is not sent yet, and methods that send it with a fault."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status = _NO_CONTENT
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    async def append(self, message: Message) -> None:
        """Buffer an ASGI message of the API."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
        else:
            self._body += message.get("body", b"")

    async def reset(self, _: Fault) -> None:
        """Reset the connection, and send nothing."""
        await self._connection.reset(self._receive)

    async def send_truncated(self, _: Fault) -> None:
        """Send half of the body, or half of the status line if there is no body."""
        if not self._body:
            await self._connection.close_gracefully(self._receive, b"HTTP/1.1 ")
            return
        await self._send_start(len(self._body))
        await self._send_chunk(self._body[: len(self._body) // 2])
        await self._connection.close_gracefully(self._receive)

    async def send_malformed(self, _: Fault) -> None:
        """Send a body that is not valid JSON, with a matching `Content-Length`."""
        # A 204 response cannot have a body.
        self._status = 200 if self._status == _NO_CONTENT else self._status
        body = self._body[:-1] or b"{"
        await self._send_start(len(body))
        await self._send({"type": "http.response.body", "body": body})

    async def send_slowly(self, fault: Fault) -> None:
        """Send the body in small chunks; if there is no body, wait before the response ends."""
        await self._send_start(len(self._body))
        size = max(1, -(-len(self._body) // _SLOW_CHUNKS))
        chunks = [self._body[start : start + size] for start in range(0, len(self._body), size)]
        for chunk in chunks or (b"",):
            await asyncio.sleep((fault.seconds or 0) / max(1, len(chunks)))
            if not self._connection.is_open:
                return
            await self._send_chunk(chunk)
        await self._send_end()

    async def send_padded(self, fault: Fault) -> None:
        """Send the body, padded with spaces to the size of the fault, without its length."""
        self._status = 200 if self._status == _NO_CONTENT else self._status
        await self._send_start(None)
        await self._send_chunk(self._body)
        missing = max(0, (fault.size or 0) - len(self._body))
        while missing and self._connection.is_open:
            await self._send_chunk(b" " * min(missing, _PADDING_CHUNK_BYTES))
            missing -= min(missing, _PADDING_CHUNK_BYTES)
        await self._send_end()

    @property
    def _connection(self) -> Connection:
        return get_connection(self._scope)

    async def _send_start(self, length: int | None) -> None:
        headers = [pair for pair in self._headers if pair[0] != b"content-length"]
        if length is not None and self._status != _NO_CONTENT:
            headers.append((b"content-length", str(length).encode()))
        await self._send(
            {"type": "http.response.start", "status": self._status, "headers": headers}
        )

    async def _send_chunk(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _send_end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})


_SENDERS: dict[FaultKind, Callable[[BufferedResponse, Fault], Awaitable[None]]] = {
    "reset_after": BufferedResponse.reset,
    "truncated": BufferedResponse.send_truncated,
    "malformed_json": BufferedResponse.send_malformed,
    "slow_drip": BufferedResponse.send_slowly,
    "huge_body": BufferedResponse.send_padded,
}


def _error_for(fault: Fault, *, is_token: bool) -> Response | None:
    """Return the error that a fault responds with; None if it has another effect."""
    retry_after = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    match fault.kind:
        case "unauthorized" if is_token:
            content = {"error": "invalid_client", "error_description": _MESSAGE}
            return Response(401, content)
        case "unauthorized":
            return error_response(401, _MESSAGE, {"WWW-Authenticate": "Bearer"})
        case "rate_limited":
            return error_response(429, _MESSAGE, retry_after)
        case "server_error":
            return error_response(fault.status or 500, _MESSAGE, retry_after)
        case _:
            return None
