"""Helpers for the tests of the sandbox: a plain HTTP client and misbehaving subscribers."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from webhooks_sdk.sandbox import DeliveryAttempt, Tenant

EVENT = "application_form:quoted"


class SandboxClient(httpx.Client):
    """A plain HTTP client with an access token."""

    def __init__(self, sandbox: Tenant) -> None:
        super().__init__(base_url=sandbox.base_url, trust_env=False, timeout=30)
        form = {
            "grant_type": "client_credentials",
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
        }
        response = httpx.post(sandbox.token_url, data=form, trust_env=False).raise_for_status()
        self.headers["authorization"] = f"Bearer {response.json()['access_token']}"

    def subscribe(self, url: str, **fields: object) -> dict[str, Any]:
        body = {"url": url, "active": True, "events": ["*"], **fields}
        row: dict[str, Any] = self.post("/hooks", json=body).raise_for_status().json()
        return row

    def redeliver(self, attempt: DeliveryAttempt) -> dict[str, Any]:
        path = f"/hooks/{attempt.hook_id}/requests/{attempt.event_id}/redeliver"
        row: dict[str, Any] = self.post(path).raise_for_status().json()
        return row


@contextmanager
def subscriber_that_sends(data: bytes) -> Generator[str]:
    """Yield the URL of a subscriber that responds with raw bytes and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if not connection.recv(65_536):
                        return
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        address = listener.getsockname()
        try:
            yield "http://{}:{}/".format(*address)
        finally:
            # A connection without a request ends the thread.
            socket.create_connection(address).close()
            thread.join()


@contextmanager
def address_that_never_accepts() -> Generator[str]:
    """Yield the URL of a listener with a full connection backlog."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        connections = [socket.socket() for _ in range(8)]
        for connection in connections:
            connection.setblocking(False)
            connection.connect_ex(address)
        try:
            yield "http://{}:{}/".format(*address)
        finally:
            for connection in connections:
                connection.close()
