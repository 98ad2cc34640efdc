"""The responses of subscribers: kept with the attempt, in part, and shown safely."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from support.inspector_helpers import HOSTILE
from support.receiving_helpers import serve_asgi
from support.sandbox_helpers import EVENT, SandboxClient, subscriber_that_sends

from webhooks_sdk import DeliveryRouter
from webhooks_sdk.asgi import DeliveryApp
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhooks_sdk.sandbox import DeliveryAttempt

SECRET = "whsec-of-the-subscription"
HEADER = "Authorization: Bearer opaque-value"
LIMIT = 2_048


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def deliver(sandbox: Sandbox, url: str, **fields: str) -> DeliveryAttempt:
    with SandboxClient(sandbox) as client:
        client.subscribe(url, **fields)
        (attempt,) = sandbox.publish(EVENT, {})
    assert sandbox.attempts == (attempt,)
    return attempt


def deliver_to(sandbox: Sandbox, response: bytes, **fields: str) -> DeliveryAttempt:
    with subscriber_that_sends(response) as url:
        return deliver(sandbox, url, **fields)


def response_with(body: bytes, content_type: bytes = b"text/plain") -> bytes:
    return b"HTTP/1.1 500 Oops\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        content_type,
        len(body),
        body,
    )


def event_page(sandbox: Sandbox, attempt: DeliveryAttempt, query: str = "") -> str:
    url = f"{sandbox.base_url}/inspector/events/{attempt.event_id}{query}"
    return httpx.get(url, trust_env=False).raise_for_status().text


def text_of(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def test_the_response_is_kept_with_the_attempt(sandbox: Sandbox) -> None:
    attempt = deliver_to(sandbox, response_with("no café".encode(), b"text/plain; charset=utf-8"))
    assert attempt.status == 500
    assert attempt.response_content_type == "text/plain; charset=utf-8"
    assert attempt.response_body == "no café".encode()
    assert attempt.response_text == "no café"
    assert attempt.response_size == 8
    assert "no caf" not in repr(attempt)
    (row,) = httpx.get(f"{sandbox.base_url}/_sandbox/attempts").json()["attempts"]
    assert row["response_content_type"] == "text/plain; charset=utf-8"
    assert (row["response_body"], row["response_size"]) == ("no café", 8)


def test_the_inspector_shows_why_a_delivery_app_rejected_a_delivery(sandbox: Sandbox) -> None:
    with serve_asgi(DeliveryApp(DeliveryRouter(), secret="another")) as url:
        attempt = deliver(sandbox, url, secret=SECRET)
    shown = text_of(event_page(sandbox, attempt))
    assert "401 Unauthorized" in shown
    assert "text/plain; charset=utf-8" in shown
    assert "The X-Signature header does not match the body with the secret." in shown


def test_a_response_without_a_body_has_no_text(sandbox: Sandbox) -> None:
    with Subscriber(status=204) as subscriber:
        attempt = deliver(sandbox, subscriber.url)
    assert (attempt.response_content_type, attempt.response_body) == (None, b"")
    assert (attempt.response_text, attempt.response_size) == ("", 0)
    shown = text_of(event_page(sandbox, attempt))
    assert "204 No Content" in shown
    assert "0 bytes" in shown


def test_without_a_response_nothing_is_kept(sandbox: Sandbox) -> None:
    attempt = deliver(sandbox, "http://127.0.0.1:9/")
    assert attempt.error is not None
    assert (attempt.response_body, attempt.response_text) == (None, None)
    assert (attempt.response_content_type, attempt.response_size) == (None, None)
    assert ">Response<" not in event_page(sandbox, attempt)


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 3_000_000])
def test_only_the_beginning_of_a_body_is_kept(sandbox: Sandbox, size: int) -> None:
    body = b"abcdefgh" * (size // 8 + 1)
    attempt = deliver_to(sandbox, response_with(body[:size]))
    assert attempt.response_size == size
    assert attempt.response_body == body[: min(size, LIMIT)]
    shown = event_page(sandbox, attempt)
    assert ("Only the beginning is kept." in shown) == (size > LIMIT)
    assert len(shown) < 20_000


def test_a_chunked_response_is_kept_like_any_other(sandbox: Sandbox) -> None:
    head = b"HTTP/1.1 503 Down\r\nTransfer-Encoding: chunked\r\n\r\n"
    attempt = deliver_to(sandbox, head + b"5\r\nclose\r\n1\r\nd\r\n0\r\n\r\n")
    assert (attempt.response_body, attempt.response_size) == (b"closed", 6)


def test_a_response_that_breaks_off_is_an_error_and_not_kept(sandbox: Sandbox) -> None:
    attempt = deliver_to(sandbox, response_with(b"complete")[:-1])
    assert attempt.status is None
    assert attempt.error is not None
    assert attempt.response_body is None


def test_a_character_that_the_limit_cuts_is_left_out(sandbox: Sandbox) -> None:
    attempt = deliver_to(sandbox, response_with(b"-" * (LIMIT - 1) + "é".encode()))
    assert attempt.response_text == "-" * (LIMIT - 1)


def test_bytes_that_are_not_text_are_escaped(sandbox: Sandbox) -> None:
    attempt = deliver_to(sandbox, response_with(b"\xff\x00\xc3"))
    assert attempt.response_text == "\\xff\x00\\xc3"
    assert r"\xff\u0000\xc3" in event_page(sandbox, attempt, "?reveal=1")
    assert r"\xff\u0000\xc3" in event_page(sandbox, attempt)


def test_hostile_responses_are_escaped(sandbox: Sandbox) -> None:
    body = f"{HOSTILE}</pre><script>\N{RIGHT-TO-LEFT OVERRIDE}".encode()
    attempt = deliver_to(sandbox, response_with(body, HOSTILE.encode() + b"y" * 5_000))
    assert attempt.response_content_type == (HOSTILE + "y" * 5_000)[:200]
    for query in ("", "?reveal=1"):
        shown = event_page(sandbox, attempt, query)
        assert "&lt;/pre&gt;&lt;script&gt;\\u202e" in shown
        for markup in ("<img", "<script>", "\N{RIGHT-TO-LEFT OVERRIDE}"):
            assert markup not in shown


@pytest.mark.parametrize(
    "body",
    [
        f"wrong secret: {SECRET}",
        f'{{"headers": {{"Authorization": "Bearer opaque-value"}}, "key": "{SECRET}"}}',
        "only opaque-value",
        "-" * (LIMIT - len(SECRET) + 3) + SECRET,
    ],
)
def test_secrets_that_a_response_echoes_are_masked_unless_revealed(
    sandbox: Sandbox, body: str
) -> None:
    attempt = deliver_to(sandbox, response_with(body.encode()), secret=SECRET, header=HEADER)
    shown = text_of(event_page(sandbox, attempt))
    assert "***" in shown
    for secret in (SECRET, SECRET[:-3], "opaque-value"):
        assert secret not in shown
    revealed = text_of(event_page(sandbox, attempt, "?reveal=1"))
    assert any(secret in revealed for secret in (SECRET[:-3], "opaque-value"))


def test_the_response_to_a_deleted_subscription_is_masked_unless_revealed(
    sandbox: Sandbox,
) -> None:
    body = f"wrong secret: {SECRET}"
    attempt = deliver_to(sandbox, response_with(body.encode()), secret=SECRET)
    assert "wrong secret: ***" in text_of(event_page(sandbox, attempt))
    with SandboxClient(sandbox) as client:
        client.delete(f"/hooks/{attempt.hook_id}").raise_for_status()
    shown = text_of(event_page(sandbox, attempt))
    assert "***" in shown
    assert "wrong secret" not in shown
    assert SECRET not in shown
    assert f"{len(body)} bytes" in shown
    assert body in text_of(event_page(sandbox, attempt, "?reveal=1"))
