"""Sends operations for `AsyncClient`. Mirrors `sync_driver`: change both together."""

from __future__ import annotations

import logging
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeVar

import anyio
import httpx
from attrs import evolve

from webhooks_sdk._core.clock import SYSTEM_CLOCK
from webhooks_sdk._core.tokens import ClientCredentials, check_token
from webhooks_sdk._transport.async_http import PerLoopHTTP
from webhooks_sdk._transport.async_tokens import AsyncTokens, held_by_this_task
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
from webhooks_sdk._transport.sync_pool import PoolClosedError
from webhooks_sdk._wire.bodies import BodyError
from webhooks_sdk.errors import APIError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from webhooks_sdk._core.call import Call
    from webhooks_sdk._core.responses import APIResponse, RawResponse
    from webhooks_sdk._core.tokens import AsyncTokenProvider
    from webhooks_sdk._transport.async_http import AsyncSettings, LoopHTTP
    from webhooks_sdk._wire.bodies import BodyReader
    from webhooks_sdk.operations import Operation

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk")


class AsyncDriver:
    """Sends operations for all tasks, over one set of connections.

    Args:
        settings: The settings of the client.
        tokens: The access token of the client, which all its drivers share. By default a new one.
    """

    def __init__(self, settings: AsyncSettings, tokens: AsyncTokens | None = None) -> None:
        self.settings = settings
        self._connections = PerLoopHTTP(settings)
        self._tokens = AsyncTokens() if tokens is None else tokens

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._connections.closed

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    def with_capacity(self, connections: int) -> AsyncDriver:
        """Return a driver that allows at least this many connections: this one, if it does."""
        settings = self.settings
        if not settings.owns_connections or settings.max_connections >= connections:
            return self
        return AsyncDriver(evolve(settings, max_connections=connections), self._tokens)

    async def send(self, operation: Operation[T], options: Options) -> APIResponse[T]:
        """Send an operation, with retries.

        Raises:
            WebhooksError: The error of the last attempt.
        """
        http = await self._connections.get()
        call = self.settings.call(operation, options)
        try:
            with anyio.move_on_after(call.remaining()):
                await self._run(http, call, options)
                return call.response()
            raise call.deadline_error()
        finally:
            if self._connections.closed:
                await self._connections.clean_up(http)

    async def _run(self, http: LoopHTTP, call: Call[T], options: Options) -> T:
        first_error: APIError | None = None
        try:
            return await self._attempt(http, call, options)
        except APIError as error:
            if not call.can_retry(error):
                raise
            first_error = error

        # Setting up tenacity takes a tenth of the CPU of a call, and most calls succeed at once. So
        # it starts only after a failure, which it receives as its first attempt.
        from tenacity import AsyncRetrying  # noqa: PLC0415

        from webhooks_sdk._transport.retrying import retrying_arguments  # noqa: PLC0415

        async def attempt() -> T:
            nonlocal first_error
            if first_error is not None:
                error, first_error = first_error, None
                raise error
            return await self._attempt(http, call, options)

        return await AsyncRetrying(**retrying_arguments(call), sleep=anyio.sleep)(attempt)

    async def _attempt(self, http: LoopHTTP, call: Call[T], options: Options) -> T:
        if call.operation.endpoint == "token":
            with token_request(self._tokens.lock()):
                return call.finish(await self._exchange(http, call, None))
        token = await self._token(http, call, options)
        response = await self._exchange(http, call, token)
        if not isinstance(self.settings.auth, str) and call.needs_new_token(response):
            _logger.debug("access token rejected, requesting a new one")
            self._tokens.cache.invalidate(token)
            token = await self._token(http, call, options)
            response = await self._exchange(http, call, token)
        return call.finish(response)

    async def _exchange(self, http: LoopHTTP, call: Call[T], token: str | None) -> RawResponse:
        if self._connections.closed or http.closed:
            raise call.client_closed_error()
        request = build_request(call, token)
        bypass_proxy = self.settings.endpoint(call.operation).plain_loopback
        try:
            response = await http.send(request, bypass_proxy=bypass_proxy)
        except PoolClosedError:
            raise call.client_closed_error() from None
        except Exception as error:  # noqa: BLE001 - an event hook can raise any exception
            raise_connection_error(call, error, request)
        try:
            call.response_started(response.status_code, response.headers.raw)
            _logger.debug("%s returned status %d", call.operation.name, response.status_code)
            return await self._read_response(response)
        finally:
            await _close(response)

    async def _read_response(self, response: httpx.Response) -> RawResponse:
        reader: BodyReader | None = None
        try:
            reader = body_reader(response, self.settings.max_response_bytes)
            if response.is_stream_consumed:
                reader.feed(response.content)
            else:
                await self._feed_body(reader, response)
            return raw_response_from(response, reader.finish())
        except Exception as error:  # noqa: BLE001 - its meaning depends on the status
            return raw_response_from(response, reader.partial() if reader else b"", error)

    async def _feed_body(self, reader: BodyReader, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        try:
            async for chunk in chunks:
                reader.feed(chunk)
        except BodyError:
            await _stop_reading(response, chunks)
            raise

    async def _token(self, http: LoopHTTP, call: Call[T], options: Options) -> str:
        auth = self.settings.auth
        if isinstance(auth, str):
            return auth
        if not isinstance(auth, ClientCredentials):
            return await self._provided_token(call, auth)
        token = self._tokens.cache.current(SYSTEM_CLOCK.monotonic())
        return token if token is not None else await self._new_token(http, call, options, auth)

    async def _provided_token(self, call: Call[T], provider: AsyncTokenProvider) -> str:
        with provider_call(self._tokens):
            try:
                token = provider()
                if isawaitable(token):
                    token = await token
                return check_token(token)
            except Exception as error:
                raise call.token_provider_error(error) from error

    async def _new_token(
        self, http: LoopHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        cache, lock = self._tokens.cache, self._tokens.lock()
        if held_by_this_task(lock) or in_token_request(lock):
            raise client_in_use_error()
        seen = cache.request_count
        await lock.acquire()
        try:
            # Another task may have fetched a token, or failed to, while this one waited.
            outcome = cache.current(SYSTEM_CLOCK.monotonic()) or cache.outcome_since(seen)
            if isinstance(outcome, APIError):
                raise call.token_error(outcome) from outcome.__cause__
            return outcome or await self._fetch_token(http, call, options, credentials)
        finally:
            lock.release()

    async def _fetch_token(
        self, http: LoopHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        token_call = self.settings.token_call(credentials, options, deadline=call.deadline)
        requested_at = SYSTEM_CLOCK.monotonic()
        try:
            token = await self._run(http, token_call, options)
        except APIError as error:
            # After a passed deadline only this call fails: the waiting tasks may have more time.
            if not call.deadline_passed:
                self._tokens.cache.record_failure(error)
            raise call.token_error(error) from error.__cause__
        return self._tokens.cache.store(token, requested_at)


class AsyncSingleAttemptSender:
    """Sends each operation once, for a caller that retries by itself.

    Args:
        driver: The client's driver.
        options: The client's options; `max_attempts` is ignored.
        connections: The maximum number of operations in flight.
    """

    def __init__(self, driver: AsyncDriver, options: Options, connections: int) -> None:
        self._client_driver = driver
        self._driver = driver.with_capacity(connections)
        self._options = Options(options.timeouts, evolve(options.retry, max_attempts=1))

    async def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation.

        Raises:
            WebhooksError: The operation failed.
        """
        if self._client_driver.closed:
            raise client_closed_error()
        return await self._driver.send(operation, self._options)

    async def close(self) -> None:
        """Close the connections, unless they belong to the client."""
        if self._driver is not self._client_driver:
            await self._driver.close()


async def _stop_reading(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    """Stop reading a response body before its end.

    `chunks` iterates over async generators of httpcore. If they stay unfinished, the garbage
    collector closes them and trio warns. Reading once more after closing the connection ends them.
    """
    await _close(response)
    with suppress(Exception):
        await anext(chunks)


async def _close(response: httpx.Response) -> None:
    try:
        await response.aclose()
    except Exception:
        # The outcome of the call is already known.
        _logger.debug("closing a response failed", exc_info=True)
