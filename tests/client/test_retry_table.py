"""Every row of the retry table, for every operation and kind of client, over real sockets."""

from __future__ import annotations

import gzip
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import trustme
from attrs import evolve, frozen
from support import fault_server as fs
from support.fault_server import Behaviour, ClosedPort, FaultServer, FullBacklogPort, respond
from support.harness import BACKENDS
from support.samples import FAST, HOOK_ID, NON_IDEMPOTENT, OPERATIONS, REQUEST_ID, token

from webhooks_sdk import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ClientCredentials,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
    RetryEvent,
    RetryPolicy,
    UnprocessableEntityError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.harness import Backend, ClientHarness

    from webhooks_sdk import Client

CREDENTIALS = ClientCredentials("an-id", "a-client-secret")
CALLS = [*OPERATIONS, "token"]
SHORT = 0.2  # seconds: the timeout of an attempt without a response
GENEROUS = 20.0  # seconds: far longer than any of these calls takes, far shorter than a hang


@frozen
class Row:
    """A fault that can happen to a request.

    Attributes:
        name: A description.
        fault: The behaviour of the server.
        error: The error raised if the request is not retried.
        received: Whether the server receives the request.
        timeout: The timeout of an attempt, in seconds.
    """

    name: str
    fault: Behaviour
    error: type[APIError]
    received: bool = True
    timeout: float = GENEROUS

    def __str__(self) -> str:
        return self.name


def ids(value: object) -> str | None:
    return str(value) if isinstance(value, Row) else None


AMBIGUOUS = (
    Row("408", respond(408), APIStatusError),
    Row("500", respond(500), InternalServerError),
    Row("502 and closed", respond(502, b"<html>", close=True), InternalServerError),
    Row("503 without Retry-After", respond(503), InternalServerError),
    Row(
        "503 with an invalid Retry-After",
        respond(503, headers=[("Retry-After", "soon")]),
        InternalServerError,
    ),
    Row("504", respond(504), InternalServerError),
    Row("599", respond(599), InternalServerError),
    Row("500 truncated", fs.truncated(500), InternalServerError),
    Row("no response", fs.never_respond(), APITimeoutError, timeout=SHORT),
    Row("reset before reading", fs.reset_on_connect(), APIConnectionError, received=False),
    Row("closed before reading", fs.close_on_connect(), APIConnectionError, received=False),
    Row("read and closed", fs.close_after_request(), APIConnectionError),
    Row("read and reset", fs.reset_after_request(), APIConnectionError),
    Row("malformed status line", fs.raw(b"what?\r\n\r\n"), APIConnectionError),
    Row("malformed header", fs.raw(b"HTTP/1.1 200 X\r\n: x\r\n\r\n"), APIConnectionError),
)
DEFERRED = (
    Row("429", respond(429), RateLimitError),
    Row("429 with Retry-After", respond(429, headers=[("Retry-After", "0")]), RateLimitError),
    Row(
        "429 with an invalid Retry-After",
        respond(429, headers=[("Retry-After", "-1")]),
        RateLimitError,
    ),
    Row("503 with Retry-After", respond(503, headers=[("Retry-After", "0")]), InternalServerError),
    Row(
        "503 with a past date",
        respond(503, headers=[("Retry-After", "Wed, 30 Sep 2020 21:18:03 GMT")]),
        InternalServerError,
    ),
)
REJECTED = (
    Row("300", respond(300), APIStatusError),
    Row("301", respond(301, headers=[("Location", "/hooks")]), APIStatusError),
    Row("307", respond(307, headers=[("Location", "/hooks")]), APIStatusError),
    Row("304", respond(304), APIStatusError),
    Row("400", respond(400), BadRequestError),
    Row("401", respond(401), AuthenticationError),
    Row("402", respond(402), APIStatusError),
    Row("403", respond(403), PermissionDeniedError),
    Row("404", respond(404), NotFoundError),
    Row("409", respond(409), ConflictError),
    Row("418", respond(418), APIStatusError),
    Row("422", respond(422), UnprocessableEntityError),
    Row("499", respond(499), APIStatusError),
    Row("202", respond(202), APIStatusError),
    Row("299", respond(299, b"[]"), APIStatusError),
)
BOMB = gzip.compress(b"[" + b" " * 4_000_000 + b"]")
UNDECODABLE = (
    Row("not JSON", respond(200, b"<html>"), ResponseDecodeError),
    Row("empty", respond(200), ResponseDecodeError),
    Row("truncated JSON", respond(200, b'[{"id": '), ResponseDecodeError),
    Row("NaN", respond(200, b"NaN"), ResponseDecodeError),
    Row("another shape", respond(200, 7), ResponseDecodeError),
    Row("nested too deeply", respond(200, b"[" * 200_000), ResponseDecodeError),
    Row("not UTF-8", respond(200, b'"\xff"'), ResponseDecodeError),
    Row("truncated", fs.truncated(), ResponseDecodeError),
    Row("truncated chunked", fs.truncated_chunked(), ResponseDecodeError),
    Row("too large", respond(200, b" " * 1_000_001), ResponseDecodeError),
    Row("bomb", respond(200, BOMB, [("Content-Encoding", "gzip")]), ResponseDecodeError),
    Row("broken gzip", respond(200, b"[]", [("Content-Encoding", "gzip")]), ResponseDecodeError),
    Row("cut gzip", respond(200, BOMB[:50], [("Content-Encoding", "gzip")]), ResponseDecodeError),
    Row(
        "stacked codings",
        respond(200, BOMB, [("Content-Encoding", "gzip, gzip")]),
        ResponseDecodeError,
    ),
    Row("unknown coding", respond(200, b"[]", [("Content-Encoding", "br")]), ResponseDecodeError),
)


