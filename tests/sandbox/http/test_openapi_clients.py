"""Requests of both clients, responses and deliveries of the sandbox match the document."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.testing import MockRequest, MockResponse
from support.openapi_helpers import DOCUMENT, Exchange, RecordingSandbox, document_operations
from support.samples import HOOK_ID, REQUEST_ID
from support.sandbox_helpers import EVENT
from werkzeug.datastructures import Headers

from webhooks_sdk import AuthenticationError, ClientCredentials, NotFoundError, RetryPolicy
from webhooks_sdk.sandbox import Subscriber, Variants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.harness import ClientHarness

    from webhooks_sdk import Client
    from webhooks_sdk.sandbox import ReceivedDelivery

CREDENTIALS_TO_ESCAPE = ("the id", "se+cr&t=: ü%")
CREATES: list[dict[str, Any]] = [
    {"url": "https://subscriber.example/in"},
    {"url": "https://subscriber.example/in", "events": ("application_form",)},
    {"url": "https://subscriber.example/ü", "events": ["*"], "active": True},
    {"url": "https://x.example", "events": ["a:b", "c"], "secret": "ß", "header": "X-Key: é"},
    {"url": "https://x.example", "secret": "", "header": "X-Empty:"},
]
UPDATES: list[dict[str, Any]] = [
    {"url": "https://elsewhere.example"},
    {"events": ["quote_request:failed", "*"]},
    {"active": False},
    {"events": ()},
    {"active": True, "events": ["*"]},
    {"secret": "k"},
    {"header": "X-Key: a b"},
    {"secret": None, "header": None},
    {"url": "https://x.example", "events": ["*"], "active": False, "secret": "k", "header": "A: b"},
]

document = OpenAPI.from_dict(DOCUMENT)


@pytest.fixture
def sandbox() -> Iterator[RecordingSandbox]:
    client_id, client_secret = CREDENTIALS_TO_ESCAPE
    with RecordingSandbox(client_id=client_id, client_secret=client_secret) as sandbox:
        yield sandbox


@pytest.fixture
def client(harness: ClientHarness, sandbox: RecordingSandbox) -> Client:
    return connect(harness, sandbox)


def connect(harness: ClientHarness, sandbox: RecordingSandbox, **credentials: Any) -> Client:
    return harness.client(
        ClientCredentials(sandbox.client_id, sandbox.client_secret, **credentials),
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
        retry=RetryPolicy.none(),
    )


def validate(exchange: Exchange) -> str:
    """Validate an exchange against the document, and return the id of its operation."""
    request = MockRequest(
        "http://sandbox.example",
        exchange.method,
        exchange.path,
        args=dict(parse_qsl(exchange.query, keep_blank_values=True)),
        headers=exchange.headers,
        data=exchange.body,
        content_type=exchange.headers.get("content-type", ""),
    )
    response = MockResponse(
        exchange.response_body,
        exchange.status,
        headers=exchange.response_headers,
        content_type=exchange.response_headers.get("content-type", ""),
    )
    document.validate_request(request)
    document.validate_response(request, response)
    return find_operation(exchange)


def find_operation(exchange: Exchange) -> str:
    """Return the id of the operation, and check that the request has no undescribed parts.

    openapi-core accepts query parameters and bodies that the document does not describe.
    """
    segments = exchange.path.split("/")
    for path, method, operation in document_operations():
        template = path.split("/")
        pairs = zip(template, segments, strict=False)
        matches = all(part == segment or part.startswith("{") for part, segment in pairs)
        if method != exchange.method.lower() or len(template) != len(segments) or not matches:
            continue
        parameters = {
            parameter["name"]
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "query"
        }
        assert {name for name, _ in parse_qsl(exchange.query)} <= parameters
        assert "requestBody" in operation or exchange.body == b""
        return str(operation["operationId"])
    raise AssertionError(exchange)


def test_all_argument_types_of_all_operations(client: Client, sandbox: RecordingSandbox) -> None:
    with Subscriber() as subscriber:
        client.hooks.list()
        hook = client.hooks.create(
            url=subscriber.url, events=[EVENT], active=True, secret="k", header="X-Key: v"
        )
        for arguments in CREATES:
            client.hooks.create(**arguments)
        client.hooks.list()
        for hook_id in (hook.id, str(hook.id), hook.id.hex, str(hook.id).upper()):
            client.hooks.get(hook_id)
            client.hooks.list_events(hook_id)
        (attempt,) = sandbox.publish(EVENT, {"id": 1})
        client.hooks.redeliver(hook.id, attempt.event_id)
        client.hooks.redeliver(str(hook.id), attempt.event_id.hex)
        for arguments in UPDATES:
            client.hooks.update(hook.id, **arguments)
        client.hooks.delete(hook.id)
    seen = {validate(exchange) for exchange in sandbox.exchanges}
    # The clients use PATCH, which does the same as PUT.
    all_ids = {operation["operationId"] for _, _, operation in document_operations()}
    assert seen == all_ids - {"updateSubscriptionWithPut"}


@pytest.mark.parametrize("variants", [*Variants.names(), *range(5)])
def test_all_variants(client: Client, sandbox: RecordingSandbox, variants: str | int) -> None:
    sandbox.variants = Variants.of(variants)
    with Subscriber() as subscriber:
        hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
        sandbox.publish(EVENT, {})
        client.hooks.redeliver(hook.id, sandbox.attempts[0].event_id)
        subscriber.stop()
        sandbox.publish(EVENT, {})
        client.hooks.redeliver(hook.id, sandbox.attempts[0].event_id)
        assert len(client.hooks.list_events(hook.id)) >= 2
    for exchange in sandbox.exchanges:
        validate(exchange)


@pytest.mark.parametrize("style", ["form", "multipart", "basic"])
def test_all_styles_of_token_requests(
    harness: ClientHarness, sandbox: RecordingSandbox, style: str
) -> None:
    connect(harness, sandbox, style=style).hooks.list()
    exchange, _ = sandbox.exchanges
    assert validate(exchange) == "requestAccessToken"
    assert exchange.status == 200
    if style == "basic":
        assert (exchange.query, exchange.body) == ("grant_type=client_credentials", b"")
        assert exchange.headers["authorization"].startswith("Basic ")
    else:
        assert exchange.query == ""
        assert "authorization" not in exchange.headers


def test_error_responses_are_described(
    harness: ClientHarness, client: Client, sandbox: RecordingSandbox
) -> None:
    client.hooks.list()
    sandbox.expire_tokens()
    client.hooks.list()
    calls = (
        lambda: client.hooks.get(HOOK_ID),
        lambda: client.hooks.update(HOOK_ID, active=False),
        lambda: client.hooks.delete(HOOK_ID),
        lambda: client.hooks.list_events(HOOK_ID),
        lambda: client.hooks.redeliver(HOOK_ID, REQUEST_ID),
    )
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
    unknown_client = harness.client(
        ClientCredentials("nobody", "nothing"),
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
    )
    with contextlib.suppress(AuthenticationError):
        unknown_client.hooks.list()
    for exchange in sandbox.exchanges:
        validate(exchange)
    statuses = [exchange.status for exchange in sandbox.exchanges]
    assert statuses == [200, 200, 401, 200, 200, 404, 404, 404, 404, 404, 401]


class WebhookRequest:
    """A delivery as a webhook request of openapi-core."""

    name = "delivery"

    def __init__(self, delivery: ReceivedDelivery) -> None:
        self.method = delivery.method.lower()
        self.body = delivery.body
        self.content_type = delivery.headers["content-type"]
        self.parameters = RequestParameters(header=Headers(list(delivery.headers.items())))


def test_deliveries_match_the_document(client: Client, sandbox: RecordingSandbox) -> None:
    with Subscriber() as subscriber:
        client.hooks.create(url=subscriber.url, events=["*"], active=True)
        client.hooks.create(url=subscriber.url, events=["*"], active=True, secret="k")
        for event in (EVENT, "question_set"):
            sandbox.publish(event, {"owner": {"id": "ü"}})
        deliveries = subscriber.wait_for(4)
    for delivery in deliveries:
        document.validate_webhook_request(WebhookRequest(delivery))
    assert sum("x-signature" in delivery.headers for delivery in deliveries) == 2
