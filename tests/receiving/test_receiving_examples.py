"""The examples of docs/receiving.md: served for real, and hit by the sandbox's deliveries."""

from __future__ import annotations

import http.client
import re
import sqlite3
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
    ID,
    PRIVATE,
    SECRET,
    deliver,
    delivery_headers,
    serving_asgi,
    serving_strict_wsgi,
    serving_wsgi,
)

from webhooks_sdk import Delivery, DeliveryRouter
from webhooks_sdk.asgi import DeliveryApp
from webhooks_sdk.sandbox import Sandbox

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
    serving: Callable[[Any], AbstractContextManager[str]] = serving_asgi
    # An app refuses by the declared length alone; a view has read the body before.
    is_view: bool = False
    most: int = LIMIT
    too_large: int = 413


EXAMPLES = {
    "FastAPI": Example("fastapi", "/webhooks/"),
    "FastAPI, a view": Example("fastapi-view", "/webhooks", is_view=True),
    "Starlette": Example("starlette", "/webhooks"),
    "no framework": Example("starlette", "/", "receive"),
    "Flask": Example("flask", "/webhooks", serving=serving_wsgi),
    "Flask, a view": Example("flask-view", "/webhooks", serving=serving_wsgi, is_view=True),
    "WSGI, no framework": Example("flask", "/", "receive", serving_strict_wsgi),
    "Django, WSGI": Example(
        "django", "/webhooks", "wsgi", serving_wsgi, is_view=True, most=2_621_440, too_large=400
    ),
    "Django, ASGI": Example(
        "django", "/webhooks", "asgi", is_view=True, most=2_621_440, too_large=400
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
        with example.serving(application) as url:
            yield example, url + example.path


def django_application(interface: str) -> object:
    # By name: Django has no types of its own.
    settings = import_module("django.conf").settings
    if not settings.configured:
        settings.configure(ROOT_URLCONF="receiving_django", ALLOWED_HOSTS=["127.0.0.1"])
    import_module("django.urls").clear_url_caches()
    return getattr(import_module(f"django.core.{interface}"), f"get_{interface}_application")()


@pytest.fixture
def url(served: tuple[Example, str]) -> str:
    return served[1]


def test_every_example_is_tried() -> None:
    assert {example.block for example in EXAMPLES.values()} == set(APPLICATIONS)


def test_a_delivery_is_verified_and_handled(
    sandbox: Sandbox, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(sandbox, url, {"application_form_id": "Zoë 4711"}) == 204
    assert capsys.readouterr().out == "quoted: Zoë 4711\n"


def test_a_large_delivery_is_handled(
    sandbox: Sandbox, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    payload: dict[str, object] = {"application_form_id": 1, "text": "ü" * 1_000_000}
    assert deliver(sandbox, url, payload) == 204
    assert capsys.readouterr().out == "quoted: 1\n"


def test_an_event_that_nobody_handles_is_answered_all_the_same(sandbox: Sandbox, url: str) -> None:
    assert deliver(sandbox, url, {}, event="quote_request:failed") == 204


@pytest.mark.parametrize("secret", ["another secret", None])
def test_who_does_not_know_the_secret_gets_nothing_done(
    sandbox: Sandbox, url: str, secret: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(sandbox, url, {"application_form_id": 1}, secret=secret) == 401
    assert "quoted" not in capsys.readouterr().out


def test_a_handler_that_raises_has_the_service_try_again(sandbox: Sandbox, url: str) -> None:
    assert deliver(sandbox, url, {"no": "application_form_id"}) == 500


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_post_is_allowed(url: str, method: str) -> None:
    answer = httpx.request(method, url, trust_env=False, timeout=30)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_what_is_no_delivery_is_answered_400_and_not_echoed(url: str) -> None:
    headers = delivery_headers() | {"X-Emperor-Delivery": PRIVATE}
    answer = httpx.post(url, content=BODY, headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 400
    assert answer.text.strip() == "The X-Emperor-Delivery header is no UUID."


def test_a_body_over_the_limit_is_refused(served: tuple[Example, str]) -> None:
    example, url = served
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    size = example.most + 1
    connection.putrequest("POST", parts.path)
    for name, value in (delivery_headers() | {"Content-Length": str(size)}).items():
        connection.putheader(name, value)
    connection.endheaders(b" " * size if example.is_view and example.block != "flask-view" else b"")
    answer = connection.getresponse()
    assert answer.status == example.too_large
    answer.read()
    connection.close()


def test_the_redirect_of_a_mount_is_what_the_page_warns_of() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOKS_SIGNING_SECRET", SECRET)
        names: dict[str, Any] = {}
        exec(compile(APPLICATIONS["fastapi"], "receiving.md", "exec"), names)  # noqa: S102
    with serving_asgi(names["app"]) as url:
        answer = httpx.post(f"{url}/webhooks", content=BODY, trust_env=False, timeout=30)
    assert answer.status_code == 307


def test_the_snippets_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"headers": delivery_headers(), "body": BODY, "secret": SECRET}
    first, *others = SNIPPETS
    exec(compile(first, "receiving.md", "exec"), names)  # noqa: S102
    assert "application_form:quoted application_form quoted" in capsys.readouterr().out
    assert isinstance(names["delivery"], Delivery)
    assert str(names["delivery"].delivery_id) == ID
    exec(compile(first, "receiving.md", "exec"), names | {"secret": "another"})  # noqa: S102
    assert capsys.readouterr().out.startswith("401 ")
    for snippet in others:
        exec(compile(snippet, "receiving.md", "exec"), names)  # noqa: S102
    router = DeliveryRouter()
    router.on("application_form:quoted")(names["quoted"])
    # In the threads of a real server too, which another connection to the database serves.
    with serving_asgi(DeliveryApp(router, secret=SECRET)) as url:
        headers = delivery_headers()
        answer = httpx.post(url, content=BODY, headers=headers, trust_env=False, timeout=30)
        assert answer.status_code == 204
    with closing(sqlite3.connect(names["PATH"])) as database:
        assert database.execute("SELECT count(*) FROM seen").fetchone() == (1,)