class Caller:
    """Makes calls whose requests, to the API or to the token endpoint, meet the scripted faults."""

    def __init__(
        self, harness: ClientHarness, called: str, server: FaultServer, other: FaultServer
    ) -> None:
        self.harness = harness
        self.called = called
        self.server = server
        self.token_server = server if called == "token" else other
        self.api_server = other if called == "token" else server
        self.clients: dict[str, Client] = {}

    def __repr__(self) -> str:
        return self.called

    def add_faults(self, *faults: Behaviour) -> None:
        """Script the faults of the next requests, and clear the recorded ones."""
        self.server.requests.clear()
        self.server.add(*faults)

    def client(self, **options: Any) -> Client:
        # Creating a client takes longer than these calls.
        key = f"{self.called == 'token'} {options}"
        if key not in self.clients:
            self.clients[key] = self.new_client(**options)
        return self.clients[key]

    def new_client(self, **options: Any) -> Client:
        settings: dict[str, Any] = {"retry": FAST, "timeout": GENEROUS, "max_response_bytes": 10**6}
        return self.harness.client(
            CREDENTIALS,
            base_url=options.pop("base_url", self.api_server.url),
            token_url=options.pop("token_url", f"{self.token_server.url}/token"),
            **settings | options,
        )

    def call(self, **options: Any) -> int:
        """Make the call and return its number of attempts."""
        client = self.client(**options)
        operation = OPERATIONS["list" if self.called == "token" else self.called]()
        return client.send(operation).attempts

    def fail(self, **options: Any) -> APIError:
        with pytest.raises(APIError) as caught:
            self.call(**options)
        assert caught.value.operation == ("list" if self.called == "token" else self.called)
        return caught.value


@pytest.fixture
def callers(harness: ClientHarness) -> Iterator[list[Caller]]:
    """One caller for each operation, and one for the token request."""
    # Without keep-alive, each request meets its fault on its own connection.
    with FaultServer(keep_alive=False) as server, FaultServer() as other:
        callers = [Caller(harness, called, server, other) for called in CALLS]
        for caller in callers:
            caller.clients = callers[0].clients
        yield callers


def attempts_of(caller: Caller, number: int) -> int:
    # `attempts` excludes those of the token request.
    return 1 if caller.called == "token" else number


