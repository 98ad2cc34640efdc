"""What the two drivers share: their settings, and how httpx is spoken to.

The drivers, this module and the public face are all of the SDK that knows httpx.
"""

from __future__ import annotations

import logging
import platform
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar
from urllib.request import getproxies

import anyio
import httpx
from attrs import field, frozen

from webhooks_sdk._core.call import Call, Clock, Timeouts
from webhooks_sdk._core.endpoints import Endpoints
from webhooks_sdk._core.responses import Answer
from webhooks_sdk._core.retries import RetryEvent, RetryPolicy
from webhooks_sdk._core.tokens import ClientCredentials, token_operation
from webhooks_sdk._version import __version__
from webhooks_sdk._wire.bodies import ACCEPT_ENCODING, BodyReader, content_coding
from webhooks_sdk._wire.headers import Headers
from webhooks_sdk.errors import ClientClosedError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from webhooks_sdk._core.endpoints import Endpoint
    from webhooks_sdk._models import AccessToken
    from webhooks_sdk.operations import Operation

T = TypeVar("T")
AuthT = TypeVar("AuthT")
ClientT = TypeVar("ClientT")
TransportT = TypeVar("TransportT")

logger = logging.getLogger("webhooks_sdk")
# Without a handler of the application's, Python would print warnings to stderr.
logger.addHandler(logging.NullHandler())

COMMON_HEADERS = (
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", ACCEPT_ENCODING.encode()),
    (
        b"User-Agent",
        f"webhooks-sdk/{__version__} python/{platform.python_version()}"
        f" httpx/{httpx.__version__}".encode(),
    ),
)
CLOCK = Clock(monotonic=time.monotonic, wall=time.time)


@frozen(eq=False)
class Options:
    """What `with_options` can change: the timeouts of an attempt, and how a call is tried again."""

    timeouts: Timeouts
    retry: RetryPolicy


@frozen(eq=False, kw_only=True)
class Settings(Generic[AuthT, ClientT, TransportT]):
    """All that a driver is made from."""

    endpoints: Endpoints
    auth: AuthT = field(repr=False)
    on_retry: Callable[[RetryEvent], object] | None
    max_connections: int
    max_response_bytes: int
    http_client: ClientT | None
    transport: TransportT | None
    ssl_context: ssl.SSLContext | None

    def endpoint(self, operation: Operation[T]) -> Endpoint:
        """Return where an operation is sent."""
        if operation.endpoint == "api":
            return self.endpoints.base
        assert self.endpoints.token is not None
        return self.endpoints.token

    def call(
        self, operation: Operation[T], options: Options, *, deadline: float | None = None
    ) -> Call[T]:
        """Begin a call; a `deadline` of the call that it is a part of bounds it too."""
        endpoint = self.endpoint(operation)
        return Call(
            operation,
            url=endpoint.url + operation.path,
            headers=((b"Host", endpoint.authority.encode()), *COMMON_HEADERS),
            policy=options.retry,
            timeouts=options.timeouts,
            clock=CLOCK,
            announce=self._announce,
            deadline=deadline,
        )

    def token_call(
        self, credentials: ClientCredentials, options: Options, *, deadline: float | None
    ) -> Call[AccessToken]:
        """Begin the call for a token that another call needs."""
        return self.call(token_operation(credentials), options, deadline=deadline)

    @property
    def owns_http(self) -> bool:
        """Whether connections are the SDK's own affair."""
        return self.http_client is None and self.transport is None

    @property
    def may_be_proxied(self) -> bool:
        """Whether any request may go through a proxy from the environment."""
        places = (self.endpoints.base, self.endpoints.token)
        return any(place is not None and not place.plain_loopback for place in places)

    def limits(self) -> httpx.Limits:
        """Return the limits of the connection pool."""
        return httpx.Limits(
            max_connections=self.max_connections, max_keepalive_connections=self.max_connections
        )

    def _announce(self, event: RetryEvent) -> None:
        logger.warning(
            "retrying %s in %.2f s, attempt %d failed: %s",
            event.operation,
            event.wait,
            event.attempt,
            event.error,
        )
        if self.on_retry is not None:
            self.on_retry(event)


def proxied_by_environment() -> bool:
    """Whether environment variables name a proxy, which httpx's whole client knows how to use."""
    return any(scheme in getproxies() for scheme in ("http", "https", "all"))


@contextmanager
def usable_proxy() -> Generator[None]:
    """Say that the environment names a proxy which cannot be used, should that be so."""
    try:
        yield
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        # The URL is not quoted: it may hold a password.
        raise ConfigurationError(
            "The proxy that the environment names cannot be used: check HTTP_PROXY, HTTPS_PROXY"
            f" and ALL_PROXY ({type(error).__name__}; a SOCKS proxy needs 'httpx[socks]')."
        ) from error


def build_request(call: Call[T], token: str | None) -> httpx.Request:
    """Make the request of the next attempt."""
    headers, timeouts = call.begin_attempt(token)
    operation = call.operation
    logger.debug("sending %s, attempt %d", operation.name, call.attempts)
    # With a stream, httpx takes the headers as they are and does not work them out again.
    return httpx.Request(
        operation.method,
        call.url,
        headers=headers,
        stream=_RequestBody(operation.content or b""),
        extensions={"timeout": _LiveTimeouts(timeouts, call.cut)},
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


def raise_lost(call: Call[T], error: Exception, request: httpx.Request) -> NoReturn:
    """Raise what it means that sending or reading raised."""
    own = _is_of(request, error)
    raise call.lost(
        error,
        timed_out=isinstance(error, _TIMEOUTS),
        transport_fault=own and isinstance(error, _TRANSPORT_FAULTS),
        # Transports raise httpx's errors: any other may be of an event hook's own doing.
        provable=own and isinstance(error, httpx.RequestError),
    ) from call.clean_cause(error)


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


def answer_of(response: httpx.Response, body: bytes, broken: Exception | None = None) -> Answer:
    """Return an answer, with the reason why its body is not whole if it is not."""
    timed_out = isinstance(broken, _TIMEOUTS)
    return Answer(
        response.status_code, Headers(response.headers.raw), body, broken, timed_out=timed_out
    )


def closed(what: str = "client") -> ClientClosedError:
    """Say that the client, or the caller's HTTP client, was closed."""
    return ClientClosedError(f"The {what} is closed: make a new one, or close it later.")
