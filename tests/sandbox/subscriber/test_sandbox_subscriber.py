"""The recording subscriber, without a sandbox."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk import DeliveryError, SignatureVerificationError
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable


def test_records_requests() -> None:
    with Subscriber() as subscriber:
        response = httpx.post(f"{subscriber.url}a?b", content=b"no \xff JSON", headers={"X-A": "b"})
        assert (response.status_code, response.content) == (200, b"")
        (delivery,) = subscriber.deliveries
    assert (delivery.method, delivery.path, delivery.body) == ("POST", "/a", b"no \xff JSON")
    assert delivery.headers["x-a"] == delivery.headers["X-A"] == "b"
    with pytest.raises(ValueError, match="0xff"):
        delivery.json()


def test_status_can_be_set_at_any_time() -> None:
    with Subscriber(status=503) as subscriber, httpx.Client(trust_env=False) as client:
        assert client.post(subscriber.url).status_code == 503
        subscriber.status = 204
        assert client.post(subscriber.url).status_code == 204


def test_response_can_be_delayed() -> None:
    with (
        Subscriber(delay=600) as subscriber,
        httpx.Client(timeout=0.05, trust_env=False) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            client.post(subscriber.url)
        subscriber.wait_for(1)


def test_refuses_connections_while_stopped_and_restarts_on_the_same_port() -> None:
    with Subscriber() as subscriber:
        url = subscriber.url
        for _ in range(5):
            httpx.post(url)
            subscriber.stop()
            subscriber.stop()
            assert subscriber.url == url
            with pytest.raises(httpx.ConnectError):
                httpx.post(url)
            subscriber.start()
            subscriber.start()
            assert subscriber.url == url
        assert httpx.post(url).status_code == 200
        assert len(subscriber.deliveries) == 6
        subscriber.stop()


def test_stopping_drops_connections() -> None:
    with Subscriber() as subscriber, httpx.Client(trust_env=False) as client:
        client.post(subscriber.url)
        subscriber.delay = 600

        def stop() -> None:
            subscriber.wait_for(2)
            subscriber.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(httpx.TransportError):
            client.post(subscriber.url)
        thread.join()


def test_wait_for_returns_the_deliveries_or_times_out() -> None:
    with Subscriber() as subscriber:
        assert subscriber.wait_for(0) == ()
        with pytest.raises(TimeoutError, match="0 of 1"):
            subscriber.wait_for(1, timeout=0.01)
        sender = threading.Thread(target=lambda: [httpx.post(subscriber.url) for _ in range(3)])
        sender.start()
        assert len(subscriber.wait_for(3, timeout=30)) == 3
        sender.join()


def test_has_no_url_before_it_starts() -> None:
    with pytest.raises(RuntimeError, match="started"):
        _ = Subscriber().url


REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


def connected(subscriber: Subscriber) -> socket.socket:
    parts = urlsplit(subscriber.url)
    return socket.create_connection((parts.hostname, parts.port))


def statuses(subscriber: Subscriber, count: int) -> list[int | None]:
    """Return the statuses of `count` consecutive requests; None for one without a response."""
    found: list[int | None] = []
    with httpx.Client(trust_env=False, timeout=1) as client:
        for _ in range(count):
            try:
                found.append(client.post(subscriber.url).status_code)
            except httpx.ReadTimeout:
                found.append(None)
    return found


def test_fails_until_it_recovers() -> None:
    with Subscriber() as subscriber:
        subscriber.fail(503)
        assert statuses(subscriber, 2) == [503, 503]
        subscriber.fail()
        assert statuses(subscriber, 1) == [500]
        subscriber.recover()
        assert statuses(subscriber, 2) == [200, 200]


def test_recovers_at_the_nth_request() -> None:
    with Subscriber() as subscriber:
        assert statuses(subscriber, 1) == [200]
        subscriber.fail(status=503)
        subscriber.recover(at=3)
        assert statuses(subscriber, 4) == [503, 503, 200, 200]


def test_fail_hang_and_recover_can_be_combined() -> None:
    with Subscriber() as subscriber:
        subscriber.fail(429, at=2)
        subscriber.hang(at=3)
        subscriber.recover(at=4)
        assert statuses(subscriber, 5) == [200, 429, None, 200, 200]
        assert len(subscriber.deliveries) == 5


def test_last_setting_wins() -> None:
    with Subscriber() as subscriber:
        subscriber.fail(at=2)
        subscriber.recover()
        assert statuses(subscriber, 2) == [200, 200]
        subscriber.recover(at=2)
        subscriber.hang()
        subscriber.status = 302
        assert statuses(subscriber, 2) == [302, 302]


def test_recovers_to_the_last_success_status() -> None:
    with Subscriber(status=204) as subscriber:
        subscriber.status = 503
        subscriber.recover()
        assert statuses(subscriber, 1) == [204]
    with Subscriber(status=503) as subscriber:
        subscriber.recover(at=2)
        assert statuses(subscriber, 2) == [503, 200]


def test_status_is_that_of_the_next_request() -> None:
    with Subscriber() as subscriber:
        subscriber.fail(418, at=2)
        assert subscriber.status == 200
        statuses(subscriber, 1)
        assert subscriber.status == 418
        subscriber.hang()
        assert subscriber.status == 418


def test_later_settings_do_not_affect_a_request_in_progress() -> None:
    with Subscriber() as subscriber:
        subscriber.hang()
        with connected(subscriber) as connection:
            connection.sendall(REQUEST)
            subscriber.wait_for(1)
            subscriber.recover()
            assert statuses(subscriber, 1) == [200]
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)


@pytest.mark.parametrize("method", [Subscriber.fail, Subscriber.hang, Subscriber.recover])
def test_requests_are_counted_from_one(method: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="at must be an integer from 1"):
        method(Subscriber(), at=0)


@pytest.mark.parametrize("status", [0, 100, 199, 600, -1, 503.0, "503", None])
def test_invalid_status_is_rejected(status: Any) -> None:
    with pytest.raises(ValueError, match=f"200 to 599, got {status!r}"):
        Subscriber(status=status)
    with pytest.raises(ValueError, match=f"200 to 599, got {status!r}"):
        Subscriber().fail(status)
    subscriber = Subscriber()
    with pytest.raises(ValueError, match=f"200 to 599, got {status!r}"):
        subscriber.status = status
    assert subscriber.status == 200


def test_failure_status_must_not_be_a_success() -> None:
    with pytest.raises(ValueError, match="202 is a success"):
        Subscriber().fail(202)


@pytest.mark.parametrize("delay", [-0.1, math.inf, math.nan])
def test_invalid_delay_is_rejected(delay: float) -> None:
    with pytest.raises(ValueError, match="delay must be"):
        Subscriber(delay=delay)
    subscriber = Subscriber(delay=1)
    with pytest.raises(ValueError, match="delay must be"):
        subscriber.delay = delay
    assert subscriber.delay == 1


def test_stopping_drops_requests_that_hang() -> None:
    with Subscriber() as subscriber:
        subscriber.hang()
        outcomes: list[type[BaseException]] = []

        def send() -> None:
            try:
                httpx.post(subscriber.url, timeout=600)
            except httpx.TransportError as error:
                outcomes.append(type(error))

        sender = threading.Thread(target=send)
        sender.start()
        subscriber.wait_for(1)
    sender.join(30)
    assert outcomes


def test_disconnected_client_does_not_block_later_requests() -> None:
    with Subscriber() as subscriber:
        subscriber.hang()
        for count in range(1, 4):
            with connected(subscriber) as connection:
                connection.sendall(REQUEST)
                subscriber.wait_for(count)
        subscriber.recover()
        assert statuses(subscriber, 1) == [200]


def test_hanging_request_does_not_block_interpreter_exit() -> None:
    code = """
