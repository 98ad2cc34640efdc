"""Access tokens: how all kinds of client fetch, share, renew and discard them."""

from __future__ import annotations

import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

import anyio
import anyio.lowlevel
import pytest
from support import fault_server as fs
from support.fault_server import Behaviour, FaultServer, respond
from support.harness import BACKENDS
from support.samples import FAST, HOOK_ID, REQUEST_ID, subscription, token
from support.threads import wait_for_threads_in

from webhooks_sdk import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    Client,
    ClientCredentials,
    ConfigurationError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    operations,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

    from support.harness import Backend, ClientHarness

CREDENTIALS = ClientCredentials("an id&", "a secret/+=é")


@pytest.fixture
def client(harness: ClientHarness, server: FaultServer) -> Client:
    """A client whose token endpoint is on the same server as the API."""
    return with_credentials(harness, server)


def with_credentials(harness: ClientHarness, server: FaultServer, **options: Any) -> Client:
    options = {"auth": CREDENTIALS, "retry": FAST} | options
    return harness.client(base_url=server.url, token_url=f"{server.url}/token", **options)


def tokens_sent(server: FaultServer) -> list[str]:
    """Return the token of each request to the API."""
    return [
        request.headers["authorization"].removeprefix("Bearer ")
        for request in server.requests
        if "/hooks" in request.path
    ]


def token_requests(server: FaultServer) -> list[fs.Request]:
    return [request for request in server.requests if request.path.startswith("/token")]


# Token requests


def test_credentials_are_sent_as_a_form(harness: ClientHarness, server: FaultServer) -> None:
    with_credentials(harness, server).hooks.list()
    (request,) = token_requests(server)
    assert request.method == "POST"
    assert request.path == "/token"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in request.headers
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": ["an id&"],
        "client_secret": ["a secret/+=é"],
    }
    assert tokens_sent(server) == ["token-1"]


def test_credentials_are_sent_as_multipart(harness: ClientHarness, server: FaultServer) -> None:
    credentials = ClientCredentials("an id&", "a secret/+=é", style="multipart")
    with_credentials(harness, server, auth=credentials).hooks.list()
    (request,) = token_requests(server)
    assert request.path == "/token"
    assert "authorization" not in request.headers
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = cast("list[Message]", message_from_bytes(head + request.body).get_payload())
    fields = {
        part.get_param("name", header="content-disposition"): cast(
            "bytes", part.get_payload(decode=True)
        ).decode()
        for part in parts
    }
    assert fields == {
        "grant_type": "client_credentials",
        "client_id": "an id&",
        "client_secret": "a secret/+=é",
    }


def test_credentials_are_sent_in_a_basic_header(
    harness: ClientHarness, server: FaultServer
) -> None:
    credentials = ClientCredentials("an id&", "a secret/+=é", style="basic")
    with_credentials(harness, server, auth=credentials).hooks.list()
    (request,) = token_requests(server)
    assert request.path == "/token?grant_type=client_credentials"
    assert request.body == b""
    scheme, _, encoded = request.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert b64decode(encoded).decode() == "an id&:a secret/+=é"


def test_one_token_serves_many_calls(client: Client, server: FaultServer) -> None:
    client.hooks.list()
    client.hooks.get(HOOK_ID)
    client.with_options(timeout=3).hooks.list()
    assert len(token_requests(server)) == 1
    assert tokens_sent(server) == ["token-1"] * 3


def test_only_the_token_is_required(client: Client, server: FaultServer) -> None:
    server.add(respond(200, {"access_token": "a-bare-token"}))
    client.hooks.list()
    client.hooks.list()
    assert tokens_sent(server) == ["a-bare-token"] * 2
    assert len(token_requests(server)) == 1


# Static tokens and token providers


def test_a_static_token_is_sent(harness: ClientHarness, server: FaultServer) -> None:
    harness.client("static-token", base_url=server.url).hooks.list()
    assert tokens_sent(server) == ["static-token"]


