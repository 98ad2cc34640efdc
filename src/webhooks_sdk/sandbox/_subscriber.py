"""A subscriber to deliver to."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from webhooks_sdk.sandbox._records import ReceivedDelivery
from webhooks_sdk.sandbox._server import ServerThread, bind

if TYPE_CHECKING:
    from socket import socket
    from types import TracebackType
    from typing import Self

    from starlette.types import Receive, Scope, Send

_HOST = "127.0.0.1"


class Subscriber:
    """An HTTP endpoint on this machine that records what it is sent, and answers as told.

    A context manager; leaving it stops it.

    Args:
        status: The attribute's first value.
        delay: The attribute's first value.

    Attributes:
        status: The HTTP status that it answers with. Set it at any time.
        delay: Seconds that it waits before it answers. Set it at any time.
    """

    def __init__(self, *, status: int = 200, delay: float = 0.0) -> None:
        self.status = status
        self.delay = delay
        self._deliveries: list[ReceivedDelivery] = []
        self._arrival = threading.Condition()
        self._port = 0
        self._server: ServerThread | None = None
        # While it is down this holds its port, without listening: connections are refused.
        self._reserved: socket | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if self._reserved is not None:
            self._reserved.close()
        if server is not None:
            server.close(during=exc)

    @property
    def url(self) -> str:
        """Its URL, the same whether it is up or down."""
        if self._port == 0:
            raise RuntimeError("The subscriber has not been started: use it as a context manager.")
        return f"http://{_HOST}:{self._port}/"

    @property
    def deliveries(self) -> tuple[ReceivedDelivery, ...]:
        """Every request that it has received, in the order they came."""
        with self._arrival:
            return tuple(self._deliveries)

    def start(self) -> None:
        """Come up, on the same port as before. Does nothing if it is up."""
        if self._server is not None:
            return
        listener, self._reserved = self._reserved or bind(_HOST, self._port), None
        self._port = listener.getsockname()[1]
        self._server = ServerThread(self._receive, listener)
        self._server.start()

    def stop(self) -> None:
        """Go down: connections are dropped, and new ones refused. Does nothing if it is down."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.stop()
        self._reserved = bind(_HOST, self._port)
        server.close(during=None)

    def wait_for(self, count: int, timeout: float = 5.0) -> tuple[ReceivedDelivery, ...]:
        """Block until it has received so many requests in all, and return all that it has.

        Args:
            count: How many.
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: There were fewer.
        """
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self._deliveries) >= count, timeout):
                raise TimeoutError(
                    f"{len(self._deliveries)} of {count} deliveries came within {timeout} s."
                )
            return tuple(self._deliveries)

    async def _receive(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        delivery = ReceivedDelivery(
            method=request.method,
            path=scope["path"],
            headers=request.headers,
            body=await request.body(),
        )
        with self._arrival:
            self._deliveries.append(delivery)
            self._arrival.notify_all()
        status, delay = self.status, self.delay
        await asyncio.sleep(delay)
        await Response(status_code=status)(scope, receive, send)
