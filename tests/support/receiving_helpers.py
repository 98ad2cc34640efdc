"""Requests that are valid deliveries, and servers for applications."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import uvicorn
import werkzeug.serving

from webhooks_sdk import Client, ClientCredentials, sign

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator
    from wsgiref.types import WSGIApplication

    from webhooks_sdk.sandbox import Sandbox

SAMPLES = Path(__file__).parents[1] / "samples" / "deliveries"
EVENT = "application_form:quoted"
DELIVERY_ID = "2f2611b4-9f41-4dd2-81b2-3c74eb6a79b8"
SECRET = "the key that both sides know"
PRIVATE = "zoe@example.com"
BODY = b'{"id": 4711, "owner": {"email": "zoe@example.com"}}'


def delivery_headers(
    body: bytes = BODY, *, event: str = EVENT, secret: str | None = SECRET
) -> dict[str, str]:
    headers = {"X-Emperor-Event": event, "X-Emperor-Delivery": DELIVERY_ID}
    return headers if secret is None else headers | {"X-Signature": sign(body, secret)}


def to_environ(headers: dict[str, str]) -> dict[str, Any]:
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}


def to_byte_pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def deliver(
    sandbox: Sandbox,
    url: str,
    payload: dict[str, object],
    *,
    event: str = EVENT,
    secret: str | None = SECRET,
) -> int | None:
    """Deliver an event to a URL from the sandbox, and return the status of the response."""
    credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
        hook = client.hooks.create(url=url, events=["*"], active=True, secret=secret)
        (attempt,) = sandbox.publish(event, payload)
        client.hooks.delete(hook.id)
    assert attempt.error is None
    return attempt.status


class ReadyServer(uvicorn.Server):
    """Sets an event once it listens, so that callers need not poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def serve_asgi(app: Callable[..., Any], lifespan: Literal["on", "auto"] = "auto") -> Generator[str]:
    """Serve an application with uvicorn, and yield its URL."""
    server = ReadyServer(uvicorn.Config(app, port=0, lifespan=lifespan, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.listening.wait(10)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serve_wsgi(app: WSGIApplication) -> Generator[str]:
    """Serve an application with Werkzeug's server, and yield its URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
    with running_in_thread(
        lambda: server.serve_forever(0.01), server.shutdown, server.server_close
    ):
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def serve_validated_wsgi(app: WSGIApplication) -> Generator[str]:
    """Serve an application with wsgiref, and validate its use of WSGI."""

    class SilentHandler(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
            pass

    server = make_server("127.0.0.1", 0, validator(app), handler_class=SilentHandler)
    with running_in_thread(
        lambda: server.serve_forever(0.01), server.shutdown, server.server_close
    ):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def running_in_thread(
    serve: Callable[[], None], stop: Callable[[], None], close: Callable[[], None]
) -> Generator[None]:
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()
        close()
