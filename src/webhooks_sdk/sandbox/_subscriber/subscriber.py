"""A subscriber for tests."""

from __future__ import annotations

import asyncio
import threading
from socket import socket
from types import TracebackType
from typing import Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from webhooks_sdk._core.validation import check_count, check_seconds
from webhooks_sdk.sandbox._http.server import ServerThread, bind
from webhooks_sdk.sandbox._subscriber.behaviour import (
    Behaviour,
    BehaviourSchedule,
    check_delay,
    check_failure_status,
    check_status,
    is_success,
)
from webhooks_sdk.sandbox._subscriber.received import ReceivedDelivery

_HOST = "127.0.0.1"


class Subscriber:
    """A local HTTP endpoint that records requests and responds as configured.

    A context manager: leaving it stops the server. The methods can be called from any thread. They
    set the behaviour for the next request and all later ones, or from a later request on, and
    replace what was set before:

        subscriber.fail(503)  # every request from now on
        subscriber.recover(at=3)  # two more requests fail, the third succeeds
        subscriber.hang()  # no request gets a response

    Args:
        status: The HTTP status of responses at first.
        delay: Seconds to wait before each response at first.

    Raises:
        ValueError: `status` or `delay` is out of range.
    """

    def __init__(self, *, status: int = 200, delay: float = 0.0) -> None:
        self._schedule = BehaviourSchedule()
        self._success_status = 200
        self._deliveries: list[ReceivedDelivery] = []
        self._condition = threading.Condition()
        self._port = 0
        self._server: ServerThread | None = None
        # Keeps the port while the subscriber is stopped. It does not listen, so connections are
        # refused.
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
            server.close(active_exception=exc)

    @property
    def url(self) -> str:
        """The URL, which stays the same when the subscriber is restarted.

        Raises:
            RuntimeError: The subscriber has not been started.
        """
        if self._port == 0:
            raise RuntimeError("The subscriber has not been started. Use it as a context manager.")
        return f"http://{_HOST}:{self._port}/"

    @property
    def deliveries(self) -> tuple[ReceivedDelivery, ...]:
        """All requests received since the last `clear`, in order of arrival."""
        with self._condition:
            return tuple(self._deliveries)

    @property
    def status(self) -> int:
        """The HTTP status of the response to the next request, unless it hangs.

        It can be set at any time, for all later requests.

        Raises:
            ValueError: The new status is not an integer from 200 to 599.
        """
        with self._condition:
            return self._schedule.get().status

    @status.setter
    def status(self, status: int) -> None:
        check_status(status)
        with self._condition:
            if is_success(status):
                self._success_status = status
            self._schedule.set(Behaviour(status), at=1)

    @property
    def delay(self) -> float:
        """Seconds to wait before responding, from 0 to 1,000,000. To never respond, use `hang`.

        It can be set at any time, for later requests.

        Raises:
            ValueError: The new delay is out of range.
        """
        return self._delay

    @delay.setter
    def delay(self, delay: float) -> None:
        self._delay = check_delay(delay)

    def fail(self, status: int = 500, *, at: int = 1) -> None:
        """Respond with a failure.

        Args:
            status: The HTTP status, from 300 to 599.
            at: The first affected request, counted from this call, from 1 to 1,000,000: 1 is the
                next one.

        Raises:
            ValueError: `status` is not a failure, or `at` is out of range.
        """
        failure = Behaviour(check_failure_status(status))
        with self._condition:
            self._schedule.set(failure, at=at)

    def hang(self, *, at: int = 1) -> None:
        """Accept requests without ever responding. Stopping the subscriber drops them.

        Args:
            at: The first affected request, counted from this call, from 1 to 1,000,000: 1 is the
                next one.

        Raises:
            ValueError: `at` is out of range.
        """
        with self._condition:
            status = self._schedule.get(at=at).status
            self._schedule.set(Behaviour(status, hangs=True), at=at)

    def recover(self, *, at: int = 1) -> None:
        """Respond with success: the last 2xx that `status` was set to, or 200.

        Requests that already hang keep hanging.

        Args:
            at: The first affected request, counted from this call, from 1 to 1,000,000: 1 is the
                next one.

        Raises:
            ValueError: `at` is out of range.
        """
        with self._condition:
            self._schedule.set(Behaviour(self._success_status), at=at)

    def clear(self) -> None:
        """Discard the recorded deliveries. The configured behaviour stays."""
        with self._condition:
            self._deliveries.clear()

    def start(self) -> None:
        """Start the server, on the same port as before. Does nothing if it is running."""
        if self._server is not None:
            return
        listener, self._reserved = self._reserved or bind(_HOST, self._port), None
        self._port = listener.getsockname()[1]
        self._server = ServerThread(self._receive, listener, name="subscriber")
        self._server.start()

    def stop(self) -> None:
        """Stop the server: drop connections, and refuse new ones. Does nothing if it is stopped."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.stop()
        self._reserved = bind(_HOST, self._port)
        server.close(active_exception=None)

    def wait_for(self, count: int, timeout: float = 5.0) -> tuple[ReceivedDelivery, ...]:
        """Block until `count` requests have been received, and return all of them.

        Args:
            count: Number of requests since the last `clear`, from 0 to 1,000,000.
            timeout: Maximum number of seconds to wait, from 0 to 1,000,000.

        Raises:
            TimeoutError: Fewer requests arrived within the timeout.
            ValueError: `count` or `timeout` is out of range.
        """
        check_count("count", count, minimum=0, error_class=ValueError)
        check_seconds("timeout", timeout, allow_zero=True, error_class=ValueError)
        with self._condition:
            if not self._condition.wait_for(lambda: len(self._deliveries) >= count, timeout):
                raise TimeoutError(
                    f"Only {len(self._deliveries)} of {count} deliveries arrived within"
                    f" {timeout:g} s."
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
        with self._condition:
            behaviour, delay = self._schedule.next_request(), self._delay
            self._deliveries.append(delivery)
            self._condition.notify_all()
        if await _disconnects(request, within=None if behaviour.hangs else delay):
            return
        await Response(status_code=behaviour.status)(scope, receive, send)


async def _disconnects(request: Request, *, within: float | None) -> bool:
    """Return True as soon as the client disconnects, False after `within` seconds.

    None waits indefinitely.
    """
    if within == 0:
        return False
    try:
        async with asyncio.timeout(within):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
