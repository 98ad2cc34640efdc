"""Conversions between calls and what httpx takes, returns and raises."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar

import anyio
import httpx

from webhooks_sdk._core.responses import RawResponse
from webhooks_sdk._wire.bodies import BodyReader, content_coding
from webhooks_sdk._wire.headers import headers_from_raw
from webhooks_sdk.errors import ClientClosedError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from webhooks_sdk._core.call import Call

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk")


def build_request(call: Call[T], token: str | None) -> httpx.Request:
    """Build the request for the next attempt."""
    headers, timeouts = call.begin_attempt(token)
    operation = call.operation
    _logger.debug("sending %s, attempt %d", operation.name, call.attempts)
    # Given a stream, httpx uses the headers as they are and computes none itself.
    return httpx.Request(
        operation.method,
        call.url,
        headers=headers,
        stream=_RequestBody(operation.content or b""),
        extensions={"timeout": _DeadlineTimeouts(timeouts, call.timeout_for)},
    )


class _DeadlineTimeouts(dict[str, float | None]):
    """The timeouts of an attempt, each limited to the time left when its step begins.

    httpcore reads a timeout when it begins a step. A copy holds the time that was left at the
    beginning of the attempt.
    """

    def __init__(
        self, timeouts: Mapping[str, float | None], timeout_for: Callable[[str], float | None]
    ) -> None:
        super().__init__(timeouts)
        self._timeout_for = timeout_for

    def get(self, step: str, default: float | None = None) -> float | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - fewer overloads
        return self._timeout_for(step) if step in self else default


class _RequestBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body sent in one chunk.

    Unlike httpx's, it is not an async generator: trio warns about one that is abandoned, as happens
    when the connection is lost.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._content,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _SingleChunkIterator(self._content)


class _SingleChunkIterator:
    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content

    def __aiter__(self) -> _SingleChunkIterator:
        return self

    async def __anext__(self) -> bytes:
        if self._content is None:
            raise StopAsyncIteration
        content, self._content = self._content, None
        return content


def raise_connection_error(call: Call[T], error: Exception, request: httpx.Request) -> NoReturn:
    """Raise the call's error for an exception raised while sending.

    Raises:
        APIConnectionError: Always.
    """
    own_request = _concerns(request, error)
    raise call.connection_error(
        error,
        timed_out=isinstance(error, _TIMEOUTS),
        network_failure=own_request and isinstance(error, _NETWORK_FAILURES),
        # A transport raises httpx's errors. Any other may come from an event hook.
        can_prove_unsent=own_request and isinstance(error, httpx.RequestError),
    ) from call.redact_cause(error)


def _concerns(request: httpx.Request, error: Exception) -> bool:
    """Return False if the error belongs to another request, such as one that an event hook sent."""
    try:
        return not isinstance(error, httpx.RequestError) or error.request is request
    except RuntimeError:
        # It names no request, so it was raised outside httpx.Client, where no event hooks run.
        return True


_TIMEOUTS = (httpx.TimeoutException, TimeoutError)
_NETWORK_FAILURES = (
    httpx.TransportError,
    OSError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)


def body_reader(response: httpx.Response, limit: int) -> BodyReader:
    """Return a reader for the body of a response."""
    # A body that an event hook has read is already decoded.
    decoded = response.is_stream_consumed
    return BodyReader("identity" if decoded else content_coding(response.headers.raw), limit)


def raw_response_from(
    response: httpx.Response, body: bytes, body_error: Exception | None = None
) -> RawResponse:
    """Return the raw response, with the exception that cut its body short, if any."""
    timed_out = isinstance(body_error, _TIMEOUTS)
    return RawResponse(
        response.status_code,
        headers_from_raw(response.headers.raw),
        body,
        body_error,
        timed_out=timed_out,
    )


def client_closed_error(name: Literal["client", "http_client"] = "client") -> ClientClosedError:
    """Build the error for using a closed client, or a client whose `http_client` is closed."""
    return ClientClosedError(f"The {name} is closed. Create a new one.")


def client_in_use_error() -> ConfigurationError:
    """Build the error for a call made by code that the client runs while it requests a token.

    Code that waits for another thread, which makes the call, is not detected.
    """
    return ConfigurationError(
        "The client was used by code that it runs while it requests an access token: on_retry, an"
        " event hook or a transport. The call would wait for itself. Do not use the client there."
    )