def test_a_token_provider_is_called_for_each_attempt(
    harness: ClientHarness, server: FaultServer
) -> None:
    numbers = iter(range(10))
    server.add(respond(500))
    client = harness.client(lambda: f"token-{next(numbers)}", base_url=server.url, retry=FAST)
    client.hooks.list()
    client.hooks.list()
    assert tokens_sent(server) == ["token-0", "token-1", "token-2"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_token_provider_can_be_async(backend: Backend, server: FaultServer) -> None:
    numbers = iter(range(10))

    async def provide() -> str:
        await anyio.lowlevel.checkpoint()
        return f"token-{next(numbers)}"

    async def main() -> None:
        async with AsyncClient(provide, base_url=server.url, retry=FAST) as client:
            await client.hooks.list()

    server.add(respond(500), respond(401))
    anyio.run(main, backend=backend)
    assert tokens_sent(server) == ["token-0", "token-1", "token-2"]


def test_the_sync_client_rejects_an_async_token_provider() -> None:
    async def provide() -> str:
        raise AssertionError

    with pytest.raises(ConfigurationError, match="AsyncClient"):
        Client(provide, base_url="http://127.0.0.1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_the_sync_client_rejects_an_awaitable_token(
    server: FaultServer,
) -> None:
    class Later:
        def __await__(self) -> Any:
            raise AssertionError

    with (
        Client(lambda: Later(), base_url=server.url) as client,  # type: ignore[arg-type,return-value] # pyright: ignore # noqa: PGH003, PLW0108
        pytest.raises(AuthenticationError, match="access token"),
    ):
        client.hooks.list()
    assert server.requests == []


def test_an_exception_of_a_token_provider_is_the_cause(
    harness: ClientHarness, server: FaultServer
) -> None:
    problem = LookupError("the vault is sealed: s3cret")

    def provide() -> str:
        raise problem

    client = harness.client(provide, base_url=server.url, retry=FAST)
    with pytest.raises(AuthenticationError, match="LookupError") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.__cause__ is problem
    assert "s3cret" not in str(caught.value)
    assert not caught.value.outcome_unknown
    assert caught.value.attempts == 0
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "two words", "line\nend", "é", None, 7, b"bytes"])
def test_a_token_provider_must_return_a_token(
    harness: ClientHarness, value: object, server: FaultServer
) -> None:
    client = harness.client(lambda: value, base_url=server.url)
    with pytest.raises(AuthenticationError) as caught:
        client.hooks.list()
    assert "words" not in str(caught.value)
    assert server.requests == []


# 401


@pytest.mark.parametrize("policy", [FAST, RetryPolicy.none()])
def test_a_rejected_token_is_renewed_once(
    harness: ClientHarness, policy: RetryPolicy, server: FaultServer
) -> None:
    client = with_credentials(harness, server, retry=policy)
    client.hooks.list()
    server.add(respond(401))
    response = client.send(operations.redeliver(HOOK_ID, REQUEST_ID))
    assert response.attempts == 2
    assert tokens_sent(server) == ["token-1", "token-1", "token-2"]
    assert len(token_requests(server)) == 2
    client.hooks.list()
    assert tokens_sent(server)[-1] == "token-2"


@pytest.mark.parametrize("policy", [FAST, RetryPolicy.none()])
def test_a_second_401_ends_the_call(
    harness: ClientHarness, policy: RetryPolicy, server: FaultServer
) -> None:
    client = with_credentials(harness, server, retry=policy)
    client.hooks.list()
    server.add(respond(401), fs.default_response(), respond(401))
    with pytest.raises(AuthenticationError) as caught:
        client.hooks.list()
    assert caught.value.attempts == 2
    assert caught.value.status == 401
    assert caught.value.error is None
    assert len(token_requests(server)) == 2
    assert not caught.value.outcome_unknown


