"""What these tests share: requests that are deliveries, and servers for applications."""

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
ID = "2f2611b4-9f41-4dd2-81b2-3c74eb6a79b8"
SECRET = "the key that both sides know"
PRIVATE = "zoe@example.com"
BODY = b'{"application_form_id": 4711, "owner": {"email": "zoe@example.com"}}'


def delivery_headers(
    body: bytes = BODY, *, event: str = EVENT, secret: str | None = SECRET
) -> dict[str, str]:
    headers = {"X-Emperor-Event": event, "X-Emperor-Delivery": ID}
    return headers if secret is None else headers | {"X-Signature": sign(body, secret)}


def environ_of(headers: dict[str, str]) -> dict[str, Any]:
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}


def byte_pairs_of(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def deliver(
    sandbox: Sandbox,
    url: str,
    payload: dict[str, object],
    *,
    event: str = EVENT,
    secret: str | None = SECRET,
) -> int | None:
    """Have the sandbox deliver an event to a URL, and return the status of the answer."""
    credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
        hook = client.hooks.create(url=url, events=["*"], active=True, secret=secret)
        (attempt,) = sandbox.publish(event, payload)
        client.hooks.delete(hook.id)
    assert attempt.error is None
    return attempt.status


class AnnouncingServer(uvicorn.Server):
    """Says when it listens, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def serving_asgi(
    app: Callable[..., Any], lifespan: Literal["on", "auto"] = "auto"
) -> Generator[str]:
    """Serve an application with uvicorn, and yield its URL."""
    server = AnnouncingServer(uvicorn.Config(app, port=0, lifespan=lifespan, log_config=None))
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
def serving_wsgi(app: WSGIApplication) -> Generator[str]:
    """Serve an application with Werkzeug's server, and yield its URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
    with running(lambda: server.serve_forever(0.01), server.shutdown, server.server_close):
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def serving_strict_wsgi(app: WSGIApplication) -> Generator[str]:
    """Serve an application with the plain server of the standard library, which checks it."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
            pass

    server = make_server("127.0.0.1", 0, validator(app), handler_class=Quiet)
    with running(lambda: server.serve_forever(0.01), server.shutdown, server.server_close):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def running(
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
