"""A response before and after decoding. `Operation.decode` decodes the body."""

from typing import Generic, TypeVar

from attrs import field, frozen

from webhooks_sdk._wire.headers import Headers

T = TypeVar("T")


@frozen(eq=False)
class RawResponse:
    """A response as received: its status, headers and body, which may be incomplete.

    Attributes:
        status: The HTTP status.
        headers: The headers, unmasked.
        body: The decompressed body, or its beginning if `body_error` is set.
        body_error: The exception that interrupted the body, None if the body is complete.
        timed_out: Whether `body_error` is a timeout.
    """

    status: int
    headers: Headers
    body: bytes
    body_error: Exception | None = None
    timed_out: bool = False


@frozen(eq=False)
class APIResponse(Generic[T]):
    """The value and response metadata of a successful call, as returned by `client.send`.

    Attributes:
        value: The decoded response.
        status: The HTTP status.
        headers: The headers of the response. Case-insensitive.
        attempts: The number of attempts made to send the request.
        elapsed: The duration of the call in seconds, including waits and token requests.
    """

    value: T
    status: int
    headers: Headers = field(repr=False)
    attempts: int
    elapsed: float