import threading, httpx
from webhooks_sdk.sandbox import Subscriber
subscriber = Subscriber()
subscriber.start()
subscriber.hang()
threading.Thread(target=lambda: httpx.post(subscriber.url, timeout=None), daemon=True).start()
subscriber.wait_for(1)
print("end")
"""
    completed = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (completed.returncode, completed.stdout) == (0, "end\n"), completed.stderr


def test_clear_discards_deliveries_and_keeps_the_behaviour() -> None:
    with Subscriber() as subscriber:
        subscriber.fail(at=3)
        statuses(subscriber, 2)
        subscriber.clear()
        assert subscriber.deliveries == ()
        with pytest.raises(TimeoutError, match="0 of 1"):
            subscriber.wait_for(1, timeout=0)
        assert statuses(subscriber, 1) == [500]
        assert len(subscriber.wait_for(1)) == 1


def test_delivery_can_be_verified() -> None:
    with Sandbox() as sandbox, SandboxClient(sandbox) as client, Subscriber() as subscriber:
        client.subscribe(subscriber.url, secret="the key")
        (attempt,) = sandbox.publish(EVENT, {"id": 1})
        (received,) = subscriber.wait_for(1)
        delivery = received.verify("the key")
        assert delivery.signature_verified
        assert (delivery.delivery_id, delivery.event) == (attempt.delivery_id, EVENT)
        assert delivery.payload == {"id": 1}
        assert received.verify(["another", "the key"]) == delivery
        for wrong in ("another", None):
            with pytest.raises(SignatureVerificationError):
                received.verify(wrong)
        httpx.post(subscriber.url, json={})
        with pytest.raises(DeliveryError, match="it is not a delivery"):
            subscriber.deliveries[-1].verify(None)


def test_can_be_entered_again_with_the_same_port() -> None:
    subscriber = Subscriber()
    with subscriber:
        url = subscriber.url
        subscriber.stop()
    with subscriber:
        assert subscriber.url == url
        assert statuses(subscriber, 1) == [200]