def test_renewing_a_token_does_not_use_up_attempts(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = with_credentials(harness, server)
    client.hooks.list()
    server.add(respond(500), respond(401), fs.default_response(), respond(500))
    response = client.send(operations.list())
    assert response.attempts == 4
    assert tokens_sent(server)[1:] == ["token-1", "token-1", "token-2", "token-2"]


def test_a_401_does_not_set_outcome_unknown(harness: ClientHarness, server: FaultServer) -> None:
    client = with_credentials(harness, server)
    client.hooks.list()
    server.add(respond(401), respond(400, {"error": "invalid_client"}))
    with pytest.raises(AuthenticationError, match="no access token") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not caught.value.outcome_unknown
    assert caught.value.operation == "redeliver"
    assert caught.value.request_id == REQUEST_ID


def test_a_rejected_static_token_is_not_sent_again(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(respond(401))
    with pytest.raises(AuthenticationError) as caught:
        harness.client("static-token", base_url=server.url, retry=FAST).hooks.list()
    assert caught.value.attempts == len(server.requests) == 1


def test_a_token_provider_is_called_again_after_a_401(
    harness: ClientHarness, server: FaultServer
) -> None:
    numbers = iter(range(10))
    server.add(respond(401), respond(401))
    client = harness.client(
        lambda: f"token-{next(numbers)}", base_url=server.url, retry=RetryPolicy.none()
    )
    with pytest.raises(AuthenticationError) as caught:
        client.hooks.list()
    assert caught.value.attempts == 2
    assert tokens_sent(server) == ["token-0", "token-1"]


def test_a_late_401_does_not_invalidate_a_newer_token(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = with_credentials(harness, server)
    client.hooks.list()
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, respond(401)))
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(client.hooks.list)
        assert arrived.wait(30)
        # In the meantime, the token of another call is rejected and renewed.
        server.add(respond(401))
        client.hooks.list()
        release.set()
        late.result(30)
    assert len(token_requests(server)) == 2
    assert tokens_sent(server)[-1] == "token-2"


# Expiry


@pytest.mark.parametrize("expires_in", [0, -5])
def test_an_expired_token_is_used_once(
    client: Client, expires_in: int, server: FaultServer
) -> None:
    short = [respond(200, token(f"short-{i}", expires_in=expires_in)) for i in range(2)]
    server.add(short[0], fs.default_response(), short[1])
    client.hooks.list()
    client.hooks.list()
    assert tokens_sent(server) == ["short-0", "short-1"]


@pytest.mark.parametrize("expires_in", [100, 43200, 10**400])
def test_a_token_is_reused_until_it_expires(
    client: Client, expires_in: int, server: FaultServer
) -> None:
    server.add(respond(200, token("long", expires_in=expires_in)))
    for _ in range(3):
        client.hooks.list()
    assert tokens_sent(server) == ["long"] * 3


# Concurrent calls


def call_concurrently(number: int, call: Callable[[], object]) -> list[object]:
    """Call from this many threads simultaneously and return the values and errors."""
    barrier = threading.Barrier(number)

    def one() -> object:
        barrier.wait(30)
        try:
            return call()
        except APIError as error:
            return error

    with ThreadPoolExecutor(number) as pool:
        return [future.result(60) for future in [pool.submit(one) for _ in range(number)]]


def test_50_threads_cause_one_token_request(harness: ClientHarness, server: FaultServer) -> None:
    server.add(respond(200, token("expired", expires_in=0)))
    client = with_credentials(harness, server, retry=RetryPolicy.none())
    client.hooks.list()
    results = call_concurrently(50, client.hooks.list)
    assert all(isinstance(result, list) for result in results), results
    assert len(token_requests(server)) == 2
    assert tokens_sent(server) == ["expired", *["token-1"] * 50]


@pytest.mark.parametrize("backend", BACKENDS)
def test_500_tasks_cause_one_token_request(backend: Backend, server: FaultServer) -> None:
    server.add(respond(200, token("expired", expires_in=0)))

    async def main() -> None:
        async with AsyncClient(
            CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token", max_connections=20
        ) as client:
            await client.hooks.list()
            async with anyio.create_task_group() as group:
                for _ in range(500):
                    group.start_soon(client.hooks.list)

    anyio.run(main, backend=backend)
    assert len(token_requests(server)) == 2
    assert tokens_sent(server) == ["expired", *["token-1"] * 500]


def test_concurrently_rejected_tokens_are_renewed_once(
    harness: ClientHarness, server: FaultServer
) -> None:
    number = 10
    client = with_credentials(harness, server, retry=RetryPolicy.none())
    client.hooks.list()
    barrier = threading.Barrier(number)

    def reject_all(exchange: fs.Exchange) -> bool:
        barrier.wait(30)
        return respond(401).run(exchange)

    server.add(*[Behaviour(reject_all)] * number)
    results = call_concurrently(number, client.hooks.list)
    assert all(isinstance(result, list) for result in results), results
    assert len(token_requests(server)) == 2
    assert sorted(tokens_sent(server)) == ["token-1"] * (1 + number) + ["token-2"] * number


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failed_token_request_raises_in_all_waiting_tasks(
    backend: Backend, server: FaultServer
) -> None:
    arrived, release = threading.Event(), threading.Event()
    rejection = respond(400, {"error": "invalid_client"})
    server.add(fs.held(arrived, release, rejection))
    failures: list[AuthenticationError] = []

    async def main() -> None:
        client = AsyncClient(CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token")

        async def call() -> None:
            with pytest.raises(AuthenticationError) as caught:
                await client.hooks.redeliver(HOOK_ID, REQUEST_ID)
            failures.append(caught.value)

        async with client:
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(call)
                # The single token request has arrived; the other tasks wait for it.
                await anyio.to_thread.run_sync(arrived.wait, 30)
                await anyio.wait_all_tasks_blocked()
                release.set()
            await client.hooks.list()

    anyio.run(main, backend=backend)
    assert len(failures) == 20
    assert {failure.error for failure in failures} == {"invalid_client"}
    assert not any(failure.outcome_unknown for failure in failures)
    assert len({id(failure) for failure in failures}) == 20
    assert len(token_requests(server)) == 2


def test_a_failed_token_request_raises_in_all_waiting_threads(server: FaultServer) -> None:
    number = 20
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, respond(400, {"error": "invalid_client"})))
    with (
        Client(CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token") as client,
        ThreadPoolExecutor(number) as pool,
    ):
        # The server holds the token request until all other threads wait for it.
        calls = [pool.submit(client.hooks.list)]
        assert arrived.wait(30)
        calls += [pool.submit(client.hooks.list) for _ in range(number - 1)]
        wait_for_threads_in("acquire", "sync_tokens.py", number - 1)
        release.set()
        assert all(isinstance(call.exception(30), AuthenticationError) for call in calls)
        assert len(token_requests(server)) == 1
        client.hooks.list()
    assert len(token_requests(server)) == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_waiting_task_takes_over_when_the_fetching_task_is_cancelled(
    backend: Backend, server: FaultServer
) -> None:
    server.add(fs.never_respond())
    done: list[object] = []

    async def main() -> None:
        async with AsyncClient(
            CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token"
        ) as client:

            async def call() -> None:
                done.append(await client.hooks.list())

            async with anyio.create_task_group() as group:
                fetching = anyio.CancelScope()

                async def fetch() -> None:
                    with fetching:
                        await client.hooks.list()

                group.start_soon(fetch)
                await anyio.to_thread.run_sync(server.wait_for_requests, 1)
                for _ in range(5):
                    group.start_soon(call)
                await anyio.wait_all_tasks_blocked()
                fetching.cancel()

    anyio.run(main, backend=backend)
    assert len(done) == 5
    assert len(token_requests(server)) == 2


def test_the_deadline_bounds_waiting_for_a_token(
    harness: ClientHarness, server: FaultServer
) -> None:
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, fs.default_response()))
    client = with_credentials(harness, server)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(client.hooks.list)
        assert arrived.wait(30)
        with_short_deadline = client.with_options(retry=RetryPolicy(deadline=0.2))
        with pytest.raises(APITimeoutError) as caught:
            with_short_deadline.hooks.redeliver(HOOK_ID, REQUEST_ID)
        assert not caught.value.outcome_unknown
        assert caught.value.attempts == 0
        release.set()
        assert fetching.result(30)
    assert len(token_requests(server)) == 1


