"""Sends operations for `Client`. Mirrors `async_driver`: change both together."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import httpx
from attrs import evolve

from webhooks_sdk._core.clock import SYSTEM_CLOCK
from webhooks_sdk._core.tokens import ClientCredentials, check_token
from webhooks_sdk._transport.event_loops import in_event_loop
from webhooks_sdk._transport.messages import (
    body_reader,
    build_request,
    client_closed_error,
    client_in_use_error,
    raise_connection_error,
    raw_response_from,
)
from webhooks_sdk._transport.provider_calls import in_token_request, provider_call, token_request
from webhooks_sdk._transport.settings import Options
from webhooks_sdk._transport.sync_http import PerProcessHTTP
from webhooks_sdk._transport.sync_pool import PoolClosedError
from webhooks_sdk._transport.sync_tokens import SyncTokens
from webhooks_sdk.errors import APIError

if TYPE_CHECKING:
    from webhooks_sdk._core.call import Call
    from webhooks_sdk._core.responses import APIResponse, RawResponse
    from webhooks_sdk._core.tokens import TokenProvider
    from webhooks_sdk._transport.sync_http import ProcessHTTP, SyncSettings
    from webhooks_sdk._wire.bodies import BodyReader
    from webhooks_sdk.operations import Operation

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk")


class SyncDriver:
    """Sends operations for all threads, over one set of connections.

    Args:
        settings: The settings of the client.
        tokens: The access token of the client, which all its drivers share. By default a new one.
    """

    def __init__(self, settings: SyncSettings, tokens: SyncTokens | None = None) -> None:
        self.settings = settings
        self._connections = PerProcessHTTP(settings)
        self._tokens = SyncTokens() if tokens is None else tokens
        self._event_loop_logged = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._connections.closed

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def with_capacity(self, connections: int) -> SyncDriver:
        """Return a driver that allows at least this many connections: this one, if it does."""
        settings = self.settings
        if not settings.owns_connections or settings.max_connections >= connections:
            return self
        return SyncDriver(evolve(settings, max_connections=connections), self._tokens)

    def log_event_loop(self) -> None:
        """Log, once per client, that it is used in the thread of a running event loop."""
        if self._event_loop_logged or not _logger.isEnabledFor(logging.DEBUG):
            return
        if in_event_loop():
            self._event_loop_logged = True
            _logger.debug(
                "Client is used in a running event loop, which it blocks during each call: use"
                " AsyncClient there"
            )

    def send(self, operation: Operation[T], options: Options) -> APIResponse[T]:
        """Send an operation, with retries.

        Raises:
            WebhooksError: The error of the last attempt.
        """
        self.log_event_loop()
        http = self._connections.get()
        call = self.settings.call(operation, options)
        try:
            self._run(http, call, options)
            return call.response()
        finally:
            if self._connections.closed:
                self._connections.clean_up(http)

    def _run(self, http: ProcessHTTP, call: Call[T], options: Options) -> T:
        first_error: APIError | None = None
        try:
            return self._attempt(http, call, options)
        except APIError as error:
            if not call.can_retry(error):
                raise
            first_error = error

        # Setting up tenacity takes a tenth of the CPU of a call, and most calls succeed at once. So
        # it starts only after a failure, which it receives as its first attempt.
        from tenacity import Retrying  # noqa: PLC0415

        from webhooks_sdk._transport.retrying import retrying_arguments  # noqa: PLC0415

        def attempt() -> T:
            nonlocal first_error
            if first_error is not None:
                error, first_error = first_error, None
                raise error
            return self._attempt(http, call, options)

        return Retrying(**retrying_arguments(call))(attempt)

    def _attempt(self, http: ProcessHTTP, call: Call[T], options: Options) -> T:
        if call.operation.endpoint == "token":
            with token_request(self._tokens.lock()):
                return call.finish(self._exchange(http, call, None))
        token = self._token(http, call, options)
        response = self._exchange(http, call, token)
        if not isinstance(self.settings.auth, str) and call.needs_new_token(response):
            _logger.debug("access token rejected, requesting a new one")
            self._tokens.cache.invalidate(token)
            token = self._token(http, call, options)
            response = self._exchange(http, call, token)
        return call.finish(response)

    def _exchange(self, http: ProcessHTTP, call: Call[T], token: str | None) -> RawResponse:
        if self._connections.closed or http.closed:
            raise call.client_closed_error()
        request = build_request(call, token)
        bypass_proxy = self.settings.endpoint(call.operation).plain_loopback
        try:
            response = http.send(request, bypass_proxy=bypass_proxy)
        except PoolClosedError:
            raise call.client_closed_error() from None
        except Exception as error:  # noqa: BLE001 - an event hook can raise any exception
            raise_connection_error(call, error, request)
        try:
            call.response_started(response.status_code, response.headers.raw)
            _logger.debug("%s returned status %d", call.operation.name, response.status_code)
            return self._read_response(call, response)
        finally:
            _close(response)

    def _read_response(self, call: Call[T], response: httpx.Response) -> RawResponse:
        reader: BodyReader | None = None
        try:
            reader = body_reader(response, self.settings.max_response_bytes)
            if response.is_stream_consumed:
                reader.feed(response.content)
            else:
                self._feed_body(call, reader, response)
            return raw_response_from(response, reader.finish())
        except APIError:
            raise
        except Exception as error:  # noqa: BLE001 - its meaning depends on the status
            return raw_response_from(response, reader.partial() if reader else b"", error)

    def _feed_body(self, call: Call[T], reader: BodyReader, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        for chunk in response.stream:
            reader.feed(chunk)
            call.check_deadline()

    def _token(self, http: ProcessHTTP, call: Call[T], options: Options) -> str:
        auth = self.settings.auth
        if isinstance(auth, str):
            return auth
        if not isinstance(auth, ClientCredentials):
            return self._provided_token(call, auth)
        token = self._tokens.cache.current(SYSTEM_CLOCK.monotonic())
        return token if token is not None else self._new_token(http, call, options, auth)

    def _provided_token(self, call: Call[T], provider: TokenProvider) -> str:
        with provider_call(self._tokens):
            try:
                token = provider()
                return check_token(token)
            except Exception as error:
                raise call.token_provider_error(error) from error

    def _new_token(
        self, http: ProcessHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        cache, lock = self._tokens.cache, self._tokens.lock()
        if lock.held_by_this_thread() or in_token_request(lock):
            raise client_in_use_error()
        seen = cache.request_count
        if not lock.acquire(timeout=call.remaining()):
            raise call.deadline_error()
        try:
            # Another thread may have fetched a token, or failed to, while this one waited.
            outcome = cache.current(SYSTEM_CLOCK.monotonic()) or cache.outcome_since(seen)
            if isinstance(outcome, APIError):
                raise call.token_error(outcome) from outcome.__cause__
            return outcome or self._fetch_token(http, call, options, credentials)
        finally:
            lock.release()

    def _fetch_token(
        self, http: ProcessHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        token_call = self.settings.token_call(credentials, options, deadline=call.deadline)
        requested_at = SYSTEM_CLOCK.monotonic()
        try:
            token = self._run(http, token_call, options)
        except APIError as error:
            # After a passed deadline only this call fails: the waiting threads may have more time.
            if not call.deadline_passed:
                self._tokens.cache.record_failure(error)
            raise call.token_error(error) from error.__cause__
        return self._tokens.cache.store(token, requested_at)


class SyncSingleAttemptSender:
    """Sends each operation once, for a caller that retries by itself.

    Args:
        driver: The client's driver.
        options: The client's options; `max_attempts` is ignored.
        connections: The maximum number of operations in flight.
    """

    def __init__(self, driver: SyncDriver, options: Options, connections: int) -> None:
        driver.log_event_loop()
        self._client_driver = driver
        self._driver = driver.with_capacity(connections)
        self._options = Options(options.timeouts, evolve(options.retry, max_attempts=1))

    def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation.

        Raises:
            WebhooksError: The operation failed.
        """
        if self._client_driver.closed:
            raise client_closed_error()
        return self._driver.send(operation, self._options)

    def close(self) -> None:
        """Close the connections, unless they belong to the client."""
        if self._driver is not self._client_driver:
            self._driver.close()


def _close(response: httpx.Response) -> None:
    try:
        response.close()
    except Exception:
        # The outcome of the call is already known.
        _logger.debug("closing a response failed", exc_info=True)
