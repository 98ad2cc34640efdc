"""Helpers for the tests of the OpenAPI document: the document, and a recording sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import frozen

from webhooks_sdk.sandbox import Sandbox
from webhooks_sdk.sandbox._http.openapi import read_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DOCUMENT: dict[str, Any] = json.loads(read_document())
METHODS = ("get", "put", "post", "delete", "patch")


def document_operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the operation object of each operation in the document."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


@frozen(kw_only=True)
class Exchange:
    """A request to the sandbox, and its response."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    status: int
    response_headers: dict[str, str]
    response_body: bytes


class RecordingSandbox(Sandbox):
    """A sandbox that records every exchange with its clients."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.exchanges: list[Exchange] = []

    def _build_app(self, guard: Any) -> ASGIApp:
        app = super()._build_app(guard)

        async def record(scope: Scope, receive: Receive, send: Send) -> None:
            received: list[Message] = []
            sent: list[Message] = []

            async def recording_receive() -> Message:
                received.append(await receive())
                return received[-1]

            async def recording_send(message: Message) -> None:
                sent.append(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    # Record the exchange before the client can receive the end of the response.
                    self.exchanges.append(_exchange(scope, received, sent))
                await send(message)

            await app(scope, recording_receive, recording_send)

        return record


def _exchange(scope: Scope, received: list[Message], sent: list[Message]) -> Exchange:
    start, *body_messages = sent
    return Exchange(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode(),
        headers=_headers(scope["headers"]),
        body=b"".join(message.get("body", b"") for message in received),
        status=start["status"],
        response_headers=_headers(start["headers"]),
        response_body=b"".join(message.get("body", b"") for message in body_messages),
    )


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
