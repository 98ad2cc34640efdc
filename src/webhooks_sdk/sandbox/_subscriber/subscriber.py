"""A subscriber to deliver to."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from webhooks_sdk.sandbox._http.server import ServerThread, bind
from webhooks_sdk.sandbox._subscriber.behaviour import (
    Behaviour,
    Script,
    check_delay,
    check_failure,
    check_status,
    is_success,
)
from webhooks_sdk.sandbox._subscriber.received import ReceivedDelivery

if TYPE_CHECKING:
    from socket import socket
    from types import TracebackType
    from typing import Self

    from starlette.types import Receive, Scope, Send

_HOST = "127.0.0.1"


class Subscriber:
    """An HTTP endpoint on this machine that records what it is sent, and answers as told.

    A context manager; leaving it stops it. It can be told, from any thread, how to behave from the
    next request on, or from a later one. What was told last holds, until something else is told:

        subscriber.fail(503)  # every request from now on
        subscriber.recover(at=3)  # two more fail, the third is answered well
        subscriber.hang()  # none is answered

    Args:
        status: The attribute's first value.
        delay: The attribute's first value.

    Raises:
        ValueError: As when the attributes are set.
    """

    def __init__(self, *, status: int = 200, delay: float = 0.0) -> None:
        self._script = Script()
        self._well = 200
        self._deliveries: list[ReceivedDelivery] = []
        self._arrival = threading.Condition()
        self._port = 0
        self._server: ServerThread | None = None
        # While it is down this holds its port, without listening: connections are refused.
        self._reserved: socket | None = None
        self.status = status
        self.delay = delay

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
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.close()
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
        """Every request that it has received since the last `clear`, in the order they came."""
        with self._arrival:
            return tuple(self._deliveries)

    @property
    def status(self) -> int:
        """The HTTP status that the next request is answered with, if it is answered.

        Set it at any time: it holds from then on.

        Raises:
            ValueError: It is set to something else than 200 to 599.
        """
        with self._arrival:
            return self._script.behaviour().status

    @status.setter
    def status(self, status: int) -> None:
        check_status(status)
        with self._arrival:
            if is_success(status):
                self._well = status
            self._script.tell(Behaviour(status), at=1)

    @property
    def delay(self) -> float:
        """Seconds that a request waits for its answer. Set it at any time, for those that follow.

        Raises:
            ValueError: It is set to something else than 0 or more.
        """
        return self._delay

    @delay.setter
    def delay(self, delay: float) -> None:
        self._delay = check_delay(delay)

    def fail(self, status: int = 500, *, at: int = 1) -> None:
        """Answer with a failure.

        Args:
            status: The HTTP status: anything but 2xx, as the service sees it.
            at: From which request on, counted from this call: 1 is the next one.

        Raises:
            ValueError: `status` is no failure, or `at` is less than 1.
        """
        failure = Behaviour(check_failure(status))
        with self._arrival:
            self._script.tell(failure, at=at)

    def hang(self, *, at: int = 1) -> None:
        """Take requests and never answer them. Stopping the subscriber drops them.

        Args:
            at: From which request on, counted from this call: 1 is the next one.

        Raises:
            ValueError: `at` is less than 1.
        """
        with self._arrival:
            status = self._script.behaviour(at=at).status
            self._script.tell(Behaviour(status, hangs=True), at=at)

    def recover(self, *, at: int = 1) -> None:
        """Answer with success: the 2xx that `status` was last set to, or else 200.

        Requests that hang already go on hanging.

        Args:
            at: From which request on, counted from this call: 1 is the next one.

        Raises:
            ValueError: `at` is less than 1.
        """
        with self._arrival:
            self._script.tell(Behaviour(self._well), at=at)

    def clear(self) -> None:
        """Forget all deliveries received so far. What it was told to do still holds."""
        with self._arrival:
            self._deliveries.clear()

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
            count: How many, of those since the last `clear`.
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
            behaviour, delay = self._script.meet(), self._delay
            self._deliveries.append(delivery)
            self._arrival.notify_all()
        if await _left(request, within=None if behaviour.hangs else delay):
            return
        await Response(status_code=behaviour.status)(scope, receive, send)


async def _left(request: Request, *, within: float | None) -> bool:
    """Wait so many seconds, without end if None; return at once and True if the client leaves."""
    if within == 0:
        return False
    try:
        async with asyncio.timeout(within):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
