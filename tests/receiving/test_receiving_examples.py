"""The examples of docs/receiving.md, served over HTTP, with deliveries from the sandbox."""

from __future__ import annotations

import http.client
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from support.receiving_helpers import (
    BODY,
    DELIVERY_ID,
    PRIVATE,
    SECRET,
    deliver,
    delivery_headers,
    serve_asgi,
    serve_validated_wsgi,
    serve_wsgi,
)

import webhooks_sdk
from webhooks_sdk import Delivery, DeliveryRouter
from webhooks_sdk.asgi import DeliveryApp
from webhooks_sdk.sandbox import Sandbox
from webhooks_sdk.sandbox._samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

PAGE = (Path(__file__).parents[2] / "docs" / "receiving.md").read_text("utf-8")
BLOCKS = re.findall(r"```python ?([\w-]*)\n(.*?)```", PAGE, re.DOTALL)
APPLICATIONS = {name: code for name, code in BLOCKS if name}
SNIPPETS = [code for name, code in BLOCKS if not name]
LIMIT = 5 * 1024 * 1024


class Example(NamedTuple):
    block: str
    path: str
    application: str = "app"
    serve: Callable[[Any], AbstractContextManager[str]] = serve_asgi
    # An app rejects by Content-Length alone; a view has already read the body.
    is_view: bool = False
    max_bytes: int = LIMIT
    too_large: int = 413


EXAMPLES = {
    "FastAPI": Example("fastapi", "/webhooks/"),
    "FastAPI, a view": Example("fastapi-view", "/webhooks", is_view=True),
    "Starlette": Example("starlette", "/webhooks"),
    "no framework": Example("starlette", "/", "receive"),
    "Flask": Example("flask", "/webhooks", serve=serve_wsgi),
    "Flask, a view": Example("flask-view", "/webhooks", serve=serve_wsgi, is_view=True),
    "WSGI, no framework": Example("flask", "/", "receive", serve_validated_wsgi),
    "Django, WSGI": Example(
        "django", "/webhooks", "wsgi", serve_wsgi, is_view=True, max_bytes=2_621_440, too_large=400
    ),
    "Django, ASGI": Example(
        "django", "/webhooks", "asgi", is_view=True, max_bytes=2_621_440, too_large=400
    ),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=EXAMPLES.values(), ids=list(EXAMPLES))
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Example, str]]:
    example: Example = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOKS_SIGNING_SECRET", SECRET)
        module = ModuleType(f"receiving_{example.block}")
        patch.setitem(sys.modules, module.__name__, module)
        exec(compile(APPLICATIONS[example.block], "receiving.md", "exec"), module.__dict__)  # noqa: S102
        if example.block == "django":
            application = django_application(example.application)
        else:
            application = getattr(module, example.application)
        with example.serve(application) as url:
            yield example, url + example.path


def django_application(interface: str) -> object:
    # Import by name: Django is not typed.
    settings = import_module("django.conf").settings
    if not settings.configured:
        settings.configure(ROOT_URLCONF="receiving_django", ALLOWED_HOSTS=["127.0.0.1"])
    import_module("django.urls").clear_url_caches()
    return getattr(import_module(f"django.core.{interface}"), f"get_{interface}_application")()


@pytest.fixture
def url(served: tuple[Example, str]) -> str:
    return served[1]


def test_every_example_is_tested() -> None:
    assert {example.block for example in EXAMPLES.values()} == set(APPLICATIONS)


