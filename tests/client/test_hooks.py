"""The seven operations of all kinds of client: requests, responses and errors."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.samples import (
    DELIVERY_ID,
    FAST,
    HOOK_ID,
    OPERATIONS,
    OWNER_ID,
    REQUEST_ID,
    TENANT_ID,
    event,
    subscription,
)

from webhooks_sdk import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    UnprocessableEntityError,
    WebhookEvent,
    WebhooksError,
    WebhookSubscription,
    operations,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    import httpx
    from pytest_httpx import HTTPXMock
    from support.harness import ClientHarness

    from webhooks_sdk import Client

BASE = "https://service.example"


@pytest.fixture
def base_url() -> str:
    return f"{BASE}/a/prefix"


@pytest.fixture
def client(harness: ClientHarness, base_url: str) -> Client:
    return harness.client("a-token", base_url=base_url, retry=RetryPolicy.none())


def only_request(httpx_mock: HTTPXMock) -> httpx.Request:
    (request,) = httpx_mock.get_requests()
    return request


def test_list(client: Client, httpx_mock: HTTPXMock, base_url: str) -> None:
    httpx_mock.add_response(json=[subscription(), subscription(active=False)])
    first, second = client.hooks.list()
    assert first == WebhookSubscription.from_dict(subscription())
    assert not second.active
    request = only_request(httpx_mock)
    assert (request.method, str(request.url)) == ("GET", f"{base_url}/hooks")
    assert request.content == b""


def test_list_without_subscriptions(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=[])
    assert client.hooks.list() == []


@pytest.mark.parametrize("hook_id", [HOOK_ID, str(HOOK_ID), HOOK_ID.hex, str(HOOK_ID).upper()])
def test_get(client: Client, httpx_mock: HTTPXMock, base_url: str, hook_id: UUID | str) -> None:
    config = {"url": "https://x.example", "secret": "a-key", "header": "X-Key: value"}
    httpx_mock.add_response(json=subscription(config=config))
    found = client.hooks.get(hook_id)
    assert (found.id, found.owner_id, found.tenant_id) == (HOOK_ID, OWNER_ID, TENANT_ID)
    assert found.events == ("application_form:inactive", "quote_request")
    assert found.active
    assert not found.confirmed
    assert found.created_at == datetime(2020, 9, 30, 21, 18, 3, 353000, tzinfo=UTC)
    assert found.config.url == "https://x.example"
    assert (found.config.secret, found.config.header) == ("a-key", "X-Key: value")
    assert "a-key" not in repr(found)
    request = only_request(httpx_mock)
    assert (request.method, str(request.url)) == ("GET", f"{base_url}/hooks/{HOOK_ID}")
    assert request.content == b""


@pytest.mark.parametrize("status", [200, 201])
def test_create(client: Client, httpx_mock: HTTPXMock, base_url: str, status: int) -> None:
    httpx_mock.add_response(status, json=subscription())
    created = client.hooks.create(
        url="https://x.example/in",
        events=("application_form", "*"),
        active=True,
        secret="a-key",
        header="X-Key: é",
    )
    assert created.id == HOOK_ID
    request = only_request(httpx_mock)
    assert (request.method, str(request.url)) == ("POST", f"{base_url}/hooks")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(request.content))
    assert json.loads(request.content) == {
        "url": "https://x.example/in",
        "events": ["application_form", "*"],
        "active": True,
        "secret": "a-key",
        "header": "X-Key: é",
    }


def test_create_with_defaults(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(201, json=subscription(active=False, events=[]))
    assert client.hooks.create(url="https://x.example").events == ()
    sent = json.loads(only_request(httpx_mock).content)
    assert sent == {"url": "https://x.example", "events": []}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"active": False}, {"active": False}),
        ({"url": "https://y.example"}, {"url": "https://y.example"}),
        ({"events": []}, {"events": []}),
        ({"secret": None, "header": None}, {"secret": None, "header": None}),
        ({"secret": "k", "events": ("a", "b:c")}, {"secret": "k", "events": ["a", "b:c"]}),
    ],
)
def test_update_sends_only_the_given_fields(
    client: Client,
    httpx_mock: HTTPXMock,
    base_url: str,
    arguments: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    httpx_mock.add_response(json=subscription())
    assert client.hooks.update(HOOK_ID, **arguments).id == HOOK_ID
    request = only_request(httpx_mock)
    assert request.method in {"PUT", "PATCH"}
    assert str(request.url) == f"{base_url}/hooks/{HOOK_ID}"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == sent


def test_delete(client: Client, httpx_mock: HTTPXMock, base_url: str) -> None:
    httpx_mock.add_response(204)
    client.hooks.delete(HOOK_ID)
    request = only_request(httpx_mock)
    assert (request.method, str(request.url)) == ("DELETE", f"{base_url}/hooks/{HOOK_ID}")
    assert request.content == b""


def test_list_events(client: Client, httpx_mock: HTTPXMock, base_url: str) -> None:
    httpx_mock.add_response(json=[event(), event(response_status=500)])
    first, second = client.hooks.list_events(HOOK_ID)
    assert first == WebhookEvent.from_dict(event())
    assert (first.delivered, second.delivered) == (True, False)
    request = only_request(httpx_mock)
    assert (request.method, str(request.url)) == ("GET", f"{base_url}/hooks/{HOOK_ID}/requests")
    assert request.content == b""


def test_redeliver(client: Client, httpx_mock: HTTPXMock, base_url: str) -> None:
    httpx_mock.add_response(json=event())
    found = client.hooks.redeliver(HOOK_ID, str(REQUEST_ID))
    assert (found.id, found.hook_id, found.delivery_id) == (REQUEST_ID, HOOK_ID, DELIVERY_ID)
    assert (found.event, found.subject, found.action) == (
        "application_form:inactive",
        "application_form",
        "inactive",
    )
    assert found.enqueued_at == datetime(2020, 9, 30, 21, 18, 3, 353000, tzinfo=UTC)
    assert found.redelivery
    assert found.delivered
    assert found.response_duration == timedelta(milliseconds=87)
    request = only_request(httpx_mock)
    assert request.method == "POST"
    assert str(request.url) == f"{base_url}/hooks/{HOOK_ID}/requests/{REQUEST_ID}/redeliver"
    assert request.content == b""
    assert "content-type" not in request.headers
    assert request.headers["content-length"] == "0"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_request_has_the_common_headers(
    client: Client, httpx_mock: HTTPXMock, name: str
) -> None:
    httpx_mock.add_response(404)
    with pytest.raises(NotFoundError):
        client.send(OPERATIONS[name]())
    headers = only_request(httpx_mock).headers
    assert headers["authorization"] == "Bearer a-token"
    assert headers["accept"] == "application/json"
    assert headers["host"] == "service.example"
    assert all(part in headers["user-agent"] for part in ("webhooks-sdk/", "python/", "httpx/"))


# Undocumented responses


@pytest.mark.parametrize("values", [{"response_status": None, "response_duration_ms": None}, {}])
def test_an_attempt_without_a_response_has_none(
    client: Client, httpx_mock: HTTPXMock, values: dict[str, None]
) -> None:
    data = event()
    del data["response_status"], data["response_duration_ms"]
    httpx_mock.add_response(json=data | values)
    found = client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert found.response_status is None
    assert found.response_duration is None
    assert not found.delivered


def test_unknown_fields_are_kept_at_each_level(client: Client, httpx_mock: HTTPXMock) -> None:
    config = {"url": "https://x.example", "format": {"version": 2}}
    data = subscription(config=config, tags=["a"])
    httpx_mock.add_response(json=data)
    found = client.hooks.get(HOOK_ID)
    assert found.extra == {"tags": ["a"]}
    assert found.config.extra == {"format": {"version": 2}}
    assert found.config.secret is None
    assert WebhookSubscription.from_dict(found.to_dict()) == found
    assert found.to_dict()["tags"] == ["a"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"redelivery": "yes"}, r"\$\.redelivery"),
        ({"response_status": "200"}, r"\$\.response_status"),
        ({"response_status": True}, r"\$\.response_status"),
        ({"id": "no-uuid"}, r"\$\.id"),
        ({"enqueued_at": "2020-09-30"}, r"\$\.enqueued_at"),
        ({"event": None}, r"\$\.event"),
    ],
)
def test_values_are_not_coerced(
    client: Client, httpx_mock: HTTPXMock, changes: dict[str, Any], path: str
) -> None:
    httpx_mock.add_response(json=event(**changes))
    with pytest.raises(ResponseDecodeError, match=path) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert caught.value.status == 200


def test_a_decoding_error_names_the_element(client: Client, httpx_mock: HTTPXMock) -> None:
    good, bad = event(), event(enqueued_at="yesterday")
    httpx_mock.add_response(json=[good, good, good, bad])
    with pytest.raises(ResponseDecodeError, match=r"\$\[3\]\.enqueued_at") as caught:
        client.hooks.list_events(HOOK_ID)
    assert "yesterday" not in str(caught.value)
    assert isinstance(caught.value.__cause__, Exception)


# Errors


ERRORS: dict[int, type[APIStatusError]] = {
    202: APIStatusError,
    302: APIStatusError,
    400: BadRequestError,
    401: AuthenticationError,
    402: APIStatusError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: APIStatusError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    500: InternalServerError,
    503: InternalServerError,
    599: InternalServerError,
}


@pytest.mark.parametrize("status", ERRORS)
def test_a_status_error_has_the_details_of_the_response(
    client: Client, httpx_mock: HTTPXMock, status: int
) -> None:
    httpx_mock.add_response(
        status,
        json={"message": "because"},
        headers={"X-Request-Id": "r-1", "Retry-After": "7", "X-Other": "o"},
    )
    with pytest.raises(APIStatusError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    error = caught.value
    assert type(error) is ERRORS[status]
    assert isinstance(error, WebhooksError)
    assert error.operation == "redeliver"
    assert (error.hook_id, error.request_id) == (HOOK_ID, REQUEST_ID)
    assert error.status == status
    assert error.headers["x-other"] == "o"
    assert error.body is not None
    assert json.loads(error.body) == {"message": "because"}
    assert error.attempts == 1
    # A 503 with a valid Retry-After was not processed.
    assert error.outcome_unknown is (status in {408, 500, 599})
    assert error.retry_after == 7
    assert error.correlation_id == "r-1"
    text = str(error)
    assert text.startswith("redeliver: ")
    assert str(status) in text
    assert "\n" not in text
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert str(again) == text
    assert again.__dict__ == error.__dict__


def test_a_status_error_without_details(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(404)
    with pytest.raises(NotFoundError) as caught:
        client.hooks.list()
    error = caught.value
    assert (error.hook_id, error.request_id) == (None, None)
    assert (error.retry_after, error.correlation_id) == (None, None)
    assert error.body == ""


def test_a_404_names_the_ids(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(404)
    with pytest.raises(NotFoundError, match="exist in this environment") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert str(HOOK_ID) in str(caught.value)
    assert str(REQUEST_ID) in str(caught.value)


def test_a_lost_connection_has_no_status(harness: ClientHarness, httpx_mock: HTTPXMock) -> None:
    problem = OSError("gone")
    httpx_mock.add_exception(problem)
    client = harness.client("a-token", base_url=BASE, retry=FAST)
    with pytest.raises(APIConnectionError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    error = caught.value
    assert error.__cause__ is problem
    assert (error.status, error.body, dict(error.headers)) == (None, None, {})
    assert error.outcome_unknown


INVALID: list[Callable[[Client], object]] = [
    lambda client: client.hooks.get("not-a-uuid"),
    lambda client: client.hooks.get(f"{HOOK_ID}/../x"),
    lambda client: client.hooks.get(""),
    lambda client: client.hooks.get(f"{{{HOOK_ID}}}"),
    lambda client: client.hooks.get(7),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lambda client: client.hooks.delete("x"),
    lambda client: client.hooks.list_events("x"),
    lambda client: client.hooks.redeliver(HOOK_ID, "x"),
    lambda client: client.hooks.redeliver("x", REQUEST_ID),
    lambda client: client.hooks.update("x", active=True),
    lambda client: client.hooks.update(HOOK_ID),
    lambda client: client.hooks.create(url=" "),
    lambda client: client.hooks.create(url="https://x.example", active=True),
    lambda client: client.hooks.create(url="https://x.example", events="abc"),
    lambda client: client.hooks.create(url="https://x.example", header="no colon"),
    lambda client: client.hooks.create(url="https://x.example", header="A: b\r\nC: d"),
]


@pytest.mark.parametrize("call", INVALID)
def test_invalid_arguments_are_not_sent(
    harness: ClientHarness, call: Callable[[Client], object], httpx_mock: HTTPXMock
) -> None:
    client = harness.client("a-token", base_url=BASE)
    with pytest.raises(InvalidArgumentError) as caught:
        call(client)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, WebhooksError)
    assert httpx_mock.get_requests() == []


# send


def test_send_returns_the_response_metadata(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(201, json=subscription(), headers={"X-Request-Id": "r-1"})
    operation = operations.create(url="https://x.example")
    response = client.send(operation)
    assert response.value == WebhookSubscription.from_dict(subscription())
    assert response.status == 201
    assert response.headers["x-request-id"] == "r-1"
    assert response.headers["X-REQUEST-ID"] == "r-1"
    assert response.attempts == 1
    assert 0 <= response.elapsed < 60


def test_an_operation_can_be_sent_again(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=event(), is_reusable=True)
    operation = operations.redeliver(HOOK_ID, REQUEST_ID)
    assert client.send(operation).value == client.send(operation).value
    assert len(httpx_mock.get_requests()) == 2