def test_a_passed_deadline_does_not_fail_other_calls(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(fs.never_respond())
    client = with_credentials(harness, server)
    with_short_deadline = client.with_options(retry=RetryPolicy(deadline=0.3))
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(with_short_deadline.hooks.list)
        server.wait_for_requests(1)
        assert client.hooks.list()
        assert isinstance(failing.exception(30), APITimeoutError)
    assert len(token_requests(server)) == 2


# Failures of the token endpoint


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_rejected_token_request_has_the_details_of_the_response(
    harness: ClientHarness, status: int, server: FaultServer
) -> None:
    body = {"error": "invalid_client", "error_description": "who\n are you?"}
    server.add(respond(status, body, [("X-Request-Id", "r-1")]))
    client = with_credentials(harness, server)
    with pytest.raises(AuthenticationError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    error = caught.value
    assert error.error == "invalid_client"
    assert error.error_description == "who are you?"
    assert error.status == status
    assert error.correlation_id == "r-1"
    assert (error.operation, error.hook_id, error.request_id) == (
        "redeliver",
        HOOK_ID,
        REQUEST_ID,
    )
    assert not error.outcome_unknown
    assert "\n" not in str(error)
    assert "invalid_client" in str(error)
    assert len(server.requests) == 1
    # The next call requests a token again.
    assert client.hooks.list()


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b'{"error": 5}', b'{"error": null}'])
def test_an_error_response_without_oauth_fields_is_accepted(
    client: Client, body: bytes, server: FaultServer
) -> None:
    server.add(respond(400, body))
    with pytest.raises(AuthenticationError) as caught:
        client.hooks.list()
    assert caught.value.error is None
    assert caught.value.error_description is None
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "fault",
    [
        respond(503),
        respond(500),
        respond(408),
        respond(429),
        fs.close_after_request(),
        fs.reset_after_request(),
        fs.truncated(500),
    ],
)
def test_a_token_request_is_retried(client: Client, fault: Behaviour, server: FaultServer) -> None:
    server.add(fault, fault)
    response = client.send(operations.redeliver(HOOK_ID, REQUEST_ID))
    assert response.attempts == 1
    assert len(token_requests(server)) == 3


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        (respond(503), InternalServerError, 3),
        (respond(429), RateLimitError, 3),
        (fs.close_after_request(), APIConnectionError, 3),
        (respond(200, b"<html>"), ResponseDecodeError, 1),
        (respond(200, {"access_token": None}), ResponseDecodeError, 1),
        (respond(200, {"access_token": "two words"}), ResponseDecodeError, 1),
        (respond(200, {"access_token": "t", "expires_in": "60"}), ResponseDecodeError, 1),
        (respond(200, {"token_type": "bearer"}), ResponseDecodeError, 1),
    ],
)
def test_a_failed_token_request_never_sets_outcome_unknown(
    client: Client, fault: Behaviour, kind: type[APIError], requests: int, server: FaultServer
) -> None:
    server.add(*[fault] * 3)
    with pytest.raises(kind, match="no access token") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert type(caught.value) is kind
    assert not caught.value.outcome_unknown
    assert len(server.requests) == len(token_requests(server)) == requests
    assert "two words" not in str(caught.value) + repr(caught.value.__dict__)


def test_a_token_request_shares_the_deadline_of_the_call(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(respond(503, headers=[("Retry-After", "30")]))
    client = with_credentials(harness, server, retry=RetryPolicy(deadline=10))
    with pytest.raises(InternalServerError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.retry_after == 30
    assert len(server.requests) == 1


def test_a_failed_token_request_does_not_multiply_attempts(
    harness: ClientHarness, server: FaultServer
) -> None:
    # The token request is retried by itself: the call does not multiply its attempts.
    server.add(*[respond(500)] * 20)
    with pytest.raises(InternalServerError):
        with_credentials(harness, server).hooks.list()
    assert len(server.requests) == 3


def test_a_404_keeps_the_token(client: Client, server: FaultServer) -> None:
    server.add(fs.default_response(), respond(404))
    with pytest.raises(NotFoundError):
        client.hooks.get(HOOK_ID)
    server.add(respond(200, subscription()))
    client.hooks.get(HOOK_ID)
    assert len(token_requests(server)) == 1
