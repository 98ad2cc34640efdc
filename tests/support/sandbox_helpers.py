"""What the sandbox's tests share: a plain HTTP client for it, and subscribers that misbehave."""

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
    """An HTTP client that has an access token, and knows nothing else about the API."""

    def __init__(self, sandbox: Tenant) -> None:
        super().__init__(base_url=sandbox.base_url, trust_env=False, timeout=30)
        form = {
            "grant_type": "client_credentials",
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
        }
        answer = httpx.post(sandbox.token_url, data=form, trust_env=False).raise_for_status()
        self.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    def subscribe(self, url: str, **fields: object) -> dict[str, Any]:
        body = {"url": url, "active": True, "events": ["*"], **fields}
        row: dict[str, Any] = self.post("/hooks", json=body).raise_for_status().json()
        return row

    def redeliver(self, attempt: DeliveryAttempt) -> dict[str, Any]:
        path = f"/hooks/{attempt.hook_id}/requests/{attempt.event_id}/redeliver"
        row: dict[str, Any] = self.post(path).raise_for_status().json()
        return row


@contextmanager
def subscriber_that_says(answer: bytes) -> Generator[str]:
    """Yield the URL of a subscriber that sends these bytes, whatever they are, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if not connection.recv(65_536):
                        return
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        address = listener.getsockname()
        try:
            yield "http://{}:{}/".format(*address)
        finally:
            # A connection that says nothing ends the thread.
            socket.create_connection(address).close()
            thread.join()


@contextmanager
def address_that_never_accepts() -> Generator[str]:
    """Yield the URL of a listener whose queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        try:
            yield "http://{}:{}/".format(*address)
        finally:
            for one in waiting:
                one.close()
