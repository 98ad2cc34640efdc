"""The recording subscriber on its own."""

from __future__ import annotations

import threading

import httpx
import pytest

from webhooks_sdk.sandbox import Subscriber


def test_it_records_what_it_is_sent() -> None:
    with Subscriber() as subscriber:
        answer = httpx.post(f"{subscriber.url}a?b", content=b"no \xff JSON", headers={"X-A": "b"})
        assert (answer.status_code, answer.content) == (200, b"")
        (delivery,) = subscriber.deliveries
    assert (delivery.method, delivery.path, delivery.body) == ("POST", "/a", b"no \xff JSON")
    assert delivery.headers["x-a"] == delivery.headers["X-A"] == "b"
    with pytest.raises(ValueError, match="0xff"):
        delivery.json()


def test_its_answer_can_be_set_at_any_time() -> None:
    with Subscriber(status=503) as subscriber, httpx.Client(trust_env=False) as client:
        assert client.post(subscriber.url).status_code == 503
        subscriber.status = 204
        assert client.post(subscriber.url).status_code == 204


def test_its_answer_can_be_late() -> None:
    with (
        Subscriber(delay=600) as subscriber,
        httpx.Client(timeout=0.05, trust_env=False) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            client.post(subscriber.url)
        subscriber.wait_for(1)


def test_down_it_refuses_connections_and_up_again_it_has_its_port() -> None:
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


def test_stopping_drops_the_connections() -> None:
    with Subscriber() as subscriber, httpx.Client(trust_env=False) as client:
        client.post(subscriber.url)
        subscriber.delay = 600

        def go_down() -> None:
            subscriber.wait_for(2)
            subscriber.stop()

        down = threading.Thread(target=go_down)
        down.start()
        with pytest.raises(httpx.TransportError):
            client.post(subscriber.url)
        down.join()


def test_waiting_ends_with_the_deliveries_or_with_the_timeout() -> None:
    with Subscriber() as subscriber:
        assert subscriber.wait_for(0) == ()
        with pytest.raises(TimeoutError, match="0 of 1"):
            subscriber.wait_for(1, timeout=0.01)
        sender = threading.Thread(target=lambda: [httpx.post(subscriber.url) for _ in range(3)])
        sender.start()
        assert len(subscriber.wait_for(3, timeout=30)) == 3
        sender.join()


def test_before_its_start_it_has_no_url() -> None:
    with pytest.raises(RuntimeError, match="started"):
        _ = Subscriber().url