@pytest.mark.parametrize("row", AMBIGUOUS, ids=ids)
def test_ambiguous_failures_are_retried_only_for_idempotent_operations(
    callers: list[Caller], row: Row
) -> None:
    for caller in callers:
        caller.add_faults(row.fault)
        if caller.called in NON_IDEMPOTENT:
            error = caller.fail(timeout=row.timeout)
            assert type(error) is row.error
            assert error.outcome_unknown
            assert error.attempts == 1
            assert len(caller.server.requests) == row.received
        else:
            assert caller.call(timeout=row.timeout) == attempts_of(caller, 2)
            assert len(caller.server.requests) == 1 + row.received


@pytest.mark.parametrize("row", DEFERRED, ids=ids)
def test_deferred_requests_are_retried(callers: list[Caller], row: Row) -> None:
    for caller in callers:
        caller.add_faults(row.fault, row.fault)
        assert caller.call() == attempts_of(caller, 3)
        assert len(caller.server.requests) == 3


@pytest.mark.parametrize("row", REJECTED, ids=ids)
def test_rejected_requests_are_not_retried(callers: list[Caller], row: Row) -> None:
    for caller in callers:
        caller.add_faults(row.fault)
        if caller.called != "token" and row.name == "401":
            # A rejected token is renewed once; see test_auth.py.
            caller.server.add(row.fault)
        error = caller.fail()
        is_token_4xx = caller.called == "token" and row.name.startswith("4")
        assert type(error) is (AuthenticationError if is_token_4xx else row.error)
        assert not error.outcome_unknown
        assert error.status == int(row.name)
        assert (
            len(caller.server.requests)
            == error.attempts
            == 1 + (caller.called != "token" and row.name == "401")
        )


@pytest.mark.parametrize("row", UNDECODABLE, ids=ids)
def test_an_undecodable_success_is_not_retried(callers: list[Caller], row: Row) -> None:
    for caller in callers:
        caller.add_faults(row.fault)
        if caller.called == "delete":
            # Its only success is 204, which has no body.
            error = caller.fail()
            assert type(error) is APIStatusError
            assert not error.outcome_unknown
        else:
            error = caller.fail()
            assert type(error) is row.error
            assert error.outcome_unknown is (caller.called in {*NON_IDEMPOTENT, "update"})
            assert error.status == 200
        assert error.attempts == len(caller.server.requests) == 1


def test_a_decoding_error_names_the_json_path(harness: ClientHarness, server: FaultServer) -> None:
    server.add(respond(200, [{"id": 1}, {}]))
    with pytest.raises(ResponseDecodeError, match=r"\$\[0\]\.id"):
        harness.client("token", base_url=server.url).hooks.list()


# Proven not sent


def test_a_refused_connection_is_retried(harness: ClientHarness) -> None:
    for called in CALLS:
        with FaultServer(listening=False) as server, FaultServer() as other:
            events: list[RetryEvent] = []

            def start_server(
                event: RetryEvent,
                server: FaultServer = server,
                events: list[RetryEvent] = events,
            ) -> None:
                events.append(event)
                if event.attempt == 2:
                    server.listen()

            caller = Caller(harness, called, server, other)
            assert caller.call(on_retry=start_server) == attempts_of(caller, 3)
            assert len(server.requests) == 1
            assert [type(event.error) for event in events] == [APIConnectionError] * 2
            assert not any(event.error.outcome_unknown for event in events)


def test_a_refused_connection_is_reported_when_attempts_run_out(callers: list[Caller]) -> None:
    for caller in callers:
        with ClosedPort() as url:
            error = (
                caller.fail(token_url=f"{url}/token")
                if caller.called == "token"
                else caller.fail(base_url=url)
            )
        assert type(error) is APIConnectionError
        assert error.attempts == 3
        assert not error.outcome_unknown
        assert "Nothing was sent" in str(error)
        assert caller.server.requests == []


@pytest.mark.parametrize("called", ["redeliver", "token"])
def test_an_unknown_host_is_retried(
    harness: ClientHarness, called: str, server: FaultServer, token_server: FaultServer
) -> None:
    url = "http://nowhere.invalid"
    name = "token_url" if called == "token" else "base_url"
    error = Caller(harness, called, server, token_server).fail(
        **{name: url}, allow_insecure_http=True, retry=evolve(FAST, max_attempts=2)
    )
    assert type(error) is APIConnectionError
    assert error.attempts == 2
    assert not error.outcome_unknown
    assert "Nothing was sent" in str(error)


