"""What the tests of the OpenAPI document share: the document, and a sandbox that is overheard."""

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


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and description of each operation of the document."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


@frozen(kw_only=True)
class Exchange:
    """A request as it came to the sandbox, and the answer as it left."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer_headers: dict[str, str]
    answer: bytes


class OverheardSandbox(Sandbox):
    """A sandbox that keeps every exchange with its clients."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.exchanges: list[Exchange] = []

    def _stack(self, guard: Any) -> ASGIApp:
        app = super()._stack(guard)

        async def overhear(scope: Scope, receive: Receive, send: Send) -> None:
            received: list[Message] = []
            sent: list[Message] = []

            async def receive_overheard() -> Message:
                received.append(await receive())
                return received[-1]

            async def send_overheard(message: Message) -> None:
                sent.append(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    # Before the client can have seen the end of it.
                    self.exchanges.append(_exchange(scope, received, sent))
                await send(message)

            await app(scope, receive_overheard, send_overheard)

        return overhear


def _exchange(scope: Scope, received: list[Message], sent: list[Message]) -> Exchange:
    start, *parts = sent
    return Exchange(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode(),
        headers=_headers(scope["headers"]),
        body=b"".join(message.get("body", b"") for message in received),
        status=start["status"],
        answer_headers=_headers(start["headers"]),
        answer=b"".join(part.get("body", b"") for part in parts),
    )


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
