"""What an application that serves deliveries prints, with and without configured logging."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import httpx
import pytest
from support.receiving_helpers import BODY, DELIVERY_ID, EVENT, PRIVATE, SECRET, delivery_headers

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURED = "import logging; logging.basicConfig(format='LOG %(levelname)s %(message)s')\n"
HANDLER = """
from webhooks_sdk import DeliveryRouter

router = DeliveryRouter()


@router.on("application_form")
def handler(delivery):
    try:
        delivery.payload["owner"]["phone"]
    except KeyError as error:
        raise RuntimeError(delivery.payload["owner"]["email"]) from error
"""
SERVERS = {
    "uvicorn": """
        import socket
        import uvicorn
        from webhooks_sdk.asgi import DeliveryApp

        app = DeliveryApp(router, secret="{secret}")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1], flush=True)
            uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])
    """,
    "wsgiref": """
        import signal
        import sys
        from wsgiref.simple_server import make_server
        from webhooks_sdk.wsgi import DeliveryApp

        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        with make_server("127.0.0.1", 0, DeliveryApp(router, secret="{secret}")) as server:
            print(server.server_port, flush=True)
            server.serve_forever()
    """,
}


@pytest.fixture(params=SERVERS)
def program(request: pytest.FixtureRequest) -> str:
    return HANDLER + textwrap.dedent(SERVERS[request.param].format(secret=SECRET))


def errors_of(program: str, folder: Path) -> str:
    """Send a delivery that fails and one that is rejected to a program; return its stderr."""
    file = folder / "receiver.py"
    file.write_text(program, encoding="utf-8")
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            url = f"http://127.0.0.1:{int(process.stdout.readline())}/"
            for headers, status in (
                (delivery_headers(), 500),
                (delivery_headers(secret="another"), 401),
            ):
                response = httpx.post(url, content=BODY, headers=headers, trust_env=False)
                assert response.status_code == status
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=30)
    return errors


def test_failures_and_rejections_are_printed_although_nothing_is_configured(
    program: str, tmp_path: Path
) -> None:
    errors = errors_of(program, tmp_path)
    assert f"The handler for {EVENT} raised RuntimeError on delivery {DELIVERY_ID}" in errors
    assert "RuntimeError was raised at:" in errors
    assert "KeyError was raised at:" in errors
    assert 'receiver.py", line 10, in handler' in errors
    assert (
        "Rejected a delivery with status 401: The X-Signature header does not match the body with"
        " the secret.\n" in errors
    )
    for private in (PRIVATE, SECRET):
        assert private not in errors


def test_with_configured_logging_each_is_printed_once(program: str, tmp_path: Path) -> None:
    errors = errors_of(CONFIGURED + program, tmp_path)
    for text in ("The handler for", "Rejected a delivery"):
        assert errors.count(text) == 1
    assert f"LOG ERROR The handler for {EVENT} raised RuntimeError" in errors
    assert "LOG WARNING Rejected a delivery with status 401" in errors