def test_an_invalid_host_does_not_set_outcome_unknown(
    harness: ClientHarness,
) -> None:
    with pytest.raises((ConfigurationError, APIConnectionError)) as caught:
        harness.client(
            "token", base_url=f"http://{'a' * 70}.invalid", allow_insecure_http=True, retry=FAST
        ).hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not getattr(caught.value, "outcome_unknown", False)


def test_a_connect_timeout_is_retried(harness: ClientHarness) -> None:
    timeout = httpx.Timeout(GENEROUS, connect=0.05)
    for called in ("list", "redeliver", "token"):
        with FaultServer() as server, FaultServer() as other, FullBacklogPort() as url:
            caller = Caller(harness, called, server, other)
            error = (
                caller.fail(token_url=f"{url}/token", timeout=timeout)
                if called == "token"
                else caller.fail(base_url=url, timeout=timeout)
            )
            assert type(error) is APITimeoutError
            assert error.attempts == 3
            assert not error.outcome_unknown


def server_context(tls_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = tls_authority.issue_cert("localhost")
    with certificate.private_key_and_cert_chain_pem.tempfile() as file:
        context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("fault", [fs.close_on_connect(), fs.reset_on_connect()])
def test_an_interrupted_handshake_is_retried(
    harness: ClientHarness, fault: Behaviour, tls_authority: trustme.CA
) -> None:
    tls = server_context(tls_authority)
    for called in CALLS:
        with FaultServer(fault, fault, tls=tls) as server, FaultServer(tls=tls) as other:
            caller = Caller(harness, called, server, other)
            assert caller.call() == attempts_of(caller, 3)
            assert server.connections == 3
            assert len(server.requests) == 1


@pytest.mark.parametrize("called", ["list", "create", "redeliver", "token"])
def test_an_untrusted_certificate_is_not_retried(harness: ClientHarness, called: str) -> None:
    with FaultServer(tls=server_context(trustme.CA())) as server, FaultServer() as other:
        error = Caller(harness, called, server, other).fail()
        assert type(error) is APIConnectionError
        assert not error.outcome_unknown
        assert "certificate" in str(error)
        assert error.attempts == 1
        assert server.connections == 1
        assert server.requests == []


# Attempts exhausted


@pytest.mark.parametrize("row", [AMBIGUOUS[1], AMBIGUOUS[-3], DEFERRED[0]], ids=ids)
def test_the_last_error_is_raised_unwrapped(callers: list[Caller], row: Row) -> None:
    for caller in callers:
        ambiguous = row in AMBIGUOUS
        number = 1 if ambiguous and caller.called in NON_IDEMPOTENT else 3
        caller.add_faults(*[row.fault] * number)
        error = caller.fail()
        assert type(error) is row.error
        assert error.attempts == number
        assert len(caller.server.requests) == number
        changes_something = caller.called in {"create", "update", "delete", "redeliver"}
        assert error.outcome_unknown is (ambiguous and changes_something)
        assert "tenacity" not in repr(error.__cause__)


@pytest.mark.parametrize("row", [AMBIGUOUS[1], DEFERRED[0]], ids=ids)
def test_retry_policy_none_does_not_retry(callers: list[Caller], row: Row) -> None:
    for caller in callers:
        caller.add_faults(row.fault)
        error = caller.fail(retry=RetryPolicy.none())
        assert type(error) is row.error
        assert len(caller.server.requests) == error.attempts == 1


@pytest.mark.parametrize("row", AMBIGUOUS, ids=ids)
def test_resend_unknown_retries_ambiguous_failures(callers: list[Caller], row: Row) -> None:
    policy = evolve(FAST, resend_unknown=True)
    for caller in callers:
        if caller.called in NON_IDEMPOTENT:
            caller.add_faults(row.fault)
            assert caller.call(retry=policy, timeout=row.timeout) == 2
            assert len(caller.server.requests) == 1 + row.received


@pytest.mark.parametrize("called", sorted(NON_IDEMPOTENT))
def test_resend_unknown_does_not_retry_an_undecodable_success(
    harness: ClientHarness, called: str, server: FaultServer, token_server: FaultServer
) -> None:
    server.add(respond(200, b"<html>"))
    error = Caller(harness, called, server, token_server).fail(
        retry=evolve(FAST, resend_unknown=True)
    )
    assert error.outcome_unknown
    assert len(server.requests) == 1


@pytest.mark.parametrize("called", ["create", "update"])
def test_a_partly_written_request_is_ambiguous(
    harness: ClientHarness, called: str, server: FaultServer
) -> None:
    server.add(fs.never_read())
    client = harness.client("token", base_url=server.url, retry=FAST, timeout=SHORT)
    url = "https://subscriber.example/" + "x" * 20_000_000
    if called == "create":
        with pytest.raises(APITimeoutError) as caught:
            client.hooks.create(url=url)
        assert caught.value.outcome_unknown
        assert caught.value.attempts == server.connections == 1
    else:
        policy = evolve(FAST, max_attempts=2)
        client.with_options(retry=policy).hooks.update(HOOK_ID, url=url)
        assert server.connections == 2
        assert len(server.requests) == 1


# outcome_unknown is sticky


@pytest.mark.parametrize(
    ("last", "error_type"),
    [
        (respond(429), RateLimitError),
        (respond(404), NotFoundError),
        (respond(400), BadRequestError),
        (respond(401), AuthenticationError),
        (respond(307), APIStatusError),
    ],
)
@pytest.mark.parametrize("called", ["create", "redeliver", "update"])
def test_outcome_unknown_stays_set_after_a_later_error(
    harness: ClientHarness,
    called: str,
    last: Behaviour,
    error_type: type[APIError],
    server: FaultServer,
) -> None:
    server.add(fs.close_after_request(), last)
    policy = evolve(FAST, max_attempts=2, resend_unknown=True)
    client = harness.client("token", base_url=server.url, retry=policy)
    with pytest.raises(error_type) as caught:
        client.send(OPERATIONS[called]())
    assert caught.value.outcome_unknown
    assert "may have " in str(caught.value)
    assert caught.value.attempts == len(server.requests) == 2


def test_outcome_unknown_stays_set_when_the_server_goes_away(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(respond(500, close=True))
    policy = evolve(FAST, resend_unknown=True)

    def stop_server(_: object) -> None:
        server.close()

    client = harness.client("token", base_url=server.url, retry=policy, on_retry=stop_server)
    with pytest.raises(APIConnectionError, match="The last attempt sent nothing") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert caught.value.attempts == 3


def test_outcome_unknown_stays_set_when_a_token_request_fails(
    harness: ClientHarness, server: FaultServer, token_server: FaultServer
) -> None:
    server.add(respond(500))
    token_server.add(respond(200, token(expires_in=0)), respond(400, {"error": "invalid_client"}))
    caller = Caller(harness, "redeliver", server, token_server)
    error = caller.fail(retry=evolve(FAST, resend_unknown=True))
    assert type(error) is AuthenticationError
    assert error.outcome_unknown
    assert error.error == "invalid_client"


def test_a_later_success_ends_the_uncertainty(harness: ClientHarness, server: FaultServer) -> None:
    server.add(fs.close_after_request())
    policy = evolve(FAST, resend_unknown=True)
    client = harness.client("token", base_url=server.url, retry=policy)
    assert client.hooks.redeliver(HOOK_ID, REQUEST_ID).delivered


# Retried deletes


@pytest.mark.parametrize(
    "fault", [respond(500), fs.close_after_request(), fs.reset_after_request()]
)
def test_a_404_after_an_ambiguous_delete_is_a_success(
    harness: ClientHarness, fault: Behaviour, server: FaultServer
) -> None:
    server.add(fault, respond(404, {"error": "not found"}))
    client = harness.client("token", base_url=server.url, retry=FAST)
    response = client.send(OPERATIONS["delete"]())
    assert response.value is None
    assert response.status == 404
    assert response.attempts == 2


@pytest.mark.parametrize("fault", [respond(429), respond(503, headers=[("Retry-After", "0")])])
def test_a_404_after_a_deferred_delete_is_not_found(
    harness: ClientHarness, fault: Behaviour, server: FaultServer
) -> None:
    server.add(fault, respond(404, {"error": "not found"}))
    client = harness.client("token", base_url=server.url, retry=FAST)
    with pytest.raises(NotFoundError) as caught:
        client.hooks.delete(HOOK_ID)
    assert not caught.value.outcome_unknown
    assert caught.value.attempts == 2


def test_a_404_to_other_operations_is_never_a_success(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(respond(500), respond(404))
    with pytest.raises(NotFoundError) as caught:
        harness.client("token", base_url=server.url, retry=FAST).hooks.get(HOOK_ID)
    assert not caught.value.outcome_unknown


# Retry-After


def waits(events: list[RetryEvent]) -> list[float]:
    return [event.wait for event in events]


def test_retry_after_is_honoured(harness: ClientHarness, server: FaultServer) -> None:
    server.add(respond(429, headers=[("Retry-After", "1")]))
    events: list[RetryEvent] = []
    client = harness.client("token", base_url=server.url, retry=FAST, on_retry=events.append)
    began = time.monotonic()
    client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert time.monotonic() - began >= 1
    assert waits(events) == [1]
    assert events[0].error.retry_after == 1


def test_retry_after_can_be_a_date(harness: ClientHarness, server: FaultServer) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    server.add(respond(429, headers=[("Retry-After", soon)]))
    with pytest.raises(RateLimitError) as caught:
        harness.client(
            "token", base_url=server.url, retry=evolve(FAST, max_retry_after=5)
        ).hooks.list()
    assert caught.value.retry_after is not None
    assert 5 < caught.value.retry_after <= 50
    assert len(server.requests) == 1


@pytest.mark.parametrize("value", ["61", "99999999999999999999", "9" * 400])
@pytest.mark.parametrize("status", [429, 503])
def test_a_too_long_retry_after_raises_immediately(
    harness: ClientHarness, status: int, value: str, server: FaultServer
) -> None:
    server.add(respond(status, headers=[("Retry-After", value)]))
    client = harness.client("token", base_url=server.url, retry=FAST)
    with pytest.raises(APIStatusError) as caught:
        client.hooks.list()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 61
    assert caught.value.attempts == len(server.requests) == 1
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "1e3", "nan", "inf", "Wed, 99 Foo 1"])
def test_an_invalid_retry_after_is_ignored(
    harness: ClientHarness, value: str, server: FaultServer
) -> None:
    server.add(respond(429, headers=[("Retry-After", value)]))
    events: list[RetryEvent] = []
    harness.client("token", base_url=server.url, retry=FAST, on_retry=events.append).hooks.list()
    assert [event.error.retry_after for event in events] == [None]
    assert waits(events)[0] <= FAST.max_backoff


def test_retry_after_is_honoured_for_other_errors(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(respond(500, headers=[("Retry-After", "61")]))
    with pytest.raises(InternalServerError) as caught:
        harness.client("token", base_url=server.url, retry=FAST).hooks.list()
    assert caught.value.retry_after == 61
    assert len(server.requests) == 1


# on_retry


def test_on_retry_is_called_before_each_wait(harness: ClientHarness, server: FaultServer) -> None:
    server.add(respond(429), fs.close_after_request())
    events: list[RetryEvent] = []
    policy = evolve(FAST, resend_unknown=True)
    client = harness.client("token", base_url=server.url, retry=policy, on_retry=events.append)
    client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert [(e.operation, e.hook_id, e.request_id, e.attempt) for e in events] == [
        ("redeliver", HOOK_ID, REQUEST_ID, 1),
        ("redeliver", HOOK_ID, REQUEST_ID, 2),
    ]
    assert [type(e.error) for e in events] == [RateLimitError, APIConnectionError]
    assert [e.error.outcome_unknown for e in events] == [False, True]
    assert all(0 <= wait <= FAST.max_backoff for wait in waits(events))
    assert 0 <= events[0].elapsed <= events[1].elapsed


def test_on_retry_is_called_for_token_requests(
    harness: ClientHarness, server: FaultServer, token_server: FaultServer
) -> None:
    token_server.add(respond(503))
    events: list[RetryEvent] = []
    Caller(harness, "redeliver", server, token_server).call(on_retry=events.append)
    assert [(e.operation, e.hook_id, e.attempt) for e in events] == [("token", None, 1)]


def test_an_exception_of_on_retry_ends_the_call(
    harness: ClientHarness, server: FaultServer
) -> None:
    class StopError(Exception):
        pass

    def stop(_: RetryEvent) -> None:
        raise StopError

    server.add(respond(500))
    client = harness.client("token", base_url=server.url, retry=FAST, on_retry=stop)
    with pytest.raises(StopError):
        client.hooks.list()
    assert len(server.requests) == 1
    client.hooks.list()


# The deadline


def deadline(seconds: float, **others: Any) -> RetryPolicy:
    return RetryPolicy(deadline=seconds, **others)


@pytest.mark.parametrize("called", ["list", "redeliver", "token"])
def test_the_deadline_bounds_an_attempt(
    harness: ClientHarness, called: str, server: FaultServer, token_server: FaultServer
) -> None:
    server.add(fs.never_respond())
    caller = Caller(harness, called, server, token_server)
    began = time.monotonic()
    error = caller.fail(retry=deadline(0.25))
    assert time.monotonic() - began < 5
    assert type(error) is APITimeoutError
    assert error.outcome_unknown is (called == "redeliver")
    assert len(server.requests) == 1


@pytest.mark.parametrize("called", ["list", "redeliver", "token"])
def test_the_deadline_bounds_a_slow_body(
    harness: ClientHarness, called: str, server: FaultServer, token_server: FaultServer
) -> None:
    server.add(fs.drip(b"HTTP/1.1 200 X\r\nContent-Length: 200\r\n\r\n", b" ", 0.05))
    caller = Caller(harness, called, server, token_server)
    began = time.monotonic()
    error = caller.fail(retry=deadline(0.25))
    assert time.monotonic() - began < 5
    assert type(error) is APITimeoutError
    assert error.outcome_unknown is (called == "redeliver")
    assert len(server.requests) == 1


def test_a_stalled_body_is_a_timeout(harness: ClientHarness, server: FaultServer) -> None:
    server.add(fs.drip(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n[", b"", 60))
    client = harness.client("token", base_url=server.url, retry=FAST, timeout=SHORT)
    with pytest.raises(APITimeoutError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert caught.value.attempts == len(server.requests) == 1


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 "], ids=["headers", "status"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_deadline_bounds_slow_headers(
    backend: Backend, start: bytes, server: FaultServer
) -> None:
    # Only for AsyncClient: Client sees no part of a response with incomplete headers.
    server.add(fs.drip(start, b"X", 0.05))

    async def main() -> None:
        async with AsyncClient("token", base_url=server.url, retry=deadline(0.25)) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.hooks.redeliver(HOOK_ID, REQUEST_ID)
            assert caught.value.outcome_unknown

    began = time.monotonic()
    anyio.run(main, backend=backend)
    assert time.monotonic() - began < 5


def test_a_wait_beyond_the_deadline_raises_immediately(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(respond(429, headers=[("Retry-After", "30")]))
    client = harness.client("token", base_url=server.url, retry=deadline(20))
    began = time.monotonic()
    with pytest.raises(RateLimitError) as caught:
        client.hooks.list()
    assert time.monotonic() - began < 10
    assert caught.value.retry_after == 30
    assert len(server.requests) == 1


def test_the_deadline_spans_all_attempts(harness: ClientHarness, server: FaultServer) -> None:
    server.add(*[fs.never_respond()] * 50)
    policy = deadline(0.6, max_attempts=50, initial_backoff=0.001, max_backoff=0.001)
    client = harness.client("token", base_url=server.url, retry=policy, timeout=0.15)
    began = time.monotonic()
    with pytest.raises(APITimeoutError) as caught:
        client.hooks.list()
    assert time.monotonic() - began < 5
    assert 2 <= caught.value.attempts < 50
    assert caught.value.attempts >= len(server.requests)


def test_a_call_may_have_no_deadline(harness: ClientHarness, server: FaultServer) -> None:
    policy = evolve(FAST, deadline=None)
    server.add(respond(500))
    assert harness.client("token", base_url=server.url, retry=policy).hooks.list()