def test_a_delivery_is_verified_and_handled(
    sandbox: Sandbox, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(sandbox, url, {"id": "Zoë 4711"}) == 204
    assert capsys.readouterr().out == "quoted: Zoë 4711\n"


def test_the_sample_of_the_inspector_is_handled(
    sandbox: Sandbox, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = json.loads(SAMPLES["application_form:quoted"])
    assert deliver(sandbox, url, payload) == 204
    assert capsys.readouterr().out == f"quoted: {payload['id']}\n"


def test_published_payloads_in_the_documentation_have_the_key_that_the_handlers_read() -> None:
    root = Path(__file__).parents[2]
    pages = (root / "README.md", root / "examples" / "demo.py", *(root / "docs").glob("*.md"))
    texts = [page.read_text("utf-8") for page in pages]
    payloads = [
        payload
        for text in texts
        for payload in re.findall(r"""publish\("[^"]+", (\{[^}]+\})\)""", text)
    ]
    assert len(payloads) >= 5
    assert all('"id": ' in payload for payload in payloads)


def test_a_large_delivery_is_handled(
    sandbox: Sandbox, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    payload: dict[str, object] = {"id": 1, "text": "ü" * 1_000_000}
    assert deliver(sandbox, url, payload) == 204
    assert capsys.readouterr().out == "quoted: 1\n"


def test_an_event_without_a_handler_returns_204(sandbox: Sandbox, url: str) -> None:
    assert deliver(sandbox, url, {}, event="quote_request:failed") == 204


@pytest.mark.parametrize("secret", ["another secret", None])
def test_a_delivery_without_the_right_secret_is_not_handled(
    sandbox: Sandbox, url: str, secret: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(sandbox, url, {"id": 1}, secret=secret) == 401
    assert "quoted" not in capsys.readouterr().out
    assert sandbox.attempts[-1].response_text


def test_a_failing_handler_returns_500(sandbox: Sandbox, url: str) -> None:
    assert deliver(sandbox, url, {"no_id": 1}) == 500


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_post_is_allowed(url: str, method: str) -> None:
    response = httpx.request(method, url, trust_env=False, timeout=30)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_an_invalid_delivery_returns_400_and_is_not_quoted(url: str) -> None:
    headers = delivery_headers() | {"X-Emperor-Delivery": PRIVATE}
    response = httpx.post(url, content=BODY, headers=headers, trust_env=False, timeout=30)
    assert response.status_code == 400
    assert response.text.strip() == "The X-Emperor-Delivery header is not a UUID."


def test_a_body_over_the_limit_is_rejected(served: tuple[Example, str]) -> None:
    example, url = served
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    size = example.max_bytes + 1
    connection.putrequest("POST", parts.path)
    for name, value in (delivery_headers() | {"Content-Length": str(size)}).items():
        connection.putheader(name, value)
    connection.endheaders(b" " * size if example.is_view and example.block != "flask-view" else b"")
    response = connection.getresponse()
    assert response.status == example.too_large
    response.read()
    connection.close()


def test_the_applications_pass_mypy_in_strict_mode(tmp_path: Path) -> None:
    for name, code in APPLICATIONS.items():
        # Django has no types. With django-stubs, the example needs no exceptions.
        codes = "import-untyped,untyped-decorator" if name == "django" else ""
        comment = f'# mypy: disable-error-code="{codes}"\n' if codes else ""
        (tmp_path / f"{name.replace('-', '_')}_app.py").write_text(comment + code, "utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "."],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(Path(webhooks_sdk.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout == f"Success: no issues found in {len(APPLICATIONS)} source files\n"


def test_a_mount_without_a_trailing_slash_redirects_as_documented() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOKS_SIGNING_SECRET", SECRET)
        names: dict[str, Any] = {}
        exec(compile(APPLICATIONS["fastapi"], "receiving.md", "exec"), names)  # noqa: S102
    with serve_asgi(names["app"]) as url:
        response = httpx.post(f"{url}/webhooks", content=BODY, trust_env=False, timeout=30)
    assert response.status_code == 307


def test_the_snippets_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"headers": delivery_headers(), "body": BODY, "secret": SECRET}
    first, *others = SNIPPETS
    exec(compile(first, "receiving.md", "exec"), names)  # noqa: S102
    assert "application_form:quoted application_form quoted" in capsys.readouterr().out
    assert isinstance(names["delivery"], Delivery)
    assert str(names["delivery"].delivery_id) == DELIVERY_ID
    exec(compile(first, "receiving.md", "exec"), names | {"secret": "another"})  # noqa: S102
    assert capsys.readouterr().out.startswith("401 ")
    for snippet in others:
        exec(compile(snippet, "receiving.md", "exec"), names)  # noqa: S102
    router = DeliveryRouter()
    router.on("application_form:quoted")(names["quoted"])
    # A real server runs the handler in another thread.
    with serve_asgi(DeliveryApp(router, secret=SECRET)) as url:
        headers = delivery_headers()
        response = httpx.post(url, content=BODY, headers=headers, trust_env=False, timeout=30)
        assert response.status_code == 204
    with closing(sqlite3.connect(names["PATH"])) as database:
        assert database.execute("SELECT count(*) FROM seen").fetchone() == (1,)
