"""Carries faults out, over the connection on which the request has come."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._http.connection import connection_of
from webhooks_sdk.sandbox._http.faults import FaultPlan
from webhooks_sdk.sandbox._http.request_context import REQUEST
from webhooks_sdk.sandbox._http.response import Answer, refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from webhooks_sdk.sandbox._http.connection import Connection
    from webhooks_sdk.sandbox._http.faults import Fault, FaultKind
    from webhooks_sdk.sandbox._http.request_context import APIRequest
    from webhooks_sdk.sandbox._service.service import Service

_DRIPS = 50
_CHUNK = 65_536
_NO_BODY = 204


class FaultPlans:
    """The fault plan of each tenant.

    Args:
        seed: What all their random numbers follow from; None for ones that nobody can repeat.
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._plans: dict[int, FaultPlan] = {}

    def of(self, service: Service) -> FaultPlan:
        """Return the plan of a tenant."""
        number = service.account.number
        plan = self._plans.get(number)
        if plan is None:
            seed = None if self._seed is None else f"faults {self._seed} {number}"
            plan = FaultPlan(random.Random(seed).random)  # noqa: S311 - no secret
            # Any thread may ask first, and all must get the same.
            plan = self._plans.setdefault(number, plan)
        return plan

    def forget(self, service: Service) -> None:
        """Forget the plan of a tenant."""
        self._plans.pop(service.account.number, None)


class FaultInjector:
    """An ASGI application between a `RequestContextMiddleware` and the API, where things go wrong on demand.

    Args:
        app: The API.
        plans: What is to go wrong.
    """

    def __init__(self, app: ASGIApp, plans: FaultPlans) -> None:
        self._app = app
        self._plans = plans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless a fault strikes it."""
        request: APIRequest = scope[REQUEST]
        operation = request.route.operation
        plan = self._plans.of(request.service)
        faults = plan.strike(operation) if operation is not None and plan.faults else ()
        others: list[Fault] = []
        for one in faults:
            if one.kind == "latency":
                await asyncio.sleep(one.seconds or 0)
            else:
                others.append(one)
        if not others:
            await self._app(scope, receive, send)
            return
        (fault,) = others
        reply = Reply(scope, receive, send)
        if fault.kind == "reset_before":
            await reply.reset(fault)
            return
        answer = _answer_instead(fault, is_token=operation == "token")
        if answer is not None and not fault.processed:
            await answer.send(send)
            return
        failure: Exception | None = None
        try:
            await self._app(scope, receive, reply.keep)
        except Exception as error:  # noqa: BLE001 - raised when the client has got its fault
            failure = error
        await (_ACTS[fault.kind](reply, fault) if answer is None else answer.send(send))
        if failure is not None:
            raise failure


class Reply:
    """An answer that the API has given and nobody has sent yet, and ways to spoil it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status = _NO_BODY
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    async def keep(self, message: Message) -> None:
        """Take what the API sends."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
        else:
            self._body += message.get("body", b"")

    async def reset(self, _: Fault) -> None:
        """Reset the connection instead."""
        await self._connection.reset(self._receive)

    async def truncate(self, _: Fault) -> None:
        """Send half of the body, or of the status line if there is no body."""
        if not self._body:
            await self._connection.hang_up(self._receive, b"HTTP/1.1 ")
            return
        await self._start(len(self._body))
        await self._continue(self._body[: len(self._body) // 2])
        await self._connection.hang_up(self._receive)

    async def malform(self, _: Fault) -> None:
        """Send a body that is no JSON, of the length that it says it has."""
        # 204 means that there is no body, and so no JSON to be malformed.
        self._status = 200 if self._status == _NO_BODY else self._status
        body = self._body[:-1] or b"{"
        await self._start(len(body))
        await self._send({"type": "http.response.body", "body": body})

    async def drip(self, fault: Fault) -> None:
        """Send the body in pieces, or nothing at all for as long if there is none."""
        await self._start(len(self._body))
        size = max(1, -(-len(self._body) // _DRIPS))
        pieces = [self._body[at : at + size] for at in range(0, len(self._body), size)]
        for piece in pieces or (b"",):
            await asyncio.sleep((fault.seconds or 0) / max(1, len(pieces)))
            if not self._connection.is_open:
                return
            await self._continue(piece)
        await self._end()

    async def bloat(self, fault: Fault) -> None:
        """Send the body and blanks after it, without saying how many."""
        self._status = 200 if self._status == _NO_BODY else self._status
        await self._start(None)
        await self._continue(self._body)
        missing = max(0, (fault.size or 0) - len(self._body))
        while missing and self._connection.is_open:
            await self._continue(b" " * min(missing, _CHUNK))
            missing -= min(missing, _CHUNK)
        await self._end()

    @property
    def _connection(self) -> Connection:
        return connection_of(self._scope)

    async def _start(self, length: int | None) -> None:
        headers = [pair for pair in self._headers if pair[0] != b"content-length"]
        if length is not None and self._status != _NO_BODY:
            headers.append((b"content-length", str(length).encode()))
        await self._send(
            {"type": "http.response.start", "status": self._status, "headers": headers}
        )

    async def _continue(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})


_ACTS: dict[FaultKind, Callable[[Reply, Fault], Awaitable[None]]] = {
    "reset_after": Reply.reset,
    "truncated": Reply.truncate,
    "malformed_json": Reply.malform,
    "slow_drip": Reply.drip,
    "huge_body": Reply.bloat,
}


def _answer_instead(fault: Fault, *, is_token: bool) -> Answer | None:
    """Return what is answered instead; None if the fault is in how it is answered."""
    retry_after = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    match fault.kind:
        case "unauthorized" if is_token:
            words = {"error": "invalid_client", "error_description": "A fault was asked for."}
            return Answer(401, words)
        case "unauthorized":
            return refuse(401, "A fault was asked for.", {"WWW-Authenticate": "Bearer"})
        case "rate_limited":
            return refuse(429, "A fault was asked for.", retry_after)
        case "server_error":
            return refuse(fault.status or 500, "A fault was asked for.", retry_after)
        case _:
            return None
