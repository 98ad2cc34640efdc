"""From a call to an httpx request, and from what httpx returns or raises back to the call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NoReturn, TypeVar

import anyio
import httpx

from webhooks_sdk._core.responses import RawResponse
from webhooks_sdk._wire.bodies import BodyReader, content_coding
from webhooks_sdk._wire.headers import Headers
from webhooks_sdk.errors import ClientClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from webhooks_sdk._core.call import Call

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk")


def build_request(call: Call[T], token: str | None) -> httpx.Request:
    """Make the request of the next attempt."""
    headers, timeouts = call.begin_attempt(token)
    operation = call.operation
    _logger.debug("sending %s, attempt %d", operation.name, call.attempts)
    # With a stream, httpx takes the headers as they are and does not work them out again.
    return httpx.Request(
        operation.method,
        call.url,
        headers=headers,
        stream=_RequestBody(operation.content or b""),
        extensions={"timeout": _LiveTimeouts(timeouts, call.timeout_for)},
    )


class _LiveTimeouts(dict[str, float | None]):
    """The timeouts of an attempt, each cut to what is left of the deadline when its step begins.

    httpcore asks for one at the beginning of each step. Whoever copies them has what was left at
    the beginning of the attempt.
    """

    def __init__(
        self, timeouts: Mapping[str, float | None], cut: Callable[[str], float | None]
    ) -> None:
        super().__init__(timeouts)
        self._cut = cut

    def get(self, step: str, default: float | None = None) -> float | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - fewer overloads
        return self._cut(step) if step in self else default


class _RequestBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is one piece.

    Unlike httpx's own, it is no asynchronous generator: one that is left behind half-way, as by a
    lost connection, makes trio warn.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._content,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _OnePiece(self._content)


class _OnePiece:
    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content

    def __aiter__(self) -> _OnePiece:
        return self

    async def __anext__(self) -> bytes:
        if self._content is None:
            raise StopAsyncIteration
        content, self._content = self._content, None
        return content


def raise_connection_lost(call: Call[T], error: Exception, request: httpx.Request) -> NoReturn:
    """Raise what it means that sending or reading raised."""
    own = _is_of(request, error)
    raise call.connection_error(
        error,
        timed_out=isinstance(error, _TIMEOUTS),
        transport_fault=own and isinstance(error, _TRANSPORT_FAULTS),
        # Transports raise httpx's errors: any other may be of an event hook's own doing.
        can_prove_unsent=own and isinstance(error, httpx.RequestError),
    ) from call.redact_cause(error)


def _is_of(request: httpx.Request, error: Exception) -> bool:
    """Whether what was raised is not of another request, such as one that an event hook made."""
    try:
        return not isinstance(error, httpx.RequestError) or error.request is request
    except RuntimeError:
        # It names none: no whole client was there, and so no event hook.
        return True


_TIMEOUTS = (httpx.TimeoutException, TimeoutError)
_TRANSPORT_FAULTS = (
    httpx.TransportError,
    OSError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)


def body_reader(response: httpx.Response, limit: int) -> BodyReader:
    """Return what reads a body: one that an event hook has read is decoded already."""
    decoded = response.is_stream_consumed
    return BodyReader("identity" if decoded else content_coding(response.headers.raw), limit)


def raw_response_from(
    response: httpx.Response, body: bytes, broken: Exception | None = None
) -> RawResponse:
    """Return an answer, with the reason why its body is not whole if it is not."""
    timed_out = isinstance(broken, _TIMEOUTS)
    return RawResponse(
        response.status_code, Headers(response.headers.raw), body, broken, timed_out=timed_out
    )


def closed(what: str = "client") -> ClientClosedError:
    """Say that the client, or the caller's HTTP client, was closed."""
    return ClientClosedError(f"The {what} is closed: make a new one, or close it later.")
