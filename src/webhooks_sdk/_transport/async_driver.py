"""Sends operations for `AsyncClient`. The same shape, line by line, as `_sync_driver`."""

from __future__ import annotations

import logging
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeVar

import anyio
import httpx
from attrs import evolve

from webhooks_sdk._core.clock import SYSTEM_CLOCK
from webhooks_sdk._core.tokens import ClientCredentials, TokenCache, check_token
from webhooks_sdk._transport.async_http import AsyncHTTPPool
from webhooks_sdk._transport.messages import (
    body_reader,
    build_request,
    closed,
    raise_connection_lost,
    raw_response_from,
)
from webhooks_sdk._transport.settings import Options
from webhooks_sdk._transport.sync_pool import PoolClosedError
from webhooks_sdk._wire.bodies import BodyError
from webhooks_sdk.errors import APIError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from webhooks_sdk._core.call import Call
    from webhooks_sdk._core.responses import APIResponse, RawResponse
    from webhooks_sdk._core.tokens import AsyncTokenProvider
    from webhooks_sdk._transport.async_http import AsyncHTTP, AsyncSettings
    from webhooks_sdk._wire.bodies import BodyReader
    from webhooks_sdk.operations import Operation

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk")


class AsyncDriver:
    """Sends operations with one pool of connections and one access token for all tasks."""

    def __init__(self, settings: AsyncSettings) -> None:
        self.settings = settings
        self._pool = AsyncHTTPPool(settings)
        self._tokens = TokenCache()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._pool.closed

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    def with_max_connections(self, connections: int) -> AsyncDriver:
        """Return a driver with room for so many connections: this one, if it has that."""
        settings = self.settings
        if not settings.owns_http or settings.max_connections >= connections:
            return self
        wide = AsyncDriver(evolve(settings, max_connections=connections))
        wide._tokens = self._tokens
        return wide

    async def send(self, operation: Operation[T], options: Options) -> APIResponse[T]:
        """Send an operation until it succeeds or its call has to end.

        Raises:
            WebhooksError: The error of the last attempt.
        """
        http = await self._pool.get()
        call = self.settings.call(operation, options)
        try:
            with anyio.move_on_after(call.remaining()):
                await self._run(http, call, options)
                return call.response()
            raise call.deadline_error()
        finally:
            if self._pool.closed:
                await self._pool.sweep(http)

    async def _run(self, http: AsyncHTTP, call: Call[T], options: Options) -> T:
        first: APIError | None = None
        try:
            return await self._attempt(http, call, options)
        except APIError as error:
            if not call.can_retry(error):
                raise
            first = error

        # tenacity is brought in by the first failure, which it is told of as its first attempt:
        # nearly all calls succeed at once, and would spend a tenth of their CPU on its set-up.
        from tenacity import AsyncRetrying  # noqa: PLC0415

        from webhooks_sdk._transport.retrying import retrying_arguments  # noqa: PLC0415

        async def attempt() -> T:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await self._attempt(http, call, options)

        return await AsyncRetrying(**retrying_arguments(call), sleep=anyio.sleep)(attempt)

    async def _attempt(self, http: AsyncHTTP, call: Call[T], options: Options) -> T:
        if call.operation.endpoint == "token":
            return call.finish(await self._exchange(http, call, None))
        token = await self._token(http, call, options)
        answer = await self._exchange(http, call, token)
        if not isinstance(self.settings.auth, str) and call.needs_new_token(answer):
            _logger.debug("the access token was refused, asking for a new one")
            self._tokens.invalidate(token)
            token = await self._token(http, call, options)
            answer = await self._exchange(http, call, token)
        return call.finish(answer)

    async def _exchange(self, http: AsyncHTTP, call: Call[T], token: str | None) -> RawResponse:
        if self._pool.closed or http.closed:
            raise call.client_closed_error()
        request = build_request(call, token)
        direct = self.settings.endpoint(call.operation).plain_loopback
        try:
            response = await http.send(request, direct=direct)
        except PoolClosedError:
            raise call.client_closed_error() from None
        except Exception as error:  # noqa: BLE001 - an event hook can raise anything
            raise_connection_lost(call, error, request)
        call.response_started(response.status_code, response.headers.raw)
        _logger.debug("%s answered %d", call.operation.name, response.status_code)
        try:
            return await self._read(response)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> RawResponse:
        reader: BodyReader | None = None
        try:
            reader = body_reader(response, self.settings.max_response_bytes)
            if response.is_stream_consumed:
                reader.feed(response.content)
            else:
                await self._feed(reader, response)
            return raw_response_from(response, reader.finish())
        except Exception as error:  # noqa: BLE001 - what it means depends on the status
            return raw_response_from(response, reader.partial() if reader else b"", error)

    async def _feed(self, reader: BodyReader, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        try:
            async for chunk in chunks:
                reader.feed(chunk)
        except BodyError:
            await _abandon(response, chunks)
            raise

    async def _token(self, http: AsyncHTTP, call: Call[T], options: Options) -> str:
        auth = self.settings.auth
        if isinstance(auth, str):
            return auth
        if not isinstance(auth, ClientCredentials):
            return await self._provided_token(call, auth)
        token = self._tokens.current(SYSTEM_CLOCK.monotonic())
        return token if token is not None else await self._new_token(http, call, options, auth)

    async def _provided_token(self, call: Call[T], provider: AsyncTokenProvider) -> str:
        try:
            token = provider()
            if isawaitable(token):
                token = await token
            return check_token(token)
        except Exception as error:
            raise call.token_provider_error(error) from error

    async def _new_token(
        self, http: AsyncHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        seen = self._tokens.request_count
        async with http.token_lock:
            # While this task waited, another may have got a token, or have failed to.
            outcome = self._tokens.current(SYSTEM_CLOCK.monotonic()) or self._tokens.outcome_since(
                seen
            )
            if isinstance(outcome, APIError):
                raise call.token_error(outcome) from outcome.__cause__
            return outcome or await self._fetch_token(http, call, options, credentials)

    async def _fetch_token(
        self, http: AsyncHTTP, call: Call[T], options: Options, credentials: ClientCredentials
    ) -> str:
        fetch = self.settings.token_call(credentials, options, deadline=call.deadline)
        asked_at = SYSTEM_CLOCK.monotonic()
        try:
            answer = await self._run(http, fetch, options)
        except APIError as error:
            # Whoever ran out of time fails alone: those who wait may have more of it.
            if not call.deadline_passed:
                self._tokens.record_failure(error)
            raise call.token_error(error) from error.__cause__
        return self._tokens.store(answer, asked_at)


class AsyncSingleAttemptSender:
    """Sends each operation once, for who sends again by himself, over enough connections.

    Args:
        driver: The client's driver.
        options: The client's options, whose policy counts for all but the number of attempts.
        connections: How many operations are to be under way at once.
    """

    def __init__(self, driver: AsyncDriver, options: Options, connections: int) -> None:
        self._of_client = driver
        self._driver = driver.with_max_connections(connections)
        self._options = Options(options.timeouts, evolve(options.retry, max_attempts=1))

    async def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation.

        Raises:
            WebhooksError: It failed.
        """
        if self._of_client.closed:
            raise closed()
        return await self._driver.send(operation, self._options)

    async def close(self) -> None:
        """Close the connections that are not the client's own."""
        if self._driver is not self._of_client:
            await self._driver.close()


async def _abandon(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    """Stop reading an answer half-way.

    Below `chunks` are generators of httpcore's own. Left unfinished they would be closed by the
    garbage collector, of which trio warns; once the connection is closed, the next read ends them.
    """
    await response.aclose()
    with suppress(Exception):
        await anext(chunks)
