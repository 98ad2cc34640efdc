"""Sends operations for `Client`. The same shape, line by line, as `_async_driver`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import httpx
from attrs import evolve

from webhooks_sdk._core.clock import SYSTEM_CLOCK
from webhooks_sdk._core.tokens import ClientCredentials, TokenCache, check_token
from webhooks_sdk._transport.messages import (
    body_reader,
    build_request,
    closed,
    raise_connection_lost,
    raw_response_from,
)
from webhooks_sdk._transport.settings import Options
from webhooks_sdk._transport.sync_http import SyncHTTPPool
from webhooks_sdk._transport.sync_pool import PoolClosedError
from webhooks_sdk.errors import APIError

if TYPE_CHECKING:
    from webhooks_sdk._core.call import Call
    from webhooks_sdk._core.responses import APIResponse, RawResponse
    from webhooks_sdk._core.tokens import TokenProvider
    from webhooks_sdk._transport.sync_http import SyncHTTP, SyncSettings
    from webhooks_sdk._wire.bodies import BodyReader
    from webhooks_sdk.operations import Operation

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk")


class SyncDriver:
    """Sends operations with one pool of connections and one access token for all threads."""

    def __init__(self, settings: SyncSettings) -> None:
        self.settings = settings
        self._pool = SyncHTTPPool(settings)
        self._tokens = TokenCache()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._pool.closed

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def with_max_connections(self, connections: int) -> SyncDriver:
        """Return a driver with room for so many connections: this one, if it has that."""
        settings = self.settings
        if not settings.owns_http or settings.max_connections >= connections:
            return self
        wide = SyncDriver(evolve(settings, max_connections=connections))
        wide._tokens = self._tokens
        return wide

    def send(self, operation: Operation[T], options: Options) -> APIResponse[T]:
        """Send an operation until it succeeds or its call has to end.

        Raises:
            WebhooksError: The error of the last attempt.
        """
        http = self._pool.get()
        call = self.settings.call(operation, options)
        try:
            self._run(http, call, options)
            return call.response()
        finally:
            if self._pool.closed:
                self._pool.sweep(http)

    def _run(self, http: SyncHTTP, call: Call[T], options: Options) -> T:
        first: APIError | None = None
        try:
            return self._attempt(http, call, options)
        except APIError as error:
            if not call.can_retry(error):
                raise
            first = error

        # tenacity is brought in by the first failure, which it is told of as its first attempt:
        # nearly all calls succeed at once, and would spend a tenth of their CPU on its set-up.
        from tenacity import Retrying  # noqa: PLC0415

        from webhooks_sdk._transport.retrying import retrying_arguments  # noqa: PLC0415

        def attempt() -> T:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return self._attempt(http, call, options)

        return Retrying(**retrying_arguments(call))(attempt)

    def _attempt(self, http: SyncHTTP, call: Call[T], options: Options) -> T:
        if call.operation.endpoint == "token":
            return call.finish(self._exchange(http, call, None))
        token = self._token(http, call, options)
        answer = self._exchange(http, call, token)
        if not isinstance(self.settings.auth, str) and call.needs_new_token(answer):
            _logger.debug("the access token was refused, asking for a new one")
            self._tokens.invalidate(token)
            token = self._token(http, call, options)
            answer = self._exchange(http, call, token)
        return call.finish(answer)

    def _exchange(self, http: SyncHTTP, call: Call[T], token: str | None) -> RawResponse:
        if self._pool.closed or http.closed:
            raise call.client_closed_error()
        request = build_request(call, token)
        direct = self.settings.endpoint(call.operation).plain_loopback
        try:
            response = http.send(request, direct=direct)
        except PoolClosedError:
            raise call.client_closed_error() from None
        except Exception as error:  # noqa: BLE001 - an event hook can raise anything
            raise_connection_lost(call, error, request)
        call.response_started(response.status_code, response.headers.raw)
        _logger.debug("%s answered %d", call.operation.name, response.status_code)
        try:
            return self._read(call, response)
        finally:
            response.close()

    def _read(self, call: Call[T], response: httpx.Response) -> RawResponse:
        reader: BodyReader | None = None
        try:
            reader = body_reader(response, self.settings.max_response_bytes)
            if response.is_stream_consumed:
                reader.feed(response.content)
            else:
                self._feed(call, reader, response)
            return raw_response_from(response, reader.finish())
        except APIError:
            raise
        except Exception as error:  # noqa: BLE001 - what it means depends on the status
            return raw_response_from(response, reader.partial() if reader else b"", error)

    def _feed(self, call: Call[T], reader: BodyReader, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        for chunk in response.stream:
            reader.feed(chunk)
            call.check_deadline()

    def _token(self, http: SyncHTTP, call: Call[T], options: Options) -> str:
        auth = self.settings.auth
        if isinstance(auth, str):
            return auth
        if not isinstance(auth, ClientCredentials):
            return self._provided_token(call, auth)
        token = self._tokens.current(SYSTEM_CLOCK.monotonic())
        return token if token is not None else self._new_token(http, call, options, auth)

    def _provided_token(self, call: Call[T], provider: TokenProvider) -> str:
        try:
            token = provider()
            return check_token(token)
        except Exception as error:
            raise call.token_provider_error(error) from error

    def _new_token(
        self, http: SyncHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        seen = self._tokens.request_count
        left = call.remaining()
        if not http.token_lock.acquire(timeout=-1 if left is None else left):
            raise call.deadline_error()
        try:
            # While this thread waited, another may have got a token, or have failed to.
            outcome = self._tokens.current(SYSTEM_CLOCK.monotonic()) or self._tokens.outcome_since(
                seen
            )
            if isinstance(outcome, APIError):
                raise call.token_error(outcome) from outcome.__cause__
            return outcome or self._fetch_token(http, call, options, credentials)
        finally:
            http.token_lock.release()

    def _fetch_token(
        self, http: SyncHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        fetch = self.settings.token_call(credentials, options, deadline=call.deadline)
        asked_at = SYSTEM_CLOCK.monotonic()
        try:
            answer = self._run(http, fetch, options)
        except APIError as error:
            # Whoever ran out of time fails alone: those who wait may have more of it.
            if not call.deadline_passed:
                self._tokens.record_failure(error)
            raise call.token_error(error) from error.__cause__
        return self._tokens.store(answer, asked_at)


class SyncSingleAttemptSender:
    """Sends each operation once, for who sends again by himself, over enough connections.

    Args:
        driver: The client's driver.
        options: The client's options, whose policy counts for all but the number of attempts.
        connections: How many operations are to be under way at once.
    """

    def __init__(self, driver: SyncDriver, options: Options, connections: int) -> None:
        self._of_client = driver
        self._driver = driver.with_max_connections(connections)
        self._options = Options(options.timeouts, evolve(options.retry, max_attempts=1))

    def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation.

        Raises:
            WebhooksError: It failed.
        """
        if self._of_client.closed:
            raise closed()
        return self._driver.send(operation, self._options)

    def close(self) -> None:
        """Close the connections that are not the client's own."""
        if self._driver is not self._of_client:
            self._driver.close()
